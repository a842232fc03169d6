"""The experiment at toy size: what it writes, and that a population's members are ordinary runs."""

import json

import jax
import numpy as np
import pytest

from experiments.mode_collapse import __main__ as experiment
from experiments.population import watch_population
from gan_jax import build, data
from gan_jax.data.toys import MIXTURES
from gan_jax.errors import UserError
from gan_jax.evaluation import modes
from gan_jax.runtime import parallel
from gan_jax.training.feed import make_feed
from gan_jax.training.stretch import make_stretch

STEPS = 12


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    out = tmp_path_factory.mktemp('mode_collapse')
    arguments = ['--data', 'ring', '--recipes', 'plain GAN', 'WGAN', '--seeds', '2', '--steps', str(STEPS)]
    assert experiment.main([*arguments, '--out', str(out)]) == 0
    return out


@pytest.mark.slow
def test_it_writes_table_pictures_and_page(results):
    record = json.loads((results / 'results.json').read_text())
    assert record['seeds'] == [0, 1]
    study = record['studies']['ring']
    assert study['protocol'].startswith('8 modes of std 0.01')
    assert list(study['results']) == ['plain GAN', 'WGAN']
    assert all(len(values) == 2 for table in study['results'].values() for values in table.values())
    assert '| plain GAN |' in (results / 'table.md').read_text()
    assert {path.name for path in (results / 'animations').iterdir()} == {'ring-plain_GAN.gif', 'ring-WGAN.gif'}
    page = (results / 'page.html').read_text()
    assert page.count('data:image/gif;base64') == 2
    assert 'http://' not in page
    assert 'https://' not in page


@pytest.mark.slow  # other populations are compared with their runs among the fast tests
def test_a_member_of_a_population_is_the_run_of_its_seed():
    config = experiment.load_config('ring', 'WGAN', STEPS)
    config.seed = 3
    dataset = data.load('ring')
    game = build.make_game(config, dataset.shape)
    *_, (last, states, _) = watch_population(config, dataset, [1, 3], every=5)
    assert last == STEPS

    layout = parallel.make_layout(config.batch_size, num_devices=1)
    feed = make_feed(dataset, layout, seed=3, batches=config.discriminator_steps, flip=False, placement='device')
    stretch = layout.compile(
        make_stretch(build.make_step(config, game), feed.batch_at, STEPS), data_axis=feed.data_axis
    )
    with feed.open([(0, STEPS)]) as stretches:
        state, _ = stretch(
            layout.replicate(build.init_state(config, game)),
            next(stretches),
            layout.split(layout.local_positions),
            np.int32(0),
            np.int32(STEPS),
        )
    for one, member in zip(
        jax.tree.leaves((state.generator, state.discriminator)),
        jax.tree.leaves((states.generator, states.discriminator)),
        strict=True,
    ):
        np.testing.assert_allclose(member[1], one, rtol=2e-3, atol=2e-5)


def test_what_the_numbers_say():
    results = {
        'plain GAN': {'modes': [1, 3], 'high quality': [0.9, 0.7]},
        'R1': {'modes': [8, 8], 'high quality': [0.1, 0.3]},
        'WGAN': {'modes': [2, 2], 'high quality': [0.0, 0.0]},
    }
    assert experiment.findings(results, 8) == (
        'The plain GAN captures 2 of 8 modes on average. More than a twentieth of the modes is gained by: R1. '
        'Less than that by: WGAN. R1 captures the most modes (8). The largest share of high quality is that of plain '
        'GAN (80%, with 2 modes).'
    )


def test_data_sets_have_the_wanted_recipes_that_they_know():
    assert experiment.recipes_of(['ring', 'stacked:mnist'], ['R1']) == {'ring': ['R1']}
    assert experiment.recipes_of(['stacked:mnist'], None)['stacked:mnist'][0] == 'plain GAN'
    with pytest.raises(UserError, match='stacked:mnist has none of these recipes'):
        experiment.recipes_of(['stacked:mnist'], ['R1'])
    with pytest.raises(UserError, match=r"There is no mixture 'rin'"):
        experiment.recipes_of(['rin'], None)


def test_a_divergence_of_no_samples_is_null_in_the_record(tmp_path):
    report = modes.mixture_modes(np.full((4, 2), 9.0), MIXTURES['ring'])
    made = {'reports': [report], 'points': np.zeros((4, 2)), 'animation': []}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment.report, 'save_animation', lambda *arguments, **options: None)
        _, record = experiment.study('ring', 'Ring', lambda recipe: made, ['plain GAN'], tmp_path)
    assert record['results']['plain GAN'] == {'modes': [0.0], 'high quality': [0.0], 'reverse KL': [None]}


def test_no_seeds_are_refused(capsys):
    with pytest.raises(SystemExit):
        experiment.main(['--seeds', '0'])
    assert 'argument --seeds: it is 0; it must be at least 1' in capsys.readouterr().err


def test_data_that_are_not_there_are_one_sentence(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path))
    assert experiment.main(['--data', 'stacked:mnist', '--out', str(tmp_path / 'out')]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gan_jax: the TFDS data set 'mnist' is not prepared")
