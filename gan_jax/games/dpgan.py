"""DP-GAN: a generator that is differentially private, since its discriminator learns by clipped and noisy gradients.

What is private, and why. In a step of the discriminator each example of the data is in the batch with the same
probability, independently (Poisson sampling). An example's gradient is that of the loss of one real and one generated
example together, clipped to a norm; Gaussian noise is added to the sum. One example more or less thus changes the sum
by at most that norm, and Abadi et al. 2016 bound what all noisy steps together reveal. Everything else is computed from
the noisy steps without the data: the optimiser's moments, the generator's steps, averages, samples. This
post-processing reveals nothing more. Hence

- generated examples have latents and classes drawn by the key, never the classes of the batch, and so batch norm in the
  generator mixes no data;
- which generated example is paired with a real one, and the random numbers of the pair, depend on the number of the
  real one in the data and not on its place in the batch, which the presence of another example would change;
- the generator's steps get no real examples;
- the discriminator's variables, such as the vectors of spectral normalisation, are updated on generated examples;
- nothing else of the discriminator may depend on several examples or last from one step to the next: no batch norm, no
  penalties, no controllers, no replay.

The guarantee covers the weights of both players at all steps, and all samples. It does not cover the records, pictures
of real images and evaluations of the run, which are computed from the data, nor choices that are made by looking at
them: of options, of the best checkpoint, of one of several seeds. It needs a secret seed, because noise that can be
recomputed hides nothing: draw `seed` at random, and publish the weights or samples, but neither config nor checkpoints.
It assumes exact arithmetic (Mironov 2012 describes attacks on floating-point noise).
"""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax import global_batch
from gan_jax.adversarial import adversarial
from gan_jax.clipping import clipped_sum, noisy, with_gradient
from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, GanState, Key, Outcome, PyTree, as_latents, stream
from gan_jax.games.adversarial import condition_of
from gan_jax.judgement import judgement
from gan_jax.losses import Loss
from gan_jax.networks import Network
from gan_jax.parts import Parts
from gan_jax.passes import logit_metrics
from gan_jax.privacy import Privacy
from gan_jax.ranges import AMOUNT, COUNT, DECAY, POSITIVE_AMOUNT, POSITIVE_SHARE

_NO_BATCH_NORM = (
    'A private discriminator cannot have batch norm, whose statistics mix the examples: set '
    'discriminator.normalization to none, layer, instance or spectral.'
)
_SUPPORTED = ('discriminator_steps', 'generator_steps', 'top_share', 'axis_name')


def dpgan(
    generator: Network,
    discriminator: Network,
    loss: Loss,
    latents: Callable[[Key, Array], Array] | int,
    privacy: Privacy,
    *,
    clip: float = 1.0,
    microbatch: int = 1,
    num_classes: int | None = None,
    discriminator_steps: int = 1,
    generator_steps: int = 1,
    top_share: Callable[[Array], Array] | None = None,
    axis_name: str | None = None,
) -> Game:
    """The game of a generator against a private discriminator (Xie et al. 2018, "Differentially Private GAN").

    Args:
        generator: latents [B, ...] -> examples [B, ...].
        discriminator: examples [B, ...] -> logits [B] or a `Judgement`.
        loss: the loss of each player, a mean over examples.
        latents: how latents are drawn, or the size of a standard normal latent vector.
        privacy: the noise of the discriminator's steps, and the expected size of a batch.
        clip: norm to which the gradient of each example is clipped.
        microbatch: number of examples whose gradients are in memory at the same time.
        num_classes: number of classes of a conditional game, which are generated equally often; None: unconditional.
        discriminator_steps: noisy steps of the discriminator in each round, `privacy.moves`.
        generator_steps: as in `gan_jax.adversarial.adversarial`, like the others.
        top_share: likewise.
        axis_name: likewise.

    Returns:
        A game over batches `{'real': [B, ...], 'index': int [B]}`, with `'label': int [B]` if it is conditional. The
        index is the number of an example in the data, or -1 for padding. The sum of the clipped gradients, with noise,
        is divided by the expected number of examples. The discriminator's metrics are means over the examples of the
        batch, with `example_norm`, the norm of an example's gradient, and `clipped`, the share of clipped gradients.

    Raises:
        UserError: the loss is not a mean over examples, or the discriminator has batch norm; when a step is traced, a
            batch without `index`.
    """
    _check_loss(loss)
    condition = None if num_classes is None else jax.ShapeDtypeStruct((), jnp.int32)
    game = adversarial(
        generator,
        discriminator,
        loss,
        latents,
        condition=condition,
        discriminator_steps=discriminator_steps,
        generator_steps=generator_steps,
        top_share=top_share,
        axis_name=axis_name,
    )
    draw = as_latents(latents)

    def classes(key: Key, positions: Array) -> Array | None:
        if num_classes is None:
            return None
        key = stream(key, 'classes')
        return global_batch.draw(lambda key: jax.random.randint(key, (), 0, num_classes), key, positions)

    def discriminator_loss(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
        if 'index' not in batch:
            raise UserError("A private game needs Poisson batches: add 'index', int [B], to the batches.")
        weights, variables = jax.lax.stop_gradient(params), state.discriminator.variables
        fake_labels = classes(key, positions)
        drawn = draw(stream(key, 'latents'), positions)
        fake, _ = generator.apply(*state.generator[:2], drawn, stream(key, 'generator'), True, fake_labels)
        fakes = global_batch.gather((fake, fake_labels), axis_name)

        def gradient(example: dict[str, Any]) -> tuple[PyTree, dict[str, Array]]:
            own = jax.random.fold_in(stream(key, 'example'), example['index'])
            partner = jax.random.randint(stream(own, 'partner'), (), 0, len(fakes[0]))

            def discriminate(params: PyTree, name: str, image: Array, label: Array | None) -> Array:
                image, label = jax.tree.map(lambda leaf: leaf[None], (image, label))
                outputs, _ = discriminator.apply(params, variables, image, stream(own, name), True, label)
                return judgement(outputs).logits

            def value(params: PyTree) -> tuple[Array, dict[str, Array]]:
                real = discriminate(params, 'real', example['real'], example['label'])
                made = discriminate(params, 'fake', *jax.tree.map(lambda leaf: leaf[partner], fakes))
                value = loss.discriminator(real, made, stream(own, 'loss'))
                return value, {'loss': value, **logit_metrics(real, made)}

            return jax.grad(value, has_aux=True)(weights)

        labels = None if num_classes is None else batch['label']
        examples = {'real': batch['real'], 'label': labels, 'index': batch['index']}
        total, metrics = clipped_sum(
            gradient, examples, batch['index'] >= 0, clip=clip, microbatch=microbatch, axis_name=axis_name
        )
        total = noisy(total, stream(key, 'noise'), clip * privacy.noise_multiplier)
        if variables:
            _, variables = discriminator.apply(weights, variables, fake, stream(key, 'variables'), True, fake_labels)
        update = jax.tree.map(lambda leaf: leaf / privacy.expected, total)
        return with_gradient(metrics.pop('loss'), params, update), Outcome(variables, metrics)

    def without_data(loss: Callable) -> Callable:
        def generator_loss(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
            labels = {} if num_classes is None else {'label': classes(key, positions)}
            return loss(params, state, {'real': jnp.zeros_like(batch['real']), **labels}, key, positions)

        return generator_loss

    def init(key: Key) -> dict[str, tuple[PyTree, PyTree]]:
        networks = game.init(key)
        if {'batch_stats', 'reference'} & networks['discriminator'][1].keys():
            raise UserError(_NO_BATCH_NORM)
        return networks

    losses = {'discriminator': lambda _: discriminator_loss, 'generator': without_data}
    turns = tuple(turn._replace(loss=losses[turn.title](turn.loss)) for turn in game.turns)
    return game._replace(init=init, turns=turns, private=True)


def from_config(
    epsilon: Annotated[float, AMOUNT] = 0.0,
    delta: Annotated[float, DECAY] = 0.0,
    noise: Annotated[float, AMOUNT] = 0.0,
    clip: Annotated[float, POSITIVE_AMOUNT] = 1.0,
    filling: Annotated[float, POSITIVE_SHARE] = 0.5,
    microbatch: Annotated[int, COUNT] = 16,
    accountant: str = 'pld',
    *,
    parts: Parts,
) -> Game:
    """The game of a config, over Poisson batches {'real', 'index'} and, if the networks are conditional, 'label'.

    Args:
        epsilon: that of the complete run, which determines the noise; 0: the noise is given.
        delta: the probability with which the privacy loss may be larger, far below 1 / number of examples.
        noise: standard deviation of the noise over `clip`, if no epsilon is given; 0: no noise, and no privacy.
        clip: norm to which the gradient of each example is clipped.
        filling: the expected number of examples in a batch, as a share of batch_size; the rest is padding.
        microbatch: number of examples whose gradients are in memory at the same time.
        accountant: 'pld', privacy loss distributions, or 'rdp', Renyi privacy, quicker and with more noise.
        parts: parts of the game.

    Raises:
        UserError: epsilon has no delta, or an option cannot be private.
    """
    del epsilon, delta, noise, filling, accountant  # read by `privacy` from the config
    promise, options, config = privacy(parts.config), parts.options, parts.config
    promise.check()
    _check_options(config, options)
    shape, condition = parts.shape('real'), condition_of(parts)
    alone = dataclasses.replace(parts, axis_name=None)  # the discriminator sees one example at a time
    return dpgan(
        parts.network('generator', (config.latents.size,), shape, condition=condition),
        alone.network('discriminator', shape, shape, condition=condition),
        parts.loss,
        parts.latents,
        promise,
        clip=clip,
        microbatch=microbatch,
        num_classes=None if condition is None else parts.num_classes,
        **{name: options[name] for name in _SUPPORTED},
    )


def privacy(config: ConfigDict) -> Privacy:
    """What the game of a config promises."""
    options = {name: config.game[name] for name in ('epsilon', 'delta', 'noise', 'filling', 'accountant')}
    rounds = configs.steps(config, 'duration')
    return Privacy(config.data.examples, config.batch_size, rounds=rounds, moves=config.discriminator_steps, **options)


def _check_loss(loss: Loss) -> None:
    """Raises a UserError unless the discriminator's loss is the mean of the losses of examples."""
    with jax.ensure_compile_time_eval():
        key = jax.random.key(0)
        real, fake = jax.random.normal(key, (2, 4))
        each = [loss.discriminator(real[i : i + 1], fake[i : i + 1], key) for i in range(4)]
        is_mean = jnp.allclose(loss.discriminator(real, fake, key), jnp.stack(each).mean(), atol=1e-5)
    if loss.controller or loss.generator_sees_real or not is_mean:
        raise UserError(
            "A private game clips the gradient of each example, so the discriminator's loss must be a mean over "
            'examples: choose another loss.name, such as non_saturating, hinge or wasserstein, without label noise.'
        )


def _check_options(config: ConfigDict, options: dict[str, Any]) -> None:
    """Raises a UserError for options that are not private."""
    if terms := [term.name for player in options['terms'] for term in player]:
        raise UserError(
            f'{terms[0]} is not a part of the clipped gradient of an example: a private game has no penalties and '
            'other terms.'
        )
    usual = inspect.signature(adversarial).parameters
    for name in options.keys() - set(_SUPPORTED):
        if options[name] != usual[name].default:
            raise UserError(f'A private game cannot have {_KEYS.get(name, name)}: leave it at its default.')
    if config.discriminator.get('normalization') in ('batch', 'virtual'):
        raise UserError(_NO_BATCH_NORM)
    for key, value, wanted in (
        ('accumulate', config.accumulate, 1),
        ('packing', config.packing, 1),
        ('play.name', config.play.name, 'alternating'),
        ('on_nan', config.on_nan, 'stop'),
        ('phase.number', config.phase.number, 0),
        ('earlier_phases', config.earlier_phases, ()),
        ('discriminator.minibatch', config.discriminator.get('minibatch', 'none'), 'none'),
    ):
        if value != wanted:
            raise UserError(f'A private game cannot have {key}={value}: set it to {wanted}.')
    if any(one.partition(':')[0].strip().startswith('game.') for one in config.schedules):
        raise UserError('A private game accounts for constant noise: remove game from schedules.')


_KEYS = {
    'lazy': 'lazy penalties',
    'augmentation': 'augment',
    'noise': 'instance_noise',
    'discriminators': 'several discriminators',
    'discriminator_count': 'discriminator_schedule',
    'combine': 'discriminators.combine',
}
