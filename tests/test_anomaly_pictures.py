"""The picture of anomalies, and their evaluation from the command line, for an f-AnoGAN before its first step."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from gan_jax.data import load
from gan_jax.errors import UserError
from gan_jax.evaluation import anomalies as scoring
from gan_jax.game import Game
from gan_jax.main import main
from gan_jax.sampling import latent_pictures
from gan_jax.sampling.trained import load_run
from tests.test_shown import save_untrained

ROLES = ('generator', 'discriminator', 'encoder')


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return save_untrained(
        tmp_path_factory.mktemp('anogan'), 'anogan', {f'{role}.widths': '(4,)' for role in ROLES} | {'data.size': '16'}
    )


def test_it_shows_the_highest_and_the_lowest_scores_and_keeps_all(run, capsys):
    path = latent_pictures.draw(run, 'anomalies', columns=3)
    loaded, test = load_run(run), load('digits', split='test', size=16)
    players = {'generator': loaded.generator, 'discriminator': loaded.discriminator, 'encoder': loaded.encoder}
    found = scoring.score(loaded.game, players, test.examples)
    saved = np.load(path.with_suffix('.npz'))
    np.testing.assert_array_equal(saved['score'], found.score)
    np.testing.assert_array_equal(saved['label'], test.labels)
    np.testing.assert_allclose(saved['score'], saved['image'] + saved['feature'], rtol=1e-5)
    order = np.argsort(-found.score)
    scale = (Image.open(path).size[0] - 2) // 3 // 16
    side = 16 * scale + 2
    grid = np.asarray(Image.open(path).convert('L'))
    assert grid.shape[0] == 6 * side + 2
    for row, place in ((0, order[1]), (3, order[-2])):
        tile = grid[row * side + 2 : (row + 1) * side : scale, side + 2 : 2 * side : scale]
        np.testing.assert_array_equal(tile, test.examples[place, ..., 0])
    assert f'Most anomalous: scores {found.score[order[0]]:.3g}, ' in capsys.readouterr().out


def test_the_evaluation_records_the_area_with_its_baselines(run):
    assert main(['--mode', 'eval', '--workdir', str(run), '--metrics', 'auroc', '--num', '4']) == 0
    (path,) = (run / 'evaluation').iterdir()
    records = {record['metric']: record for record in json.loads(path.read_text())}
    assert set(records) == {'auroc', 'auroc_image', 'auroc_neighbour'}
    assert records['auroc_neighbour']['value'] > 0.9
    assert records['auroc']['protocol']['known'].startswith('1349 of digits train 16x16x1')
    assert records['auroc']['protocol']['reals'].startswith('297 of digits test 16x16x1')


def test_other_games_have_no_such_picture():
    other = SimpleNamespace(workdir='runs/x', run=SimpleNamespace(game=Game(None, (), None, None)))
    with pytest.raises(
        UserError, match=r'^The game of runs/x scores no anomalies, as anogan does: use another picture'
    ):
        latent_pictures.anomalies(other)
