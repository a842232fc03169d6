"""The PyTorch twins of the benchmark are the same computation as gan_jax's recipes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import build
from gan_jax.game import stream
from gan_jax.layers import modulated
from tools import benchmark

torch = pytest.importorskip('torch', reason='the twins need the extra `benchmark`')

from tools.twins import esrgan, munit, order, spade, translations, two_domains, weights  # noqa: E402

TINY = {
    'mlp': ['generator.widths=(16,24)', 'discriminator.widths=(24,16)', 'discriminator.dropout=0.0', 'data.size=8'],
    'dcgan32': ['generator.widths=(12,8)', 'discriminator.widths=(8,12)', 'data.size=16'],
    'wgan_gp32': ['generator.widths=(12,8)', 'discriminator.widths=(8,12)', 'data.size=16'],
    'sngan32': ['generator.widths=(12,10,8)', 'discriminator.widths=(8,10,12)', 'data.size=16'],
}
R3GAN = ['generator.widths=(16,16,8)', 'discriminator.widths=(8,16,16)', 'discriminator.embedding_size=12']
NAMED = {
    'sngan_resnet32': ['generator.widths=(12,10,8)', 'discriminator.widths=(8,10,12)', 'data.size=16'],
    'biggan32': ['generator.widths=(12,10,8)', 'discriminator.widths=(8,10,12)', 'data.size=16'],
    'r3gan32': [*R3GAN, 'generator.group_size=4', 'discriminator.group_size=4', 'data.size=16'],
    'stylegan2_32': [
        *('generator.widths=(12,10,8)', 'discriminator.widths=(12,10,8)', 'generator.mixing=0.0', 'data.size=16'),
        *('generator.w_size=8', 'latents.size=10', 'discriminator.minibatch_group=3', 'generator.depth=2'),
    ],
}
THIN = ['generator.width=4', 'discriminator.width=4']
ENLARGEMENT = ['generator.growth=3', 'generator.depth=1', 'discriminator.hidden=5', 'game.crop=32', 'game.rotate=False']
SMALL = [*THIN, 'discriminator.receptive_field=16', 'data.size=16']
TRANSLATIONS = {
    'pix2pix64': ({'real': 3, 'input': 1}, [*SMALL, 'generator.dropout=0.0', 'discriminator.receptive_field=34']),
    'cyclegan32': ({'real': 3, 'a': 1}, [*SMALL, 'generator.blocks=1']),
    'munit32': ({'real': 3, 'a': 1}, [*THIN, 'generator.blocks=1', 'generator.style_width=6', 'data.size=16']),
    'spade32': ({'real': 3, 'input': 1}, [*THIN, 'generator.hidden=4', 'data.size=16']),
    'esrgan32': ({'real': 3, 'input': 3}, [*THIN, *ENLARGEMENT, 'data.size=32']),
}
# Biases of logits have no gradient in a relativistic loss, nor in the hinge loss while logits are within the margin.
CANCELLED = {'spade32': ('Conv_3.bias', 'Conv_7.bias'), 'esrgan32': ('Dense_1.bias',)}
QUICK, HEAVY = ('pix2pix64', 'cyclegan32'), ('munit32', 'spade32', 'esrgan32')
BATCH = 6
LABELS = np.arange(BATCH, dtype=np.int32) % 3


def slow(name):
    return pytest.param(name, marks=pytest.mark.slow)


def make(name):
    """A tiny case's config, game and state, and the twin with the same weights."""
    channels, overrides = TRANSLATIONS[name] if name in TRANSLATIONS else ({}, (TINY | NAMED)[name])
    config = benchmark.CASES[name].config([*overrides, f'batch_size={BATCH}'])
    channels = channels or {'real': config.data.channels}
    shapes = shapes_of(config, channels)
    game = build.make_game(config, shapes['real'], shapes=shapes, num_classes=3)
    state = build.init_state(config, game)
    if name in NAMED:  # some of their layers begin at zero
        state = state.replace(players={name: shaken(player) for name, player in state.players.items()})
    draw = np.random.default_rng(0).integers
    images = {field: draw(256, size=(BATCH, *shape), dtype=np.uint8) for field, shape in shapes.items()}
    images['label'] = LABELS
    if name == 'spade32':
        images['input'] %= 3  # classes
    twin = translations.make_twin(config.to_dict(), images)
    for network, player in ((twin.generator, state.generator), (twin.discriminator, state.discriminator)):
        weights.load_flax(network, *jax.device_get((player.params, player.variables)))
    return config, game, state, twin


def shapes_of(config, channels):
    """The shapes of the images with so many channels in each field of a batch."""
    sides = dict.fromkeys(channels, config.data.size)
    if config.game.name == 'super_resolution':
        sides['input'] //= config.generator.factor
    return {field: (side, side, channels[field]) for field, side in sides.items()}


def shaken(player):
    noise = iter(jax.random.split(jax.random.key(5), len(jax.tree.leaves(player.params))))
    shake = lambda leaf: leaf + 0.1 * jax.random.normal(next(noise), leaf.shape)  # noqa: E731
    return player._replace(params=jax.tree.map(shake, player.params))


def evaluate(game, state, batch, key, turns=('discriminator', 'generator')):
    """((Loss, outcome), gradients) of turns."""

    def one(turn):
        loss = jax.value_and_grad(turn.loss, has_aux=True)
        return loss(state.players[turn.player].params, state, batch, key, jnp.arange(BATCH))

    return jax.device_get(jax.jit(lambda: [one(game.turn(name)) for name in turns])())


def assert_same_metrics(metrics, outcome):
    expected = {name: float(value) for name, value in outcome.metrics.items()}
    assert {name: value.item() for name, value in metrics.items()} == pytest.approx(expected, rel=1e-4)


def assert_same_gradients(loss, network, flax_gradients, rounding=0.0, **options):
    gradients = torch.autograd.grad(loss, list(network.parameters()), **options)
    rounding *= torch.nn.utils.get_total_norm(gradients)
    for twins, ours in zip(gradients, weights.from_flax(network, flax_gradients), strict=True):
        assert twins.shape == ours.shape
        assert (twins - ours).norm() <= max(1e-4 * ours.norm(), rounding)


def to_torch(images):
    return torch.tensor(np.array(images).transpose(0, 3, 1, 2))


def assert_same_vectors(network, variables):
    for twins, ours in weights.spectral_vectors(network, variables):
        torch.testing.assert_close(twins, ours, rtol=0, atol=1e-5)


@pytest.fixture
def constant_noise(monkeypatch):
    """The noise of a style generator is in training what it is outside of it, as in a twin in evaluation mode."""
    call = modulated.PlaceNoise.__call__
    monkeypatch.setattr(
        modulated.PlaceNoise, '__call__', lambda self, images, *, train: call(self, images, train=False)
    )


@pytest.mark.parametrize('name', [*TINY, *map(slow, NAMED)])
@pytest.mark.usefixtures('constant_noise')
def test_losses_and_gradients_equal_those_of_gan_jax(name):
    config, game, state, twin = make(name)
    key, positions = jax.random.key(3), jnp.arange(BATCH)
    shape = config.data.size, config.data.size, config.data.channels
    real = jax.random.uniform(jax.random.key(4), (BATCH, *shape), minval=-1.0)

    batch, seen = {'real': real, 'label': LABELS}, {'real': to_torch(real)}
    if twin.is_told:
        seen['label'] = torch.tensor(LABELS, dtype=torch.long)
    if name == 'stylegan2_32':
        twin.generator.eval()
    turns = evaluate(game, state, batch, key)
    ((judged, outcome), discriminator_gradients), ((made, made_outcome), maker_gradients) = turns
    latents = torch.tensor(np.array(game.latents(stream(key, 'latents'), positions)))
    penalty_key = stream(jax.random.fold_in(stream(key, 'terms'), 0), 'gradient_penalty')
    draw = jax.vmap(lambda place: jax.random.uniform(jax.random.fold_in(penalty_key, place)))
    shares = torch.tensor(np.array(draw(positions)))

    loss, metrics = twin.discriminator_loss(seen, latents, shares)
    assert loss.item() == pytest.approx(float(judged), rel=1e-4)
    assert_same_metrics(metrics, outcome)
    # The bias before a batch normalisation has no gradient but rounding.
    rounding = 1e-6 if name in NAMED else 0.0
    assert_same_gradients(loss, twin.discriminator, discriminator_gradients, rounding)
    assert_same_vectors(twin.discriminator, outcome.variables)  # moved on by two passes
    assert_same_vectors(twin.generator, state.generator.variables)  # left alone
    weights.load_flax(twin.discriminator, state.discriminator.params, state.discriminator.variables)
    twin.discriminator.requires_grad_(False)
    loss, _ = twin.generator_loss(seen, latents)
    assert_same_vectors(twin.discriminator, state.discriminator.variables)  # left alone
    assert loss.item() == pytest.approx(float(made), rel=1e-4)
    assert_same_gradients(loss, twin.generator, maker_gradients, rounding)
    assert_same_vectors(twin.generator, made_outcome.variables)
    if name == 'stylegan2_32':
        np.testing.assert_allclose(twin.generator.average, made_outcome.variables['styles']['average'], atol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures('constant_noise')
def test_lazy_terms_of_a_style_generator_equal_those_of_gan_jax():
    config, game, state, twin = make('stylegan2_32')
    twin.generator.eval()
    key, positions = jax.random.key(3), jnp.arange(BATCH)
    real = jax.random.uniform(jax.random.key(4), (BATCH, config.data.size, config.data.size, 3), minval=-1.0)
    latents = torch.tensor(np.array(game.latents(stream(key, 'latents'), positions)))
    noise_key = stream(jax.random.fold_in(stream(key, 'terms'), 0), 'path_length')
    draw = jax.vmap(lambda place: jax.random.normal(jax.random.fold_in(noise_key, place), real.shape[1:]))
    r1, path_length = evaluate(game, state, {'real': real}, key, ('discriminator/lazy', 'generator/lazy'))
    losses = {
        'discriminator': (r1, twin.lazy_discriminator_loss({'real': to_torch(real)})),
        'generator': (path_length, twin.lazy_generator_loss(latents, to_torch(draw(positions[::2])))),
    }
    for player, (((value, outcome), gradients), (loss, metrics)) in losses.items():
        assert loss.item() == pytest.approx(float(value), rel=1e-4)
        assert_same_metrics(metrics, outcome)
        # The last bias has no part in a gradient by the images.
        network, unused = getattr(twin, player), {'allow_unused': True, 'materialize_grads': True}
        assert_same_gradients(loss, network, gradients, **unused)
    ((_, outcome), _) = path_length
    assert twin.length.item() == pytest.approx(float(outcome.memory['generator_terms']['path_length']), rel=1e-4)


@pytest.mark.parametrize('name', [*QUICK, *map(slow, HEAVY)])
def test_losses_and_gradients_of_translations_equal_those_of_gan_jax(name):
    config, game, state, twin = make(name)
    key, shapes = jax.random.key(3), shapes_of(config, TRANSLATIONS[name][0])
    batch = {
        field: jax.random.uniform(jax.random.key(number), (BATCH, *shape), minval=-1.0)
        for number, (field, shape) in enumerate(shapes.items())
    }
    if name == 'spade32':
        batch['input'] = jnp.floor(1.5 * (batch['input'] + 1)) / 127.5 - 1  # three classes
    turns = evaluate(game, state, batch, key)
    seen = prepared(twin, {field: to_torch(images) for field, images in batch.items()})
    drawn = []
    if name == 'munit32':
        keys = {way: stream(stream(key, way), 'latents') for way in two_domains.DIRECTIONS}
        drawn = [{way: torch.tensor(np.array(game.latents(key, jnp.arange(BATCH)))) for way, key in keys.items()}]
    losses = (twin.discriminator_loss, twin.discriminator), (twin.generator_loss, twin.generator)
    for ((value, outcome), gradients), (twins_loss, network) in zip(turns, losses, strict=True):
        loss, metrics = twins_loss(seen, *drawn)
        assert loss.item() == pytest.approx(float(value), rel=1e-4)
        assert_same_metrics(metrics, outcome)
        # The bias before an instance or batch normalisation has no gradient but rounding.
        assert_same_gradients(loss, network, gradients, rounding=0.0 if name == 'pix2pix64' else 1e-6)
        if name == 'spade32':
            assert_same_vectors(network, outcome.variables)
            weights.load_flax(twin.discriminator, state.discriminator.params, state.discriminator.variables)
            twin.discriminator.requires_grad_(False)


def prepared(twin, batch):
    """The batch with what both turns of the twin share."""
    match twin:
        case translations.CycleGan():
            return twin.translated({'a': batch['a'], 'b': batch['real']})
        case munit.Munit():
            return twin.encoded({'a': batch['a'], 'b': batch['real']})
        case spade.Spade():
            return twin.painted(batch)
        case esrgan.Esrgan():
            return twin.enlarged(twin.cropped(batch))
    return batch


def test_a_crop_and_its_input_stay_together():
    _, _, _, twin = make('esrgan32')
    twin.config = {'game': {'crop': 8, 'rotate': True}}
    inputs = torch.arange(BATCH * 64.0).view(BATCH, 1, 8, 8)
    batch = twin.cropped({'real': inputs.repeat_interleave(4, 2).repeat_interleave(4, 3), 'input': inputs})
    assert batch['input'].shape == (BATCH, 1, 2, 2)
    torch.testing.assert_close(batch['real'], batch['input'].repeat_interleave(4, 2).repeat_interleave(4, 3))


def test_a_pool_shows_what_it_remembers_half_of_the_time():
    torch.manual_seed(0)
    pool, first = translations.Pool(torch.zeros(50, 1, 1, 1)), torch.arange(1.0, 51).view(50, 1, 1, 1)
    assert (pool.exchange(first) == first).all()  # an empty place shows what it takes
    assert pool.images.flatten().sort().values.tolist() == first.flatten().tolist()
    shown = pool.exchange(-first)
    old = shown > 0
    assert 10 < old.sum() < 40
    assert (pool.images < 0).sum() == old.sum()  # each remembered image that is shown has left its place to a new one
    everything = torch.cat([shown, pool.images]).flatten().sort().values
    assert everything.tolist() == torch.cat([first, -first]).flatten().sort().values.tolist()


def test_images_of_a_pair_stay_together():
    pixels = torch.arange(20, dtype=torch.uint8)[:, None, None, None].repeat(1, 1, 1, 2)
    pixels[..., 1] += 100
    places = order.Order({'real': pixels, 'input': pixels + 20}, 5, flip=True)
    for _ in range(8):
        batch = places.next()
        torch.testing.assert_close(batch['input'] - batch['real'], torch.full((5, 1, 1, 2), 2 * 20 / 255))


@pytest.mark.parametrize('name', ['mlp', *QUICK, *map(slow, [*NAMED, *HEAVY])])
def test_a_step_reports_the_metrics_of_gan_jax_and_moves_everything(name):
    config, game, state, twin = make(name)
    channels = TRANSLATIONS[name][0] if name in TRANSLATIONS else {'real': config.data.channels}
    batch = {field: jnp.zeros((BATCH, *shape)) for field, shape in shapes_of(config, channels).items()}
    batch['label'] = jnp.asarray(LABELS)
    if game.batches > 1:
        batch = {field: jnp.stack([array] * game.batches) for field, array in batch.items()}
    _, metrics = jax.eval_shape(build.make_step(config, game), state, batch)
    constants = {id(noise) for name, noise in twin.generator.named_buffers() if name.endswith('.constant')}
    pairs = zip(twin.averages, twin.averaged, strict=True)
    averages = [average for average, averaged in pairs if id(averaged) not in constants]
    cancelled = CANCELLED.get(name, ())
    discriminators = [value for own_name, value in twin.discriminator.named_parameters() if own_name not in cancelled]
    moving = [*averages, *twin.generator.parameters(), *discriminators]
    before = [value.detach().clone() for value in moving]
    means = twin.run(2)
    assert means.keys() == metrics.keys()
    assert np.isfinite(list(means.values())).all()
    assert all((old != new).any() for old, new in zip(before, moving, strict=True))


def test_the_average_follows_the_rule_of_gan_jax():
    config, _, _, twin = make('mlp')
    decay = float(build.optim.ema_decay(config.ema.half_life_kimg, config.ema.ramp_up, BATCH)(jnp.asarray(5)))
    twin.steps, old, new = 5, twin.averages[0].clone(), twin.averaged[0].detach().clone()
    twin.average()
    torch.testing.assert_close(twin.averages[0], decay * old + (1 - decay) * new)
