"""The plain GAN and its remedies, each as changes of the plain config."""

# The plain game is near that of Metz et al. 2017 (unrolled GAN, appendix A): two hidden layers of 128 units in each
# player, many latents, Adam with beta1 0.5. Both learning rates are 1e-3, except where a recipe says otherwise.
MIXTURE = {
    'batch_size': '128',
    'duration': '2500 steps',
    'latents.size': '64',
    'generator.widths': '(128, 128)',
    'discriminator.widths': '(128, 128)',
    'generator_optimizer.learning_rate': '1e-3',
    'discriminator_optimizer.learning_rate': '1e-3',
    'ema.half_life_kimg': '0.0',
}

# Stacked digits at 14x14 pixels, for fully connected players, the discriminator's hidden layers a quarter of the
# generator's (Metz et al. 2017, section 3.3, also make it the smaller one: a large one does not lose modes here).
STACKED = {
    'data.size': '14',
    'batch_size': '128',
    'duration': '2500 steps',
    'latents.size': '64',
    'generator.widths': '(256, 256)',
    'discriminator.widths': '(64, 64)',
    'discriminator.dropout': '0.0',
    'generator_optimizer.learning_rate': '5e-4',
    'discriminator_optimizer.learning_rate': '5e-4',
    'ema.half_life_kimg': '0.0',
}

_WASSERSTEIN = {'loss.name': 'wasserstein', 'discriminator_steps': '5'}

_SLOW = {'discriminator_optimizer.learning_rate': '1e-4'}  # as in the paper on unrolling

RECIPES = {
    'plain GAN': {},
    'slow discriminator': _SLOW,
    'slow and unrolled': {**_SLOW, 'unrolled_steps': '5'},
    'minibatch discrimination': {
        'discriminator.minibatch': 'discrimination',
        'discriminator.minibatch_kernels': '8',
        'discriminator.minibatch_dims': '2',
    },
    'minibatch deviation': {'discriminator.minibatch': 'deviation'},
    'three discriminators': {'discriminators.number': '3'},
    'instance noise': {'instance_noise.deviation': '0.3'},
    'WGAN': {
        **_WASSERSTEIN,
        'discriminator_optimizer.clip_weights': '0.1',
        'generator_optimizer.name': 'rmsprop',
        'discriminator_optimizer.name': 'rmsprop',
    },
    'WGAN-GP': {**_WASSERSTEIN, 'penalties.gradient_penalty.weight': '1.0'},
    'spectral norm': {'discriminator.normalization': 'spectral'},
    'R1': {'penalties.r1.weight': '0.1'},
    'R3GAN': {
        'loss.name': 'relativistic_pairing',
        'penalties.r1.weight': '0.1',
        'penalties.r2.weight': '0.1',
    },
}

# Gradients with respect to 588 pixels need other weights of their penalties than those with respect to two coordinates.
STACKED_RECIPES = {
    'plain GAN': {},
    'instance noise': RECIPES['instance noise'],
    'spectral norm': RECIPES['spectral norm'],
    'R3GAN': {'loss.name': 'relativistic_pairing', 'penalties.r1.weight': '2.0', 'penalties.r2.weight': '2.0'},
}
