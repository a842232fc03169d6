"""Games in the plane: gradients and landscapes by hand, frames that a run leaves, and their page in a browser."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import build, losses
from gan_jax import config as configs
from gan_jax.data import Dataset
from gan_jax.errors import UserError
from gan_jax.judgement import judgement
from gan_jax.pages import lab_page
from gan_jax.records import plane
from gan_jax.records.plane import Frame
from gan_jax.records.writers import Writers
from gan_jax.sampling.plane import landscape_grid, make_view, pulls
from gan_jax.train import train
from gan_jax.training.member import Member
from gan_jax.training.run import refresh_page
from tests.contents import contents, differences
from tests.page_tools import Tree, in_browser, make_run, needs_browser
from tools.lab import lab, main

TOY = str(pathlib.Path(__file__).parent.parent / 'configs' / 'toy.py')
TINY = {
    'batch_size': '8',
    'duration': '20 steps',
    'log_every': '5 steps',
    'sample_every': '5 steps',
    'checkpoint_every': '10 steps',
    'samples': '16',
    'generator.widths': '(8,)',
    'discriminator.widths': '(8,)',
    'parallel.devices': '1',
}
WEIGHTS = np.array([3.0, -4.0], np.float32)
POINTS = Dataset('points', 'train', np.linspace(-2, 1, 40, dtype=np.float32).reshape(-1, 2), None, None, '')


def linear(points):
    return points @ WEIGHTS


def test_pulls_of_a_linear_discriminator_by_hand():
    samples, real = jax.random.normal(jax.random.key(0), (2, 5, 2))
    fake_logits, real_logits = linear(samples), linear(real)
    factors = [
        (losses.wasserstein(), jnp.ones(5)),
        (losses.non_saturating(), jax.nn.sigmoid(-fake_logits)),
        (losses.minimax(), jax.nn.sigmoid(fake_logits)),
        (losses.least_squares(), 1 - fake_logits),
        (losses.relativistic(), jax.nn.sigmoid(real_logits - fake_logits)),
    ]
    for loss, factor in factors:
        found = pulls(loss, linear, samples, jnp.concatenate([real, 9 * real]))
        np.testing.assert_allclose(found, factor[:, None] * WEIGHTS, rtol=1e-5)


def test_a_landscape_grid_by_hand():
    np.testing.assert_array_equal(landscape_grid(2.0, 2), [(-1, -1), (1, -1), (-1, 1), (1, 1)])
    assert landscape_grid(1.5, 64).shape == (64 * 64, 2)


def make_game(**overrides):
    config = configs.load(TOY, TINY | overrides)
    return config, build.make_game(config, (2,), num_classes=8)


def test_a_view_is_what_the_networks_say():
    config, game = make_game(**{'discriminators.number': '2'})
    state, latents = build.init_state(config, game), jax.random.normal(jax.random.key(1), (30, 2))
    frame = make_view(config, game, POINTS, latents)(state)
    networks = build.make_networks(config, (2,))

    def discriminate(points):
        members = state.discriminator.params.values()
        logits = [networks.discriminator.apply(member, {}, points, None, False)[0] for member in members]
        return (judgement(logits[0]).logits + judgement(logits[1]).logits) / 2

    samples, _ = networks.generator.apply(*state.generator[:2], latents[:20], None, False)
    np.testing.assert_allclose(frame.samples, samples, rtol=1e-5, atol=1e-6)
    expected = pulls(losses.non_saturating(), discriminate, samples, samples)
    np.testing.assert_allclose(frame.pulls, expected, rtol=1e-4, atol=1e-6)
    assert frame.real.tolist() == POINTS.examples.tolist()
    assert frame.limit == 2.5  # a quarter more than the data need
    for place, x, y in (((0, 0), -47, -47), ((0, 1), -45, -47), ((47, 47), 47, 47)):
        at = jnp.array([[x, y]]) * 2.5 / 48
        np.testing.assert_allclose(frame.logits[place], discriminate(at)[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    'overrides',
    [
        {'packing': '2'},
        {'discriminator.minibatch': 'discrimination'},
        {'generator.conditioning': 'concatenate', 'discriminator.conditioning': 'projection'},
    ],
)
def test_a_discriminator_that_needs_more_than_a_point_has_no_landscape(overrides):
    assert make_view(*make_game(**overrides), POINTS, jnp.zeros((4, 2))) is None


# What a run leaves


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp('trained') / 'run'
    train(configs.load(TOY, TINY), directory)
    return directory


def test_a_run_has_a_frame_at_each_of_its_samples_and_a_page(trained):
    frames = plane.frame_files(trained)
    assert [step for step, _ in frames] == [0, 5, 10, 15, 20]
    first, last = (plane.load(frames[i][1]) for i in (0, -1))
    assert (first.samples.shape, first.logits.shape, first.real.shape) == ((16, 2), (48, 48), (256, 2))
    assert np.abs(first.samples - last.samples).max() > 1e-3
    assert np.abs(np.hypot(*first.real.T) - 1).max() < 0.06  # on the ring
    assert 'data-stops="[0.0, 0.04, 0.08, 0.12, 0.16]"' in (trained / 'lab.html').read_text()
    assert '<a href="lab.html">' in (trained / 'report.html').read_text()


def test_a_killed_run_has_the_frames_of_one_that_was_not(trained, tmp_path, monkeypatch):
    original = Member.look

    def look(self, step, *arguments, **options):
        if step == 20:
            raise KeyboardInterrupt
        original(self, step, *arguments, **options)

    monkeypatch.setattr(Member, 'look', look)
    with pytest.raises(KeyboardInterrupt):
        train(configs.load(TOY, TINY), tmp_path)
    monkeypatch.undo()
    assert [step for step, _ in plane.frame_files(tmp_path)] == [0, 5, 10, 15, 20]  # those after 10 are made again
    train(configs.load(TOY, TINY), tmp_path)
    assert 'plane/00000015.npz' in contents(tmp_path)
    assert differences(tmp_path, trained) == []


def frame_of(logits, samples=((0.5, 0.5), (-0.5, 0.5)), moves=((0.4, 0.0), (0.0, 0.1)), limit=2.0):
    real = np.full((3, 2), -1.0, np.float32)
    return Frame(real, np.float32(samples), np.float32(moves), np.float32(logits), limit)


LEFT = [[9, 9, -9, -9]] * 4  # real on the left
UP = [[-9] * 4] * 2 + [[9] * 4] * 2  # real above


def test_frames_of_a_course_that_was_given_up_go(tmp_path):
    with Writers(tmp_path, begin=0, total=40) as out:
        for step in (10, 20, 30):
            out.frame(step, frame_of(LEFT))
    with Writers(tmp_path, begin=20, total=40):
        assert [step for step, _ in plane.frame_files(tmp_path)] == [10, 20]
    with Writers(tmp_path, begin=20, total=40, enabled=False) as out:
        out.frame(30, frame_of(LEFT))
    _, path = plane.frame_files(tmp_path)[-1]
    assert path.name == '00000020.npz'
    for found, expected in zip(plane.load(path), frame_of(LEFT), strict=True):
        np.testing.assert_array_equal(found, expected)


# The page


def make_plane(path, frames, *overrides):
    """The directory of a run with frames at its steps."""
    make_run(path, tuple(frames), overrides, shape=(2,))
    for step, frame in frames.items():
        plane.save(path, step, frame)
    return path


def test_a_damaged_frame_is_passed_over_and_named(tmp_path):
    path = make_plane(tmp_path / 'run', {10: frame_of(LEFT), 20: frame_of(UP), 30: frame_of(UP)._replace(limit=LEFT)})
    file = path / 'plane' / '00000020.npz'
    file.write_bytes(file.read_bytes()[:-40])
    refresh_page(path)
    page = (path / 'lab.html').read_text()
    assert 'data-stops="[1.0]"' in page
    named = [text for text in Tree(page).texts('p') if 'not a complete frame' in text]
    assert [text.partition(' is no')[0] for text in named] == [str(file), str(path / 'plane' / '00000030.npz')]


def test_infinite_logits_are_the_ends_of_the_landscape():
    levels, low, high = lab_page._levels(np.array([[0, -np.inf], [np.inf, np.nan]], np.float32), False)
    np.testing.assert_array_equal(levels, [[255, 128], [128, 0]])  # from the top
    assert np.isfinite([low, high, high - low]).all()


def test_a_run_without_frames_has_no_lab(tmp_path, capsys):
    path = make_run(tmp_path / 'run')
    refresh_page(path)
    assert not (path / 'lab.html').exists()
    assert 'lab.html' not in (path / 'report.html').read_text()
    assert main([str(path)]) == 2
    assert f'{path} has no frames of a game in the plane' in capsys.readouterr().err
    with pytest.raises(UserError, match=r'lab\.txt; it must end in \.html\.'):
        lab([path], tmp_path / 'lab.txt')


SEE = """
const slider = document.querySelector('.controls input');
const canvases = [...document.querySelectorAll('.plane canvas')];
const go = (place) => { slider.value = place; slider.dispatchEvent(new Event('input')); };
const color = (canvas, x, y) => {  // at a place from -1 to 1
  const at = [1 + x, 1 - y].map((share) => Math.round(share * canvas.width / 2));
  return [...canvas.getContext('2d').getImageData(...at, 1, 1).data.slice(0, 3)];
};
const texts = (selector) => [...document.querySelectorAll(selector)].map((one) => one.textContent);
"""


@needs_browser
def test_the_lab_in_a_browser(tmp_path):
    first = make_plane(tmp_path / 'a', {10: frame_of(LEFT), 20: frame_of(UP)})
    second = make_plane(
        tmp_path / 'b', {5: frame_of(UP), 20: frame_of(np.float32(UP) / 9 + 1)}, 'loss.name=wasserstein'
    )
    script = (
        SEE
        + """
    told.last = texts('.plane figcaption');
    told.seen = [];
    for (const place of [0, 1, 2]) {
      go(place);
      const [one, other] = canvases;
      told.seen.push([color(one, -0.9, 0.9), color(one, 0.9, 0.9), color(other, -0.9, -0.9)]);
    }
    go(1);
    const [canvas] = canvases;
    told.points = [color(canvas, -0.5, -0.5), color(canvas, 0.25, 0.25), color(canvas, 0.32, 0.25)];
    told.still = color(canvas, -0.25, 0.32);
    for (const box of document.querySelectorAll('.switches input')) box.click();
    told.bare = [color(canvas, -0.5, -0.5), color(canvas, 0.25, 0.25), color(canvas, -0.9, 0.9)];
    for (const box of document.querySelectorAll('.switches input')) box.click();
    const box = canvas.getBoundingClientRect();
    canvas.dispatchEvent(new MouseEvent('mousemove',
      { clientX: box.left + box.width / 8, clientY: box.top + box.height / 4 }));
    told.read = texts('.plane p');
    told.scales = texts('.scale span');
    const share = (mark) => parseFloat(mark.style.left) / mark.parentElement.clientWidth;
    told.marks = [...document.querySelectorAll('.marker')].map(share);
    told.labels = texts('.u-title');
    go(0);
    document.querySelector('.controls button').click();
    await pause(2000);
    told.played = [slider.value, document.querySelector('.controls button').textContent];
    told.wide = document.documentElement.scrollWidth <= innerWidth;
    """
    )
    told = in_browser(lab([first, second], tmp_path / 'lab.html').read_text(), tmp_path, script)
    assert told['errors'] == []
    assert told['last'] == [
        'step 20, 2 thousand images, mean length of the gradients 0.25',
        'step 20, 2 thousand images, mean length of the gradients 0.25',
    ]
    real, fake, even = [150, 193, 230], [250, 197, 142], [247, 247, 247]
    # One has frames at 1 and 2 kimg, the other at 0.5 and 2; before its first it shows that.
    expected = [[real, fake, fake], [real, fake, fake], [real, real, fake]]
    np.testing.assert_allclose(told['seen'], expected, atol=2)
    blue, orange = told['points'][:2]
    assert blue == [31, 119, 180]
    np.testing.assert_allclose(orange, [255, 127, 14], atol=40)
    assert max(told['points'][2]) < 150  # the arrow of the longer gradient; that of the other is half as long
    assert told['bare'] == [even] * 3
    assert told['read'] == ['D(-1.50, 1.00) = 1', '']
    assert told['scales'] == ['D 0', '1', 'logit -9', '9']
    np.testing.assert_allclose(told['marks'], [0.5, 0.5], atol=0.01)
    assert told['labels'] == ['Loss', 'Loss']
    assert told['played'] == ['2', 'Play']
    assert told['wide']
    assert 'loss.name' in Tree((tmp_path / 'lab.html').read_text()).texts('td')
