"""The transformers of GAT: published numbers of parameters, stages, style, classes, options, a whole train step."""

import functools
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import build
from gan_jax import config as configs
from gan_jax.config import json_values
from gan_jax.errors import UserError
from gan_jax.layers import stages, transformer
from gan_jax.models.gat import Discriminator, Generator
from tests import compiled

CONFIG = pathlib.Path(__file__).parents[2] / 'configs' / 'gat.py'
TINY = {'width': 16, 'depth': 4, 'heads': 2}
SHAPE = (8, 4, 1)
KEY = jax.random.key(0)


def count(module, inputs):
    labels = jnp.zeros(1, jnp.int32)
    variables = jax.eval_shape(lambda: module.init(KEY, jnp.zeros((1, *inputs)), labels, train=False))
    return sum(leaf.size for leaf in jax.tree.leaves(variables['params']))


@pytest.mark.parametrize(
    ('width', 'depth', 'heads', 'made', 'judging'),
    [
        (384, 12, 6, 29_361_344, 32_654_464),
        (768, 12, 12, 116_754_752, 97_331_968),
        (1024, 24, 16, 408_748_576, 315_166_688),
        (1152, 28, 16, 602_251_136, 459_547_456),
    ],
)
def test_published_numbers_of_parameters(width, depth, heads, made, judging):
    """The published networks count their fixed table of positions, and the generator a patch embedding without use."""
    options = {'width': width, 'depth': depth, 'heads': heads, 'num_classes': 1000}
    table, unused = 256 * width, (2 * 2 * 4 + 1) * width
    assert count(Generator((32, 32, 4), conditioning='concatenate', **options), (64,)) == made - table - unused
    discriminator = Discriminator(conditioning='projection', projection_size=2048, **options)
    assert count(discriminator, (32, 32, 4)) == judging - table


@functools.cache
def generator(**options):
    module = Generator(SHAPE, num_classes=3, conditioning='concatenate', **TINY, **options)
    latents, labels = jax.random.normal(KEY, (3, 8)), jnp.arange(3)
    params = compiled.init(module, KEY, latents, labels, train=False)['params']
    return module, params, latents, labels


def test_the_example_is_the_last_stage_and_stages_are_sums_of_heads():
    module, params, latents, labels = generator()
    apply = jax.jit(module.apply, static_argnames='train')
    example = apply({'params': params}, latents, labels, train=False)
    made = apply({'params': params}, latents, labels, train=True)
    assert example.shape == (3, *SHAPE)
    assert made.shape == (3, 4, *SHAPE)
    np.testing.assert_allclose(made[:, -1], example, atol=1e-5)
    # A head that is moved by a constant moves its stage and all later ones by as much.
    moved = {**params, 'head2': {**params['head2'], 'bias': params['head2']['bias'] + 1}}
    difference = apply({'params': moved}, latents, labels, train=True) - made
    np.testing.assert_allclose(
        difference, np.broadcast_to([[[[[0]]], [[[0]]], [[[1]]], [[[1]]]]], made.shape), atol=1e-5
    )


def test_all_that_varies_comes_by_the_style():
    module, params, latents, labels = generator()
    styles = ('style', 'head0_scale', 'head1_scale', 'head2_scale', 'head3_scale')

    def still(path, leaf):
        return jnp.zeros_like(leaf) if any(part.key in styles for part in path) else leaf

    apply = jax.jit(module.apply, static_argnames='train')
    varied = apply({'params': params}, latents, labels, train=False)
    assert np.abs(varied[0] - varied[1]).max() > 1e-3
    other_class = apply({'params': params}, latents, labels[::-1], train=False)
    assert np.abs(varied[0] - other_class[0]).max() > 1e-3
    alike = apply({'params': jax.tree_util.tree_map_with_path(still, params)}, latents, labels, train=False)
    np.testing.assert_array_equal(alike[0], alike[1])
    np.testing.assert_array_equal(alike[0], alike[2])
    # Without gates the tokens stay the table of positions, and each head reads it.
    table = transformer.root_mean_square(transformer.sine_table((4, 2), 16))
    heads = [params[f'head{i}'] for i in range(4)]
    wanted = sum(table @ head['kernel'] + head['bias'] for head in heads)
    np.testing.assert_allclose(alike[0], transformer.joined(wanted[None], SHAPE, 2)[0], atol=1e-4)


def test_the_style_hears_latents_of_any_length_as_one_and_learns_a_hundredth_as_fast():
    module, params, latents, labels = generator()
    apply = jax.jit(functools.partial(module.apply, train=False))
    made, louder = (apply({'params': params}, scale * latents, labels) for scale in (1, 10))
    np.testing.assert_allclose(made, louder, atol=1e-4)
    kernel = params['map1']['kernel']
    bound = 100 * (6 / sum(kernel.shape)) ** 0.5
    assert 0.9 * bound < np.abs(kernel).max() <= bound


@functools.cache
def discriminator(**options):
    module = Discriminator(num_classes=3, conditioning='projection', **TINY, **options)
    examples, labels = jax.random.normal(KEY, (3, *SHAPE)), jnp.arange(3)
    params = compiled.init(module, KEY, examples, labels, train=False)['params']
    return module, params, examples, labels


def test_an_example_stands_for_all_of_its_stages_and_each_gets_its_noise():
    module, params, examples, labels = discriminator()
    several = jnp.broadcast_to(examples[:, None], (3, 4, *SHAPE))

    @functools.partial(jax.jit, static_argnames='train')
    def logits(examples, key, train):
        return module.apply({'params': params}, examples, labels, train=train, rngs={'noise': key}).logits

    assert logits(examples, KEY, True).shape == (3,)
    for train in (False, True):
        np.testing.assert_allclose(logits(examples, KEY, train), logits(several, KEY, train), atol=1e-6)
    assert np.abs(logits(examples, KEY, True) - logits(examples, jax.random.key(1), True)).max() > 1e-4
    # The noise is that of the levels: given beforehand to a discriminator without noise, it makes the same logits.
    module_key = module.apply({}, rngs={'noise': KEY}, method=lambda self: self.make_rng('noise'))
    noisy = jax.jit(lambda key: stages.perturb(several, stages.linear(4), key, jnp.arange(3)))(module_key)
    silent = Discriminator(num_classes=3, conditioning='projection', noise='none', **TINY)
    wanted = compiled.apply(silent, {'params': params}, noisy, labels, train=True).logits
    np.testing.assert_allclose(logits(examples, KEY, True), wanted, atol=1e-5)


def test_the_logit_is_a_product_of_features_and_class():
    module, params, examples, labels = discriminator()
    silent = {**params, 'project': jax.tree.map(jnp.zeros_like, params['project'])}
    apply = jax.jit(functools.partial(module.apply, train=False))
    np.testing.assert_array_equal(apply({'params': silent}, examples, labels).logits, 0)
    logits = [apply({'params': params}, examples, jnp.full(3, label)).logits for label in range(3)]
    mixed = apply({'params': params}, examples, jnp.eye(3)).logits
    np.testing.assert_allclose(mixed, [logits[i][i] for i in range(3)], rtol=1e-4)
    assert np.abs(logits[0] - logits[1]).min() > 0


def test_without_conditioning_all_examples_are_of_one_class():
    module = Generator(SHAPE, **TINY)
    variables = compiled.init(module, KEY, jnp.ones((2, 8)), train=False)
    made = compiled.apply(module, variables, jnp.ones((2, 8)), train=False)
    assert made.shape == (2, *SHAPE)
    assert variables['params']['classes']['table'].shape == (1, 64)
    variables = compiled.init(Discriminator(**TINY), KEY, made, train=False)
    judged = compiled.apply(Discriminator(**TINY), variables, made, train=False)
    assert judged.logits.shape == (2,)
    assert list(judged.features) == ['block0', 'block1', 'block2', 'block3']
    assert variables['params']['classes']['table'].shape == (1, 16)


def test_one_stage_has_no_axis():
    module = Generator((4, 4, 1), stages=1, **TINY)
    made, _ = jax.eval_shape(lambda: module.init_with_output(KEY, jnp.ones((2, 8)), train=True))
    assert made.shape == (2, 4, 4, 1)


@pytest.mark.parametrize(
    ('module', 'inputs', 'message'),
    [
        (
            Generator(SHAPE, depth=6, width=16, heads=2),
            (8,),
            r'generator.depth is 6; it must be a multiple of 4 stages',
        ),
        (Generator((9, 8, 1), **TINY), (8,), r'Patches of 2x2 pixels do not cover'),
        (Generator(SHAPE, width=16, depth=4, heads=3), (8,), r'generator.heads is 3; it must be a divisor of 16'),
        (Generator(SHAPE, width=12, depth=4, heads=2), (8,), r'dimensions of a head of attention is 6'),
        (Generator(SHAPE, conditioning='planes', **TINY), (8,), r"no conditioning 'planes'"),
        (
            Generator(SHAPE, conditioning='concatenate', **TINY),
            (8,),
            r'generator\.conditioning .* there are no classes',
        ),
        (Discriminator(noise='loud', **TINY), SHAPE, r"no noise of stages 'loud'"),
        (Discriminator(**TINY), (3, *SHAPE), r'has 4 stages, but the generator makes 3'),
        (Discriminator(**TINY), (10,), r'give images \[H, W, C\]'),
    ],
)
def test_impossible_options_are_refused(module, inputs, message):
    with pytest.raises(UserError, match=message):
        jax.eval_shape(lambda: module.init(KEY, jnp.zeros((2, *inputs)), train=False))


def test_the_learning_rate_follows_the_width():
    small = configs.load(f'{CONFIG}:small')
    assert small.generator_optimizer.learning_rate == pytest.approx(2e-4 * 768 / 128)
    published = configs.load(f'{CONFIG}:cifar10,L', {'generator.width': '512'})
    assert published.generator_optimizer.learning_rate == pytest.approx(3e-4)
    assert published.discriminator_optimizer.learning_rate == pytest.approx(1.5e-4)
    own = configs.load(f'{CONFIG}:cifar10', {'generator.width': '512', 'generator_optimizer.learning_rate': '1e-4'})
    assert own.generator_optimizer.learning_rate == 1e-4
    again = json_values.from_json(json_values.to_json(published))
    assert again == published


@pytest.mark.slow
def test_devices_play_the_game_of_one():
    """The losses of both turns, whose latents, augmentation and noise belong to places."""
    config = configs.load(f'{CONFIG}:debug')
    rng = np.random.default_rng(0)
    batch = {'real': rng.uniform(-1, 1, (4, *SHAPE)).astype(np.float32), 'label': np.arange(4)}
    given = batch, np.arange(4)
    alone, shared = (build.make_game(config, SHAPE, axis_name, num_classes=10) for axis_name in (None, 'batch'))
    state = build.init_state(config, alone)

    def losses(game, batch, positions):
        turns = {turn.title: (turn.loss, getattr(state, turn.player).params) for turn in game.turns}
        return {title: loss(params, state, batch, KEY, positions)[0] for title, (loss, params) in turns.items()}

    wanted = jax.jit(functools.partial(losses, alone))(*given)
    halves = jax.tree.map(lambda leaf: leaf.reshape(2, 2, *leaf.shape[1:]), given)
    made = jax.pmap(lambda *half: jax.lax.pmean(losses(shared, *half), 'batch'), 'batch', out_axes=None)(*halves)
    assert set(made) == {'discriminator', 'generator'}
    for title, value in made.items():
        np.testing.assert_allclose(value, wanted[title], rtol=1e-4)
