"""Path lengths of generators whose paths are known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.errors import UserError
from gan_jax.evaluation.features.extractor import Extractor, Features
from gan_jax.evaluation.path_length import feature_distance, perceptual_path_length
from gan_jax.game import named_key, normal_latents, uniform_latents
from gan_jax.sampling.latents import normal_scores

MATRIX = np.random.default_rng(0).normal(size=(5, 12))


def squared(x, y):
    return np.sum((x - y) ** 2, axis=tuple(range(1, x.ndim)))


def linear(latents):
    return latents @ MATRIX


def latents(key, positions):
    return np.asarray(normal_latents(5)(key, positions), np.float64)


def length(generate=linear, **options):
    return perceptual_path_length(generate, latents, squared, **{'num': 50, 'batch_size': 16, **options})


def ends(num, seed=0):
    z = latents(named_key(seed, 'path length'), jnp.arange(2 * num))
    return z[0::2], z[1::2]


def test_a_linear_generator_in_w():
    start, end = ends(50)
    lengths = squared(linear(2 * start + 1), linear(2 * end + 1))  # wherever the step begins
    estimate = length(mapping=lambda z: 2 * z + 1, space='w', trim=None)
    np.testing.assert_allclose(estimate[:2], (lengths.mean(), lengths.std(ddof=1) / np.sqrt(50)), rtol=1e-7)
    assert estimate.rule == 'lerp in w, full, epsilon 0.0001, 50 pairs, all, standard error over pairs'
    assert length(mapping=lambda z: 2 * z + 1, space='w', trim=None, sampling='end').value == pytest.approx(
        estimate.value, rel=1e-7
    )


def test_the_percentiles_that_count():
    start, end = ends(50)
    inner = np.sort(squared(linear(start), linear(end)))
    # of 50, percentile 1 is at place 0.49 and 99 at 48.51: the published rule goes outwards and keeps all
    assert length(space='w').value == pytest.approx(inner.mean(), rel=1e-7)
    # 10 is at 4.9 and 90 at 44.1: places 4 to 45
    assert length(space='w', trim=(10, 90)).value == pytest.approx(inner[4:46].mean(), rel=1e-7)
    assert 'percentiles 10 to 90' in length(space='w', trim=(10, 90)).rule


def test_the_sphere_in_z():
    start, end = ends(50)
    unit = [z / np.linalg.norm(z, axis=1, keepdims=True) for z in (start, end)]
    angles = np.arccos(np.sum(unit[0] * unit[1], axis=1))

    def normalise(z):
        return z / np.linalg.norm(z, axis=1, keepdims=True)

    # a chord of a small angle a is 2 sin(a / 2); images are the points of the unit sphere themselves
    chords = (2 * np.sin(angles * 1e-3 / 2) / 1e-3) ** 2
    estimate = length(lambda w: w, mapping=normalise, epsilon=1e-3, trim=None)
    assert estimate.value == pytest.approx(chords.mean(), rel=1e-8)
    assert estimate.rule.startswith('slerp in z, full, epsilon 0.001')


def test_the_great_circles_of_uniform_latents_are_those_of_their_normal_scores():
    def uniform(key, positions):
        return np.asarray(uniform_latents(5)(key, positions), np.float64)

    def length_of(generate, draw, **options):
        options = {'num': 50, 'epsilon': 1e-3, 'trim': None, **options}
        return perceptual_path_length(generate, draw, squared, **options)

    normal = length_of(linear, lambda key, positions: normal_scores(uniform(key, positions)))
    found = length_of(lambda z: linear(normal_scores(z)), uniform, distribution='uniform')
    assert found[:2] == pytest.approx(normal[:2], rel=1e-6)
    assert found.rule.startswith('slerp of normal scores in z, full')
    seen = []
    length_of(lambda z: seen.append(np.abs(z).max()) or linear(z), uniform, distribution='uniform')
    assert max(seen) < 1


def test_a_step_at_the_end_begins_there():
    def bent(w):
        return np.sum(w**2, axis=1, keepdims=True)

    start, end = ends(50)
    slope = 2 * np.sum(start * (end - start), axis=1)  # the derivative of |start + t (end - start)|^2 at t = 0
    ended = length(bent, space='w', sampling='end', epsilon=1e-6, trim=None)
    assert ended.value == pytest.approx((slope**2).mean(), rel=1e-4)
    assert length(bent, space='w', epsilon=1e-6, trim=None).value != pytest.approx(ended.value, rel=0.05)


def test_a_collapsed_generator_has_length_zero():
    assert length(lambda w: np.zeros((len(w), 3)))[:2] == (0, 0)


def test_seeds_and_batches():
    values = [length(seed=seed, batch_size=batch).value for seed, batch in [(0, 16), (0, 7), (1, 16)]]
    assert values[0] == pytest.approx(values[1], rel=1e-9)
    assert values[0] != pytest.approx(values[2], rel=1e-3)


def test_jax_generators_and_features():
    def apply(images):
        return Features(images.reshape(len(images), -1) / 127.5)

    extractor = Extractor('pixels', 'pixels', apply)
    matrix = jnp.asarray(MATRIX, jnp.float32) / 50
    generate = jax.jit(lambda w: (w @ matrix).reshape(-1, 2, 2, 3))
    options = {'space': 'w', 'num': 10, 'epsilon': 0.01, 'trim': None}
    estimate = perceptual_path_length(generate, normal_latents(5), feature_distance(extractor), **options)
    start, end = ends(10)
    assert estimate.value == pytest.approx(squared(linear(start), linear(end)).mean() / 2500, rel=1e-3)


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        ({'space': 'x'}, r"^space is 'x'; it must be 'z' or 'w'"),
        ({'sampling': 'half'}, r"^sampling is 'half'; it must be 'full' or 'end'"),
        ({'distribution': 'gaussian'}, "distribution of latents 'gaussian'"),
        ({'num': 1}, r'^num is 1; it must be at least 2'),
        ({'epsilon': 0.0}, r'^epsilon is 0\.0; it must be above 0'),
        ({'trim': (99, 1)}, r'^trim is \(99, 1\); it must be None or two percentiles in \[0, 100\]'),
        (
            {'generate': lambda z: np.zeros((len(z), 3), np.uint8)},
            r'^The generator made images of uint8; a path length',
        ),
        (
            {'generate': lambda z: z * np.nan},
            r'^50 of 50 path lengths are not finite: check the images of the generator\.',
        ),
    ],
)
def test_bad_input(options, sentence):
    with pytest.raises(UserError, match=sentence):
        length(**options)
