"""Every transform alone against a closed form or SciPy, distributions, the controller, randomness by position."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from gan_jax.augmentation import adaptive as adaptive_augment
from gan_jax.augmentation import augment, geometry, wavelets
from gan_jax.errors import UserError
from tests import golden_files

KEY = jax.random.key(3)
POSITIONS = jnp.arange(16)
ALL = tuple(adaptive_augment.TRANSFORMS)


def images(channels=3, size=16, count=16):
    return np.random.default_rng(0).uniform(-1, 1, (count, size, size, channels)).astype(np.float32)


@functools.cache
def applied(name, *transforms):
    return jax.jit(augment.AUGMENTATIONS[name](*([transforms] if transforms else [])).apply)


def augmented(*transforms, channels=3, probability=1.0):
    before = images(channels)
    return before, np.asarray(applied('ada', *transforms)(before, KEY, POSITIONS, probability))


@functools.cache
def samples(probability, count=4000):
    """The values that `count` keys give to every transform, [count, ...] each."""
    draw = jax.jit(jax.vmap(lambda key: adaptive_augment.sample(key, probability, ALL)))
    return {name: np.asarray(value) for name, value in draw(jax.random.split(KEY, count)).items()}


def neutral(**values):
    return {name: transform.neutral for name, transform in adaptive_augment.TRANSFORMS.items()} | values


@jax.jit
def warped(image, values):
    return geometry.warp(image, geometry.inverse_geometry(values, image.shape))


@pytest.mark.parametrize('channels', [1, 3])
def test_ada_at_probability_0_is_the_identity_bit_for_bit(channels):
    before = images(channels)
    before[0, 0, 0, 0] = -0.0
    after = applied('ada', *ALL)(before, KEY, POSITIONS, 0.0)
    assert after.dtype == before.dtype
    assert np.asarray(after).tobytes() == before.tobytes()


def test_none_leaves_examples_of_any_shape():
    points = jnp.ones((3, 2))
    assert augment.none().apply(points, KEY, jnp.arange(3), 1.0) is points
    assert augment.none().controller is None


def test_flip_mirrors_half_of_the_images():
    before, after = augmented('flip')
    mirrored = [np.array_equal(b, a[:, ::-1]) for b, a in zip(before, after, strict=True)]
    same = [np.array_equal(b, a) for b, a in zip(before, after, strict=True)]
    assert all(np.logical_xor(mirrored, same))
    assert 0 < sum(same) < len(same)


def test_rotate90_turns_images_exactly():
    before, after = augmented('rotate90')
    turns = [[np.array_equal(np.rot90(b, k), a) for k in range(4)] for b, a in zip(before, after, strict=True)]
    assert (np.sum(turns, axis=1) == 1).all()
    assert np.any(turns, axis=0).all()
    np.testing.assert_array_equal(warped(before[0], neutral(rotate90=1.0)), np.rot90(before[0]))


def test_integer_translation_moves_whole_pixels_and_mirrors_the_borders():
    before, after = augmented('translate_integer')
    seen = set()
    for b, a in zip(before, after, strict=True):
        padded = np.pad(b, ((2, 2), (2, 2), (0, 0)), 'reflect')
        moves = [(y, x) for y in range(5) for x in range(5) if np.array_equal(padded[y : y + 16, x : x + 16], a)]
        assert len(moves) == 1
        seen.update(moves)
    assert len(seen) > 5


def forward(values, size):
    """The forward geometric map of the paper's pipeline, step by step, in NumPy."""

    def rotation(angle):  # counter-clockwise on a screen whose y points down
        return np.array([[math.cos(angle), math.sin(angle), 0], [-math.sin(angle), math.cos(angle), 0], [0, 0, 1]])

    def translation(offset):
        return np.array([[1, 0, offset[0]], [0, 1, offset[1]], [0, 0, 1]])

    scale, stretch = values['scale'], values['anisotropic_scale']
    steps = [
        np.diag([1 - 2 * values['flip'], 1, 1]),
        rotation(math.pi / 2 * values['rotate90']),
        translation(np.round(values['translate_integer'] * size)),
        np.diag([scale, scale, 1]),
        rotation(values['rotate'][0]),
        np.diag([stretch, 1 / stretch, 1]),
        rotation(values['rotate'][1]),
        translation(values['translate'] * size),
    ]
    return functools.reduce(lambda done, step: step @ done, steps)


@functools.partial(jax.jit, static_argnames='shape')
def drawn(key, shape):
    """A value of every transform, and the inverse of their geometry."""
    values = adaptive_augment.sample(key, 1.0, ALL)
    return values, geometry.inverse_geometry(values, shape)


@pytest.mark.parametrize('seed', range(3))
def test_composed_geometry_is_bilinear_sampling_by_the_inverse_map(seed):
    image = images()[seed]
    values, inverse = drawn(jax.random.key(seed), image.shape)
    expected = np.linalg.inv(forward({name: np.asarray(value) for name, value in values.items()}, 16))
    np.testing.assert_allclose(inverse, expected, atol=2e-5)
    y, x = np.mgrid[:16, :16] - 7.5
    x, y, _ = np.einsum('ij,jhw->ihw', expected, np.stack([x, y, np.ones_like(x)])) + 7.5
    sampled = [
        scipy.ndimage.map_coordinates(channel, [y, x], order=1, mode='mirror') for channel in image.T.swapaxes(1, 2)
    ]
    np.testing.assert_allclose(jax.jit(geometry.warp)(image, inverse), np.stack(sampled, -1), atol=2e-4)


def test_geometry_on_images_that_are_not_square():
    image = np.random.default_rng(1).normal(size=(6, 10, 1)).astype(np.float32)
    values = neutral(translate_integer=np.array([0.125, -0.125]))  # one pixel to the right and one up
    moved = warped(image, values)
    np.testing.assert_array_equal(moved[:-1, 1:], image[1:, :-1])
    values = neutral(translate=np.array([0.05, 0.0]))  # half a pixel to the right
    moved = warped(image, values)
    np.testing.assert_allclose(moved[:, 1:], (image[:, 1:] + image[:, :-1]) / 2, atol=1e-6)


@pytest.fixture(scope='module')
def published():
    """What StyleGAN2-ADA's code makes of three images, with the matrices and gains that it has drawn."""
    return golden_files.read('sg2_ada')


@functools.cache
def compiled(function):
    return jax.jit(jax.vmap(function))


# The value of each transform at a quantile, where `normal` is the published code's: without the root of 2.
DRAWN = {
    'xflip': lambda quantile, normal: {'flip': quantile > 0.5},
    'rotate90': lambda quantile, normal: {'rotate90': math.floor(4 * quantile)},
    'xint': lambda quantile, normal: {'translate_integer': np.full(2, (2 * quantile - 1) / 8)},
    'scale': lambda quantile, normal: {'scale': 2 ** (0.2 * normal)},
    'rotate': lambda quantile, normal: {'rotate': np.array([math.pi * (2 * quantile - 1), 0])},
    'aniso': lambda quantile, normal: {'anisotropic_scale': 2 ** (0.2 * normal)},
    'xfrac': lambda quantile, normal: {'translate': np.full(2, normal / 8)},
    'brightness': lambda quantile, normal: {'brightness': 0.2 * normal},
    'contrast': lambda quantile, normal: {'contrast': 2 ** (0.5 * normal)},
    'lumaflip': lambda quantile, normal: {'luma_flip': quantile > 0.5},
    'hue': lambda quantile, normal: {'hue': math.pi * (2 * quantile - 1)},
    'saturation': lambda quantile, normal: {'saturation': 2**normal},
    'imgfilter': lambda quantile, normal: {'filter': np.full(4, 2**normal)},
    'cutout': lambda quantile, normal: {'cutout': np.full(2, quantile)},
}


@pytest.mark.parametrize('quantile', [0.3, 0.8])
@pytest.mark.parametrize('name', DRAWN)
def test_each_transform_is_the_published_one(published, name, quantile):
    before = golden_files.nhwc(published['in/img'])[:2]
    found = {leaf: published.get(f'out/single/{name}/{quantile}/{leaf}') for leaf in ('out', 'G_inv', 'C', 'g')}
    values = neutral(**DRAWN[name](quantile, float(jax.scipy.special.erfinv(2 * quantile - 1))))
    if name == 'cutout':
        after = np.stack([adaptive_augment.cut_out(image, values['cutout']) for image in before])
    elif found['G_inv'] is not None:
        matrix = geometry.inverse_geometry(values, before.shape[1:])
        np.testing.assert_allclose(matrix, found['G_inv'], atol=1e-5)
        after = compiled(geometry.warp_by_wavelet)(before, np.stack([matrix] * 2))
    elif found['C'] is not None:
        matrix = adaptive_augment.colour_matrix(values)
        np.testing.assert_allclose(matrix[:3], found['C'][:3], atol=1e-5)
        after = compiled(adaptive_augment.recolour)(before, np.stack([matrix] * 2))
    else:
        gains = wavelets.normalize_gains(values['filter'])
        np.testing.assert_allclose(gains, found['g'], rtol=1e-5)
        after = compiled(wavelets.amplify)(before, np.stack([gains] * 2))
    golden_files.assert_close(after, golden_files.nhwc(found['out']), 2e-5)


@pytest.mark.parametrize('name', ['bgc', 'blit', 'bgcfc'])
def test_the_whole_pipeline_is_the_published_one(published, name):
    images, start = golden_files.nhwc(published['in/img']), f'out/random/{name}'
    images = compiled(geometry.warp_by_wavelet)(images, published[f'{start}/G_inv'])
    golden_files.assert_close(images, golden_files.nhwc(published[f'{start}/images_geom']), 2e-5)
    if 'c' in name:
        images = compiled(adaptive_augment.recolour)(images, published[f'{start}/C'])
    if 'f' in name:
        images = compiled(wavelets.amplify)(images, published[f'{start}/g'])
        images *= golden_files.nhwc(published[f'{start}/mask'])
    golden_files.assert_close(images, golden_files.nhwc(published[f'{start}/out']), 2e-5)


def test_the_bands_are_the_published_ones_and_sum_to_the_image(published):
    np.testing.assert_allclose(wavelets.band_filters(), published['out/Hz_fbank'], atol=1e-6)
    image = images(size=6, count=1)[0]  # mirrored more than once
    np.testing.assert_allclose(wavelets.amplify(image, np.ones(4)), image, atol=1e-6)
    np.testing.assert_allclose(wavelets.amplify(np.ones((6, 4, 1)), np.array([0.5, 9, 9, 9])), 0.5**2, atol=1e-6)


def test_gains_keep_the_power_of_natural_images():
    one = np.asarray(wavelets.normalize_gains(np.array([1.0, 1.0, 3.0, 1.0])))
    np.testing.assert_allclose(one**2 @ [10, 1, 1, 1], 13, rtol=1e-6)
    np.testing.assert_allclose(one[2] / one[0], 3, rtol=1e-6)


def test_the_wavelet_gives_the_image_back_and_moves_whole_pixels():
    image = np.random.default_rng(1).normal(size=(5, 7, 2)).astype(np.float32)
    np.testing.assert_allclose(geometry.warp_by_wavelet(image, np.eye(3)), image, atol=1e-5)
    right = geometry.inverse_geometry(neutral(translate_integer=np.array([1 / 7, 0])), image.shape)
    padded = np.pad(image, ((0, 0), (1, 0), (0, 0)), 'reflect')
    np.testing.assert_allclose(geometry.warp_by_wavelet(image, right), padded[:, :-1], atol=1e-5)


def test_groups_and_sets_are_their_transforms():
    colours = ('brightness', 'contrast', 'luma_flip', 'hue', 'saturation')
    for names, same in ((('bg', 'color'), ('bgc',)), (('bgcfnc',), ALL), (('noise', 'color'), (*colours, 'noise'))):
        given = images(count=4), KEY, POSITIONS[:4], 0.7
        np.testing.assert_array_equal(applied('ada', *names)(*given), applied('ada', *same)(*given))


def test_brightness_adds_the_same_everywhere():
    before, after = augmented('brightness')
    added = after - before
    assert np.ptp(added, axis=(1, 2, 3)).max() < 1e-6
    assert (np.abs(added.mean((1, 2, 3))) > 1e-4).all()


@pytest.mark.parametrize('channels', [1, 3])
def test_contrast_scales_about_the_middle_grey(channels):
    before, after = augmented('contrast', channels=channels)
    factor = (after * before).sum((1, 2, 3)) / (before**2).sum((1, 2, 3))
    np.testing.assert_allclose(after, before * factor[:, None, None, None], atol=1e-5)
    assert (factor > 0).all()
    assert factor.min() < 0.9
    assert factor.max() > 1.1


@pytest.mark.parametrize('channels', [1, 3])
def test_luma_flip_reflects_the_grey_axis(channels):
    before, after = augmented('luma_flip', channels=channels)
    reflected = before - 2 * before.mean(-1, keepdims=True)
    changed = np.abs(after - before).max((1, 2, 3)) > 0
    np.testing.assert_allclose(after[changed], reflected[changed], atol=1e-6)
    assert 0 < changed.sum() < len(before)


def test_hue_rotates_about_the_grey_axis():
    before, after = augmented('hue')
    np.testing.assert_allclose(after.mean(-1), before.mean(-1), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(after, axis=-1), np.linalg.norm(before, axis=-1), atol=1e-5)
    assert np.abs(after - before).max((1, 2, 3)).min() > 1e-3
    third = adaptive_augment.colour_matrix(neutral(hue=2 * math.pi / 3))  # red becomes green becomes blue
    np.testing.assert_allclose(adaptive_augment.recolour(before[0], third), np.roll(before[0], 1, axis=-1), atol=1e-6)


def test_saturation_scales_what_is_not_grey():
    before, after = augmented('saturation')
    grey = before.mean(-1, keepdims=True)
    factor = ((after - grey) * (before - grey)).sum((1, 2, 3)) / ((before - grey) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(after, grey + (before - grey) * factor[:, None, None, None], atol=1e-5)
    assert (factor > 0).all()
    none = adaptive_augment.colour_matrix(neutral(saturation=0.0))
    expected = np.broadcast_to(grey[0], before[0].shape)
    np.testing.assert_allclose(adaptive_augment.recolour(before[0], none), expected, atol=1e-6)


def test_colours_compose_in_the_papers_order():
    values = neutral(brightness=0.25, contrast=2.0, luma_flip=1.0, saturation=0.5)
    pixel = np.array([0.5, -0.25, 0.125])
    expected = 2 * (pixel + 0.25)
    expected = expected - 2 * expected.mean()
    expected = expected.mean() + 0.5 * (expected - expected.mean())
    matrix = adaptive_augment.colour_matrix(values)
    np.testing.assert_allclose(adaptive_augment.recolour(pixel[None, None], matrix)[0, 0], expected, atol=1e-6)
    grey = adaptive_augment.recolour(np.full((1, 1, 1), 0.5), matrix)
    np.testing.assert_allclose(grey, -2 * 0.75, atol=1e-6)


def test_hue_and_saturation_leave_grey_images_alone():
    before, after = augmented('hue', 'saturation', channels=1)
    np.testing.assert_array_equal(after, before)


def test_noise_has_one_deviation_for_each_image():
    before, after = augmented('noise')
    deviations = (after - before).std((1, 2, 3))
    assert deviations.min() > 0
    standard = (after - before) / deviations[:, None, None, None]
    np.testing.assert_allclose(standard[:, :8].std((1, 2, 3)), 1, rtol=0.15)  # of 384 normal numbers
    assert deviations.max() > 2 * deviations.min()


def test_cutout_zeroes_at_most_a_quarter():
    before, after = augmented('cutout')
    zeros = (after == 0).all(-1)
    np.testing.assert_array_equal(after, np.where(zeros[..., None], 0, before))
    for zero in zeros:
        rows, columns = zero.any(1), zero.any(0)
        np.testing.assert_array_equal(zero, rows[:, None] & columns)
        assert 3 <= rows.sum() <= 8  # a centre at the border leaves a quarter of the side, give or take a pixel
        assert 3 <= columns.sum() <= 8
    np.testing.assert_array_equal(
        np.asarray(adaptive_augment.cut_out(before[0], np.array([0.5, 0.5])) == 0).sum(), 8 * 8 * 3
    )


@pytest.mark.parametrize('probability', [0.1, 0.6])
def test_each_transform_strikes_with_the_probability(probability):
    for name, values in samples(probability).items():
        own = values[:, :1] if name == 'filter' else values  # each of whose bands strikes alone
        changed = (own != adaptive_augment.TRANSFORMS[name].neutral).reshape(len(values), -1).any(1)
        share = probability * {'flip': 1 / 2, 'luma_flip': 1 / 2, 'rotate90': 3 / 4}.get(name, 1.0)
        assert abs(changed.mean() - share) < 4 * math.sqrt(share * (1 - share) / len(values)), name


def test_the_share_of_changed_images_is_the_probability():
    before = images(1, size=2, count=1000)
    after = jax.jit(augment.adaptive(('brightness',)).apply)(before, KEY, jnp.arange(1000), 0.3)
    share = (np.asarray(after) != before).any((1, 2, 3)).mean()
    assert abs(share - 0.3) < 4 * math.sqrt(0.3 * 0.7 / 1000)


def test_values_have_the_papers_distributions():
    values = samples(1.0)
    uniform = 1 / math.sqrt(3)
    assert abs(np.corrcoef(np.log2(values['filter']).T) - np.eye(4)).max() < 4 / math.sqrt(4000)
    logarithmic = {'scale': 0.2, 'anisotropic_scale': 0.2, 'contrast': 0.5, 'saturation': 1.0}
    moments = {name: (np.log2(values[name]), 0.0, deviation) for name, deviation in logarithmic.items()}
    moments |= {
        'translate_integer': (values['translate_integer'], 0.0, uniform / 8),
        'rotate': (values['rotate'], 0.0, uniform * math.pi),
        'translate': (values['translate'], 0.0, 1 / 8),
        'brightness': (values['brightness'], 0.0, 0.2),
        'hue': (values['hue'], 0.0, uniform * math.pi),
        'filter': (np.log2(values['filter']), 0.0, 1.0),
        'noise': (values['noise'], 0.1 * math.sqrt(2 / math.pi), 0.1 * math.sqrt(1 - 2 / math.pi)),
        'cutout': (values['cutout'], 0.5, uniform / 2),
    }
    for name, (value, mean, deviation) in moments.items():
        assert abs(value.mean() - mean) < 4 * deviation / math.sqrt(len(value)), name
        np.testing.assert_allclose(value.std(), deviation, rtol=0.05, err_msg=name)
    for name in ('translate_integer', 'rotate', 'hue'):
        limit = 1 / 8 if name == 'translate_integer' else math.pi
        assert 0.99 * limit < np.abs(values[name]).max() <= limit + 1e-6


def test_colour_strikes_with_its_share_of_the_probability():
    draw = jax.jit(jax.vmap(lambda key: adaptive_augment.sample(key, 0.8, ALL, 0.5)))
    values = draw(jax.random.split(KEY, 2000))
    for name, share in (('hue', 0.4), ('brightness', 0.4), ('scale', 0.8), ('cutout', 0.8)):
        struck = np.any(values[name].reshape(2000, -1) != adaptive_augment.TRANSFORMS[name].neutral, axis=1)
        assert abs(struck.mean() - share) < 4 * math.sqrt(share * (1 - share) / 2000), name


def test_a_transforms_draw_does_not_depend_on_the_others():
    alone = adaptive_augment.sample(KEY, 1.0, ('hue',))
    np.testing.assert_array_equal(alone['hue'], adaptive_augment.sample(KEY, 1.0, ALL)['hue'])
    assert alone['scale'] == 1.0


CHANGES = {
    'ada': lambda *given: applied('ada', *ALL)(*given, 0.8),
    'diffaugment': lambda *given: applied('diffaugment')(*given, 0.0),
    'translate_and_flip': jax.jit(augment.translate_and_flip),
    'instance_noise': jax.jit(lambda *given: augment.instance_noise(*given, 0.5)),
}


@pytest.mark.parametrize('name', CHANGES)
def test_randomness_belongs_to_the_place_in_the_global_batch(name):
    before = np.repeat(images()[:1], 16, axis=0)
    whole = np.asarray(CHANGES[name](before, KEY, POSITIONS))
    later = np.asarray(CHANGES[name](before, KEY, POSITIONS + 8))  # another device's share, which overlaps by a half
    np.testing.assert_allclose(later[:8], whole[8:], atol=1e-6)
    assert all(np.abs(whole[i] - whole[0]).max() > 0.01 for i in range(1, 16))
    assert np.abs(np.asarray(CHANGES[name](before, jax.random.key(4), POSITIONS)) - whole).max() > 0.01


@pytest.mark.parametrize(
    ('name', 'transforms'),
    [('ada', ('scale', 'rotate', 'translate')), ('ada', ('contrast', 'hue', 'filter')), ('diffaugment', ())],
)
def test_gradients_match_finite_differences(name, transforms):
    with jax.enable_x64(True):
        rng = np.random.default_rng(2)
        x, weights = rng.normal(size=(2, 3, 8, 8, 3))
        change = augment.AUGMENTATIONS[name](*([transforms] if transforms else [])).apply
        value = jax.jit(lambda x: jnp.sum(weights * jnp.sin(change(x, KEY, jnp.arange(3), 0.9))))
        gradient, step = np.asarray(jax.grad(value)(jnp.asarray(x))), 1e-5
        assert gradient.dtype == np.float64
        for direction in rng.normal(size=(3, *x.shape)):
            numeric = (value(x + step * direction) - value(x - step * direction)) / (2 * step)
            np.testing.assert_allclose((gradient * direction).sum(), numeric, rtol=1e-7)


@pytest.mark.parametrize('name', ['ada', 'diffaugment'])
def test_several_images_of_an_example_are_changed_alike(name):
    change = {'ada': applied('ada', 'translate_integer', 'brightness'), 'diffaugment': applied('diffaugment')}[name]
    before = np.asarray(images(size=8, count=4))
    several = np.stack([before, before / 2, before], axis=1)
    changed = np.asarray(change(several, KEY, POSITIONS[:4], 1.0))
    np.testing.assert_allclose(changed[:, 0], change(before, KEY, POSITIONS[:4], 1.0), atol=1e-6)
    np.testing.assert_array_equal(changed[:, 0], changed[:, 2])
    np.testing.assert_allclose(changed[:, 1], change(before / 2, KEY, POSITIONS[:4], 1.0), atol=1e-6)


def test_diffaugment_changes_the_colours_of_some_images_and_mirrors_others():
    before, places = images(size=8, count=400), jnp.arange(400)
    change = augment.diff_augment(('color',), colour_share=0.25, flip_share=0.5).apply
    after = np.asarray(change(before, KEY, places, 0.0))
    coloured = np.asarray(applied('diffaugment', 'color')(before, KEY, places, 0.0))
    kinds = [(before, 0.375), (before[:, :, ::-1], 0.375), (coloured, 0.125), (coloured[:, :, ::-1], 0.125)]
    seen = [np.isclose(after, wanted, atol=1e-6).all((1, 2, 3)) for wanted, _ in kinds]
    assert (np.sum(seen, axis=0) == 1).all()
    for found, (_, share) in zip(seen, kinds, strict=True):
        assert abs(found.mean() - share) < 4 * (share * (1 - share) / 400) ** 0.5


def test_diffaugment_color_has_the_papers_ranges():
    before = images(size=8, count=400)
    after = np.asarray(applied('diffaugment', 'color')(before, KEY, jnp.arange(400), 0.0))

    def parts(x):
        mean, grey = x.mean((1, 2, 3), keepdims=True), x.mean(-1, keepdims=True)
        return mean, grey - mean, x - grey

    (mean, grey, chroma), (new_mean, new_grey, new_chroma) = parts(before), parts(after)
    brightness = new_mean - mean
    contrast = (grey * new_grey).sum((1, 2, 3), keepdims=True) / (grey**2).sum((1, 2, 3), keepdims=True)
    both = (chroma * new_chroma).sum((1, 2, 3), keepdims=True) / (chroma**2).sum((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(after, mean + brightness + contrast * grey + both * chroma, atol=1e-5)
    for value, low, high in ((brightness, -0.5, 0.5), (contrast, 0.5, 1.5), (both / contrast, 0.0, 2.0)):
        slack = 0.02 * (high - low)
        assert low - 1e-5 <= value.min() < low + slack
        assert high - slack < value.max() <= high + 1e-5


def test_diffaugment_translation_moves_whole_pixels_and_zeros_in():
    before = images(size=16, count=200)
    after = np.asarray(applied('diffaugment', 'translation')(before, KEY, jnp.arange(200), 0.0))
    padded = np.pad(before, ((0, 0), (2, 2), (2, 2), (0, 0)))
    hits = [
        [np.array_equal(p[y : y + 16, x : x + 16], a) for y in range(5) for x in range(5)]
        for p, a in zip(padded, after, strict=True)
    ]
    assert (np.sum(hits, axis=1) == 1).all()
    assert np.any(hits, axis=0).all()  # all of the 25 moves of up to 16 / 8 pixels


@pytest.mark.parametrize('size', [8, 10])  # rectangles of an even and of an odd length
def test_diffaugment_cutout_zeroes_half_a_side_around_any_pixel(size):
    before = images(size=size, count=200)
    after = np.asarray(applied('diffaugment', 'cutout')(before, KEY, jnp.arange(200), 0.0))
    zeros = (after == 0).all(-1)
    np.testing.assert_array_equal(after, np.where(zeros[..., None], 0, before))
    length, last = size // 2, size - (size // 2) % 2
    extents = [set(range(max(0, i - length // 2), min(size, i - length // 2 + length))) for i in range(last + 1)]
    for axis in (1, 2):
        seen = [set(np.flatnonzero(line).tolist()) for line in zeros.any(axis)]
        assert all(extent in extents for extent in seen)
        assert all(extent in seen for extent in extents)
    np.testing.assert_array_equal(zeros, zeros.any(2)[:, :, None] & zeros.any(1)[:, None])


def test_quarter_turns_are_counter_clockwise():
    before, turns = images(count=5), np.array([3, 0, 1, 2, 1])
    wanted = [np.rot90(image, number) for image, number in zip(before, turns, strict=True)]
    np.testing.assert_array_equal(augment.quarter_turns(jnp.asarray(before), jnp.asarray(turns)), wanted)


def test_translate_and_flip_is_a_mirrored_shift():
    before = images(size=8, count=100)
    after = np.asarray(jax.jit(functools.partial(augment.translate_and_flip, pixels=2))(before, KEY, jnp.arange(100)))
    moves = []
    for b, a in zip(before, after, strict=True):
        fits = [
            (flip, y, x)
            for flip in (1, -1)
            for y in range(5)
            for x in range(5)
            if np.array_equal(np.pad(b[:, ::flip], ((2, 2), (2, 2), (0, 0)), 'reflect')[y : y + 8, x : x + 8], a)
        ]
        assert len(fits) == 1
        moves += fits
    flips, rows, columns = map(set, zip(*moves, strict=True))
    assert flips == {1, -1}
    assert rows == columns == set(range(5))


def test_instance_noise_has_the_deviation_given():
    points = np.zeros((2000, 2), np.float32)
    noise = np.asarray(augment.instance_noise(points, KEY, jnp.arange(2000), 0.3))
    np.testing.assert_allclose(noise.std(), 0.3, rtol=0.05)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 4 / math.sqrt(2000)
    np.testing.assert_array_equal(augment.instance_noise(points, KEY, jnp.arange(2000), 0.0), points)


def test_controller_moves_towards_the_target_and_stays_a_probability():
    controller = augment.adaptive(target=0.6, adjust_kimg=100.0).controller
    np.testing.assert_allclose(controller(0.5, 0.7, 1000), 0.51, rtol=1e-6)
    np.testing.assert_allclose(controller(0.5, 0.5, 1000), 0.49, rtol=1e-6)
    assert controller(0.5, 0.6, 1000) == 0.5
    assert controller(0.001, -1.0, 1000) == 0.0
    assert controller(0.999, 1.0, 1000) == 1.0


def test_a_fixed_probability_has_no_controller():
    fixed = augment.adaptive(initial=0.4, fixed=True)
    assert fixed.controller is None
    assert fixed.initial == 0.4
    assert augment.adaptive().initial == 0.0


@pytest.mark.parametrize(
    ('make', 'sentence'),
    [
        (lambda: augment.adaptive(('flop',)), "There is no transform of ada 'flop': did you mean 'flip'"),
        (lambda: augment.adaptive(()), 'augmentation.transforms is (); it must be at least one transform.'),
        (lambda: augment.adaptive(resampling='bilinar'), "no resampling of ada 'bilinar': did you mean 'bilinear'"),
        (lambda: augment.adaptive(target=1.0), "adaptive's target is 1.0; it must be above -1 and below 1."),
        (
            lambda: augment.adaptive(adjust_kimg=0.0),
            "adaptive's adjust_kimg is 0.0; it must be above 0 and at most 1000000.",
        ),
        (lambda: augment.adaptive(initial=1.5), "adaptive's initial is 1.5; it must be from 0 to 1."),
        (lambda: augment.diff_augment(('colour',)), "There is no policy of diffaugment 'colour': did you mean 'color'"),
        (
            lambda: augment.diff_augment('color'),
            "augmentation.policy is 'color'; it must be a tuple of names, such as ('color',).",
        ),
        (
            lambda: augment.adaptive('bgc'),
            "augmentation.transforms is 'bgc'; it must be a tuple of names, such as ('bgc',).",
        ),
        (lambda: augment.diff_augment(()), 'augmentation.policy is (); it must be at least one of color, translation'),
    ],
)
def test_impossible_options_are_refused(make, sentence):
    with pytest.raises(UserError) as error:
        make()
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ('name', 'shape', 'sentence'),
    [
        ('ada', (4, 2), "ada applies to images, not to examples of shape (2,): set the augmentation 'none'."),
        (
            'diffaugment',
            (4, 2),
            "diffaugment applies to images, not to examples of shape (2,): set the augmentation 'none'.",
        ),
        ('ada', (4, 8, 8, 2), 'The number of channels of images under ada is 2; it must be 1 or 3.'),
        ('ada', (4, 8, 6, 3), 'rotate90 cannot turn images of 8x6: remove it from augmentation.transforms.'),
    ],
)
def test_impossible_examples_are_refused(name, shape, sentence):
    with pytest.raises(UserError) as error:
        augment.AUGMENTATIONS[name]().apply(jnp.zeros(shape), KEY, jnp.arange(4), 0.5)
    assert str(error.value) == sentence


@pytest.mark.parametrize('name', ['ada', 'diffaugment'])
def test_bytes_are_refused(name):
    with pytest.raises(UserError, match=rf'^{name} changes images in \[-1, 1\], and these are uint8: take images'):
        augment.AUGMENTATIONS[name]().apply(jnp.zeros((4, 8, 8, 3), jnp.uint8), KEY, jnp.arange(4), 0.5)
