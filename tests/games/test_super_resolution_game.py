"""Super-resolution: its losses by hand, its crops, its phase without an adversary, and what is refused."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_jax import build, losses, steps
from gan_jax import config as configs
from gan_jax.augmentation import augment
from gan_jax.content import Content
from gan_jax.errors import UserError
from gan_jax.game import Outcome
from gan_jax.games.super_resolution import Crops, super_resolution
from gan_jax.layers.bicubic import repeated
from gan_jax.networks import pure
from tests import compiled

CROPS, BATCH = Crops((2, 3, 1), (8, 12, 1)), 3
SGD = {'generator': optax.sgd(0.1), 'discriminator': optax.sgd(0.1)}
CONFIGS = pathlib.Path(__file__).parents[2] / 'configs'


def images(seed, shape):
    return jax.random.normal(jax.random.key(seed), (BATCH, *shape))


def game_of(crops=CROPS, **options):
    """An enlargement by repeated pixels, times a parameter, against a discriminator of the mean."""
    generator = pure(lambda key: jnp.float32(0.7), lambda w, x: w * repeated(x, crops.factor))
    discriminator = pure(lambda key: jnp.float32(0.4), lambda v, x: v * x.mean((1, 2, 3)))
    return super_resolution(generator, discriminator, losses.non_saturating(), crops, **options)


def values_of(game, name, batch):
    state, loss = compiled.init_state(game, SGD, jax.random.key(0)), game.turn(name).loss
    key, places = jax.random.key(3), jnp.arange(BATCH)
    params = state.players[name].params
    return jax.value_and_grad(lambda params: loss(params, state, batch, key, places)[0])(params)


@pytest.mark.parametrize('norm', ['squared', 'absolute'])
def test_a_generator_minimises_pixels_features_and_its_adversary(norm):
    features = Content('means', lambda x, y: jnp.square(x.mean((1, 2)) - y.mean((1, 2))).mean())
    game = game_of(pixels=3.0, norm=norm, content=features, content_weight=5.0, adversary=0.01)
    batch = {'input': images(1, CROPS.inputs), 'real': images(2, CROPS.shape)}
    measure = {'squared': jnp.square, 'absolute': jnp.abs}[norm]

    def generator(w):
        made = w * repeated(batch['input'], 4)
        content = jnp.square(made.mean((1, 2)) - batch['real'].mean((1, 2))).mean()
        adversary = jax.nn.softplus(-0.4 * made.mean((1, 2, 3))).mean()
        return 3 * measure(made - batch['real']).mean() + 5 * content + 0.01 * adversary

    def discriminator(v):
        real, fake = (v * some.mean((1, 2, 3)) for some in (batch['real'], 0.7 * repeated(batch['input'], 4)))
        return jax.nn.softplus(-real).mean() + jax.nn.softplus(fake).mean()

    for name, by_hand, at in (('generator', generator, 0.7), ('discriminator', discriminator, 0.4)):
        np.testing.assert_allclose(
            values_of(game, name, batch), jax.value_and_grad(by_hand)(jnp.float32(at)), rtol=1e-5
        )


def test_without_an_adversary_only_the_generator_moves_and_sees_pixels():
    game = game_of(adversary=0.0)
    assert [turn.title for turn in game.turns] == ['generator']
    batch = {'input': images(1, CROPS.inputs), 'real': images(2, CROPS.shape)}
    value, _ = values_of(game, 'generator', batch)
    np.testing.assert_allclose(value, jnp.square(0.7 * repeated(batch['input'], 4) - batch['real']).mean(), rtol=1e-6)
    state = compiled.init_state(game, SGD, jax.random.key(0))
    after, metrics = steps.make_train_step(game, SGD)(state, batch)
    assert after.generator.params != state.generator.params
    assert after.discriminator.params == state.discriminator.params == jnp.float32(0.4)
    assert 'generator/pixels' in metrics
    assert not any(name.startswith('discriminator/') for name in metrics)


def test_without_an_adversary_the_generator_makes_as_many_steps_as_with_one():
    for adversary in (0.0, 0.01):
        (turn,) = (t for t in game_of(adversary=adversary, generator_steps=2).turns if t.player == 'generator')
        assert turn.times == 2


def test_crops_of_an_image_and_its_input_are_at_the_same_place():
    factor = 4
    crops = Crops((6, 8, 2), (6 * factor, 8 * factor, 2), side=3 * factor, rotate=True)
    small = jax.random.normal(jax.random.key(0), (40, *crops.inputs))
    large, key, places = repeated(small, factor), jax.random.key(1), jnp.arange(40)
    cut, cut_small = jax.jit(crops.cut)(large, small, key, places)
    assert cut.shape == (40, *crops.large)
    np.testing.assert_array_equal(cut, repeated(cut_small, factor))

    wheres = []
    for image, part in zip(np.asarray(small), np.asarray(cut_small), strict=True):
        windows = {
            (y, x, turn): np.rot90(image[y : y + 3, x : x + 3], turn)
            for y in range(4)
            for x in range(6)
            for turn in range(4)
        }
        (where,) = [where for where, window in windows.items() if np.array_equal(window, part)]
        wheres.append(where)
    for axis, values in enumerate(([0, 1, 2, 3], [0, 1, 2, 3, 4, 5], [0, 1, 2, 3])):
        assert {where[axis] for where in wheres} == set(values)  # 40 draws miss none here
    again, _ = crops.cut(large[30:], small[30:], key, places[30:])
    np.testing.assert_array_equal(again, cut[30:])


def test_the_turns_of_a_step_see_the_same_crops_and_those_of_the_next_step_others():
    def loss(params, state, batch, key, positions):
        assert batch['real'].shape == (BATCH, 8, 8, 1)
        assert batch['input'].shape == (BATCH, 2, 2, 1)
        return params, Outcome({}, {'real': batch['real'].sum(), 'input': batch['input'].sum()}, {})

    game = game_of(Crops((4, 4, 1), (16, 16, 1), side=8))
    game = game._replace(turns=tuple(turn._replace(loss=loss) for turn in game.turns))
    step, state = jax.jit(steps.make_train_step(game, SGD)), steps.init_state(game, SGD, jax.random.key(0))
    batch = {'input': images(1, (4, 4, 1)), 'real': images(2, (16, 16, 1))}
    state, first = step(state, batch)
    _, second = step(state, batch)
    for field in ('real', 'input'):
        assert first[f'generator/{field}'] == first[f'discriminator/{field}'] != second[f'generator/{field}']


def test_samples_are_whole_images_and_pictures_show_what_bicubic_makes():
    game = game_of(Crops((4, 4, 1), (16, 16, 1), side=8))
    batch = {'input': images(1, (4, 4, 1)), 'real': images(2, (16, 16, 1))}
    shown = game.show(jnp.float32(2.0), {}, jnp.zeros((BATCH, 0)), batch)
    assert list(shown) == ['bicubic', 'output', 'target']
    np.testing.assert_allclose(shown['output'], 2 * repeated(batch['input'], 4))
    assert shown['bicubic'].shape == (BATCH, 16, 16, 1)
    assert game.given == 'input'


def test_the_protocol_names_the_perceptual_loss():
    content = Content('VGG19 conv5_4', lambda x, y: jnp.zeros(()))
    assert game_of(content=content).note == 'perceptual loss: VGG19 conv5_4'
    assert game_of().note == ''


@pytest.mark.parametrize(
    ('make', 'sentence'),
    [
        (
            lambda: Crops((2, 2, 1), (8, 8, 1), side=12),
            'game.crop=12 is larger than the images of 8x8 pixels: choose a',
        ),
        (lambda: Crops((4, 4, 1), (16, 16, 1), side=6), 'game.crop is 6; it must be a multiple of the factor 4'),
        (lambda: Crops((3, 3, 1), (8, 8, 1)), 'Images of 8x8 pixels are not enlargements of inputs of 3x3: use data'),
        (lambda: Crops((8, 8, 1), (8, 8, 1)), 'Images of 8x8 pixels are not enlargements of inputs of 8x8: use data'),
        (lambda: Crops((2, 3, 1), (8, 12, 1), rotate=True), 'Images of 8x12 pixels cannot be rotated: set game.crop'),
        (lambda: game_of(adversary=-1.0), 'adversary is -1.0; it must be at least 0'),
        (lambda: game_of(norm='l1'), "There is no norm 'l1'"),
        (lambda: game_of(augmentation=augment.diff_augment()), 'super_resolution does not support augmentation'),
        (lambda: values_of(game_of(), 'generator', {'real': images(1, (8, 12, 1))}), 'this game needs input and real'),
    ],
)
def test_sentences(make, sentence):
    with pytest.raises(UserError, match=sentence):
        make()


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'generator.factor': '2'}, r"generator.factor is 2, but the images of 'quarter:leaves' are 4 times as large"),
        ({'game.crop': '96'}, 'game.crop=96 is larger than the images of 64x64 pixels'),
        (
            {'game.content': 'vgg19', 'game.adversary': '0.1'},
            r'The perceptual loss needs the weights of VGG19, and .* does',
        ),
    ],
)
def test_sentences_about_a_config(changes, sentence, monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    config = configs.load(str(CONFIGS / 'srgan.py:debug'), changes)
    with pytest.raises(UserError, match=sentence):
        build.step_metrics(config, (64, 64, 3), shapes={'input': (16, 16, 3)})


def test_sentences_about_an_argument():
    with pytest.raises(UserError, match=r'^Super-resolution enlarges by 2 or 4, not by 3: choose one of these\.'):
        configs.load(str(CONFIGS / 'esrgan.py:folder:/photos,3'))
    config = configs.load(str(CONFIGS / 'esrgan.py:folder:/photos,2'))
    assert (config.data.name, config.generator.factor) == ('half:folder:/photos', 2)
