"""People's judgement: rates with closed forms, the blind page answered by a script, and the command."""

import base64
import io
import json
import threading

import numpy as np
import pytest
import scipy
from PIL import Image

from gan_jax.errors import UserError
from gan_jax.evaluation import human, votes
from gan_jax.evaluation.human import REAL, Study, Votes
from gan_jax.pages import judge_page
from gan_jax.sampling import trained
from tests.page_tools import Tree, needs_browser, reporting, visit
from tests.test_latent_pictures import SIZE, save_untrained
from tools import judge
from tools.serving import make_server

STUDY = Study(
    '5ecbe7', ('runs/a', 'runs/b'), 'mnist@test', (0, REAL, 1, REAL, 0, REAL, 1, REAL), ((0, 1), (1, 0), (1, 0))
)


def test_the_interval_of_one_person_is_that_of_the_binomial():
    answers = np.repeat([1, 0], [30, 70])
    rate = human.rate([(answers,)])
    assert (rate.value, rate.raters, rate.answers) == (0.3, 1, 100)
    np.testing.assert_allclose(rate.interval, scipy.stats.binom.ppf([0.025, 0.975], 100, 0.3) / 100, atol=0.011)
    other = human.rate([(answers, np.zeros(40)), (np.ones(1), np.zeros(0))])  # one kind alone is no score
    assert (other.value, other.raters, other.answers) == (0.15, 1, 140)
    half = (scipy.stats.binom.ppf([0.025, 0.975], 100, 0.3) / 200,)
    np.testing.assert_allclose([other.interval], half, atol=0.006)


def test_people_who_disagree_widen_the_interval():
    rate = human.rate([(np.ones(50),), (np.zeros(50),)])
    assert (rate.value, rate.interval) == (0.5, (0, 1))
    assert human.rate([(np.zeros(50),)] * 2).interval == (0, 0)
    assert human.rate([(np.zeros(0),)]) is None


def test_each_run_is_judged_by_its_own_images_and_the_real_ones():
    one = Votes('1', {0: True, 1: True, 2: False, 3: False, 4: False, 5: True, 6: False, 7: True}, {0: 0, 1: 1, 2: 0})
    other = Votes('2', {0: True, 4: True, 1: True}, {})
    found = human.results(STUDY, [one, other])
    assert [rate.value for rate in found.fooled] == [(1 / 2 + 1) / 2, 0]
    assert found.doubted.value == (1 / 4 + 0) / 2
    assert [rate.value for rate in found.scores] == [((1 / 2 + 1 / 4) / 2 + (1 + 0) / 2) / 2, (0 + 1 / 4) / 2]
    assert [rate.raters for rate in found.scores] == [2, 1]
    assert {pair: (rate.value, rate.answers) for pair, rate in found.preferred.items()} == {(0, 1): (2 / 3, 3)}


@needs_browser
def test_a_script_answers_the_page_and_its_votes_are_counted(tmp_path):
    """It calls bright images real, and prefers the brighter of two."""
    bright = np.array([1, 1, 0, 0, 0, 1, 0, 1, *(0, 1), *(0, 1), *(1, 0)])
    noise = np.random.default_rng(0).integers(0, 100, (len(bright), 6, 9, 3))
    images = (noise + 150 * bright[:, None, None, None]).astype(np.uint8)
    page = judge_page.page(STUDY.page, 8, 3, images, served=True)
    (sheet,) = Tree(page).all('img')
    assert set(sheet) == {'class', 'src', 'alt', 'hidden'}  # one picture for all of them
    assert not any(word in page.replace(sheet['src'], '') for word in ('runs/a', 'runs/b', 'mnist'))
    script = """
    const click = (what) => document.querySelector(`[data-screen]:not([hidden]) [data-do=${what}]`).click();
    const shown = () => document.querySelector('[data-screen]:not([hidden])').dataset.screen;
    const light = (canvas) => canvas.getContext('2d').getImageData(0, 0, 9, 6).data.reduce((a, b) => a + b);
    const lights = () => [...document.querySelectorAll('[data-screen]:not([hidden]) canvas')].map(light);
    document.querySelector('[name=name]').value = 'Bot';
    click('start');
    while (shown() === 'start') await pause(10);
    told.count = document.querySelector('.count').textContent;
    while (shown() === 'quiz') click(lights()[0] > 6 * 9 * (3 * 128 + 255) ? 'real' : 'generated');
    while (shown() === 'pairs') {
      const [left, right] = lights();
      document.dispatchEvent(new KeyboardEvent('keydown', { key: left > right ? 'ArrowLeft' : 'ArrowRight' }));
    }
    while (!document.querySelector('.result').textContent) await fetch('/'); // the browser's clock does not wait for us
    told.result = document.querySelector('.result').textContent;
    let saved;
    URL.createObjectURL = (blob) => { saved = blob.text(); return '#'; };
    HTMLAnchorElement.prototype.click = () => {}; // a download would keep the browser open
    click('download');
    told.saved = await saved;
    """
    directory = tmp_path / 'judge.votes'
    server = make_server(judge.routes(STUDY, reporting(page, script), directory), '127.0.0.1', 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with server:
        told = visit(f'http://127.0.0.1:{server.server_address[1]}/', tmp_path, width=500)
        server.shutdown()
    assert told['errors'] == []
    assert told['count'] == '1 of 8'
    assert told['result'] == (
        'Your votes are saved. You took 1 of 4 generated images for real and 1 of 4 real images for generated.'
    )
    (file,) = directory.iterdir()
    assert json.loads(told['saved']) == json.loads(file.read_text())
    assert json.loads(told['saved'])['name'] == 'Bot'
    votes.save_key(tmp_path / 'judge.key.json', STUDY)
    study, people = votes.read_votes([directory])
    assert study == STUDY
    found = human.results(study, people)
    assert [rate.value for rate in (*found.fooled, found.doubted)] == [0.5, 0, 0.25]
    assert found.preferred[0, 1].value == 1 / 3


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    options = {'generator.width': '4', 'discriminator.width': '4'}
    return [
        save_untrained(tmp_path_factory.mktemp(name), 'configs/cgan.py', (SIZE, SIZE, 3), 3, seed=seed, **options)
        for name, seed in (('one', '1'), ('two', '2'))
    ]


@pytest.fixture(scope='module')
def real(tmp_path_factory):
    path = tmp_path_factory.mktemp('real') / 'real.npz'
    images = np.random.default_rng(0).integers(0, 256, (12, SIZE, SIZE, 3), np.uint8)
    np.savez(path, images=images, labels=np.arange(12) % 3)
    return path


def test_a_study_has_as_many_real_images_as_generated_ones_and_pairs_of_one_class(runs, real, monkeypatch):
    asked = []
    generate = judge.generate
    monkeypatch.setattr(judge, 'generate', lambda *args: asked.append(args[-1]) or generate(*args))
    found = judge.load_real(trained.load_run(runs[0]), str(real))
    loaded = {path.name: trained.load_run(path) for path in runs}
    study, images = judge.make_study(loaded, found, num=4, pairs=3)
    assert sorted(study.quiz) == [REAL] * 8 + [0] * 4 + [1] * 4
    assert images.shape == (16 + 6, SIZE, SIZE, 3)
    everywhere = [np.asarray(found.examples), *(judge._samples(run, found, 7, 0) for run in loaded.values())]
    np.testing.assert_array_equal(asked[0], asked[1])

    def place(image, source):
        return [np.array_equal(image, other) for other in everywhere[source + 1]].index(True)

    places = {
        source: [place(images[i], source) for i, one in enumerate(study.quiz) if one == source] for source in (0, 1)
    }
    assert sorted(places[0]) == sorted(places[1]) == [0, 1, 2, 3]
    assert len({place(images[i], REAL) for i, source in enumerate(study.quiz) if source == REAL}) == 8
    for i, pair in enumerate(study.pairs):
        assert sorted(pair) == [0, 1]
        first, second = (place(images[16 + 2 * i + k], pair[k]) for k in (0, 1))
        assert first == second >= 4  # the same latent and class in both runs, and none of the quiz


def test_the_command_writes_the_page_and_its_key_and_counts_votes(runs, real, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = [*map(str, runs), '--real', str(real), '--num', '4', '--pairs', '3']
    assert judge.main(command) == 0
    assert capsys.readouterr().out == '16 images and 3 pairs: judge.html; what they are: judge.key.json\n'
    study = votes.read_key(tmp_path / 'judge.key.json')
    assert judge.main(command) == 0  # the same page, whose votes stay good
    assert votes.read_key(tmp_path / 'judge.key.json') == study
    answers = [{'item': i, 'answer': 'real' if source < 1 else 'generated'} for i, source in enumerate(study.quiz)]
    choices = [{'item': i, 'answer': 'first' if pair[0] else 'second'} for i, pair in enumerate(study.pairs)]
    given = {'page': study.page, 'rater': 'a', 'quiz': answers, 'pairs': choices}
    (tmp_path / 'mine.json').write_text(json.dumps(given))
    (tmp_path / 'early.json').write_text(json.dumps(given | {'quiz': answers[:1]}))
    capsys.readouterr()
    assert judge.main(['--votes', 'mine.json', 'early.json']) == 0
    first, second = (str(path) for path in runs)
    assert capsys.readouterr().out.splitlines() == [
        'Raters: 1. Real images: real.npz@all. Intervals: 95 % of bootstrap resamples of raters and of their answers.',
        '',
        f'{"":{len(first)}}  HYPE-infinity             generated taken for real',
        f'{first}  50.0 % [50.0, 50.0]       100.0 % [100.0, 100.0]',
        f'{second}  0.0 % [0.0, 0.0]          0.0 % [0.0, 0.0]',
        '',
        'Real taken for generated: 0.0 % [0.0, 0.0]',
        f'{first} looks more real than {second}: 0.0 % [0.0, 0.0]',
    ]
    (tmp_path / 'other.json').write_text(json.dumps(given | {'page': '0'}))
    (tmp_path / 'strange.json').write_text('{}')
    (tmp_path / 'beyond.json').write_text(json.dumps(given | {'pairs': [{'item': 3, 'answer': 'first'}]}))
    for arguments, message in {
        (
            '--votes',
            'mine.json',
            'other.json',
        ): f'other.json contains votes of the page 0, and the key is that of the page {study.page}.',
        ('--votes', 'other.json'): 'No file *.key.json near other.json is the key of its page, 0: give it with --key.',
        ('--votes', 'strange.json'): 'strange.json does not contain votes of a page of tools.judge.',
        (
            '--votes',
            'beyond.json',
        ): 'beyond.json is damaged: it contains votes on pictures that the page does not have.',
        ('--votes', 'mine.json', '--key', 'mine.json'): 'mine.json is not the key of a page of tools.judge.',
        ('--votes', 'nothing.json'): 'There is no file nothing.json.',
        (
            *command,
            '--seed',
            '1',
        ): 'judge.key.json is the key of another page, whose votes need it: give this page another name with --out.',
        (*command, '--num', '9'): 'The quiz needs 18 real images and real.npz has 12: lower --num.',
        (command[0], '--real', 'nothing'): "'nothing'",
        (command[0], command[0]): f'{command[0]} is given twice: give each run once.',
        (str(tmp_path), '--real', str(real)): 'is not the directory of a run',
        (): 'There is nothing to judge: give directories of runs, or --votes and the files of votes.',
    }.items():
        assert judge.main([*arguments]) == 2, arguments
        error = capsys.readouterr().err
        assert message in error
        assert error.count('\n') == 1


def test_a_sheet_that_is_too_large_for_webp_is_lossless_too():
    images = np.random.default_rng(0).integers(0, 256, (4, 8200, 2, 3), np.uint8)
    (sheet,) = Tree(judge_page.page('a', 4, 0, images)).all('img')
    with Image.open(io.BytesIO(base64.b64decode(sheet['src'].partition('base64,')[2]))) as opened:
        np.testing.assert_array_equal(np.asarray(opened)[:8200, :2], images[0])


def test_a_study_without_pictures_is_refused(runs, real):
    run = trained.load_run(runs[0])
    with pytest.raises(UserError, match='There is nothing to judge: raise --num, or give two runs and raise --pairs'):
        judge.make_study({'x': run}, judge.load_real(run, str(real)), num=0)


def test_only_images_are_judged(runs):
    run = trained.load_run(runs[0])
    for shape, kind in {(2,): 'points', (4, 8, 8, 3): 'clips', (8, 8, 8, 1): 'solids', (64, 3): 'point clouds'}.items():
        with pytest.raises(UserError, match=f'x generates {kind}, which people cannot judge here: give runs of images'):
            judge._check_run('x', run._replace(shape=shape))


def test_images_of_another_size_are_refused(runs, tmp_path):
    np.save(tmp_path / 'small.npy', np.zeros((9, 4, 4, 3), np.uint8))
    run = trained.load_run(runs[0])
    with pytest.raises(
        UserError, match=r'x generates images of 8x8x3 and those of small\.npy are 4x4x3: runs and real'
    ):
        judge.make_study({'x': run}, judge.load_real(run, str(tmp_path / 'small.npy')))
