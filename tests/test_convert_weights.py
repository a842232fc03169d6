"""Directories of runs made of published implementations' weights: golden ones, whose images are known."""

import json

import numpy as np
import pytest

from gan_jax import evaluate
from gan_jax.sampling import samples
from gan_jax.sampling.trained import load_run
from tests import golden_files, torch_files
from tools import convert_weights


def state_dict(name, net):
    arrays = golden_files.read(name)
    return {key.removeprefix(f'p/{net}/'): array for key, array in arrays.items() if key.startswith(f'p/{net}/')}


def command(out, *arguments, layout='mimicry'):
    return convert_weights.main([layout, *map(str, arguments), '--out', str(out)])


@pytest.fixture(scope='module')
def directory(tmp_path_factory):
    """A run of a conditional generator and its discriminator, in checkpoints as mimicry saves them."""
    place = tmp_path_factory.mktemp('weights')
    paths = []
    for net in 'GD':
        checkpoint = {'model_state_dict': state_dict('mimicry_cganpd32', net), 'global_step': 100_000}
        paths.append(torch_files.save(place / f'{net}.pth', checkpoint, legacy=net == 'D'))
    arguments = ('--generator', paths[0], '--discriminator', paths[1], '--data', 'digits')
    assert command(place / 'run', *arguments) == 0
    return place / 'run'


def test_samples_are_the_published_ones(directory):
    golden, run = golden_files.read('mimicry_cganpd32'), load_run(directory)
    images = samples.generate(run.game, run.generator, golden['in/z'], golden['in/y'].astype(np.int32))
    golden_files.assert_close(images, golden_files.nhwc(golden['out/G/eval/img']), 3e-5)
    assert (run.step, run.shape, run.num_classes) == (0, (32, 32, 3), 5)
    source = json.loads((directory / 'run.json').read_text())['converted']
    assert (source['layout'], source['files']['generator']['name']) == ('mimicry', 'G.pth')


def test_the_command_samples_and_evaluates(directory):
    assert list(samples.sample_workdir(directory, num=5).glob('*.png'))
    evaluate.evaluate_workdir(directory, metrics=('sliced_wasserstein',), num=16)
    records = json.loads((directory / 'evaluation' / 'step0000000-seed0.json').read_text())
    assert 'sliced_wasserstein' in [record['metric'] for record in records]


@pytest.mark.slow
def test_biggan(tmp_path):
    arguments, golden = [], golden_files.read('biggan_deep_g32')
    for role, name in (('generator', 'biggan_deep_g32'), ('discriminator', 'biggan_deep_d32')):
        np.savez(tmp_path / f'{role}.npz', **state_dict(name, role[0].upper()))
        arguments += [f'--{role}', tmp_path / f'{role}.npz']
    assert command(tmp_path / 'run', *arguments, layout='biggan_pytorch') == 0
    run = load_run(tmp_path / 'run')
    images = samples.generate(run.game, run.generator, golden['in/z'], golden['in/y'].astype(np.int32))
    golden_files.assert_close(images, golden_files.nhwc(golden['out/eval/img']), 3e-5)


def test_a_generator_alone_in_a_numpy_archive(tmp_path):
    golden = golden_files.read('mimicry_wgangp32')
    np.savez(tmp_path / 'G.npz', **state_dict('mimicry_wgangp32', 'G'))
    assert command(tmp_path / 'run', '--generator', tmp_path / 'G.npz') == 0
    run = load_run(tmp_path / 'run')
    images = samples.generate(run.game, run.generator, golden['in/z'])
    golden_files.assert_close(images, golden_files.nhwc(golden['out/G/eval/img']), 3e-5)


def test_bad_input_is_one_sentence(tmp_path, directory, capsys):
    def refusal(*arguments, out=tmp_path / 'none'):
        assert command(out, *arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    np.savez(tmp_path / 'D.npz', **state_dict('mimicry_cganpd32', 'D'))
    np.savez(tmp_path / 'empty.npz')
    (tmp_path / 'text.pth').write_text('none')
    assert 'text.pth is no PyTorch state dict' in refusal('--generator', tmp_path / 'text.pth')
    assert 'no.npz cannot be read as a NumPy archive (No such file' in refusal('--generator', tmp_path / 'no.npz')
    assert 'is neither a .pth, a .pt nor a .npz' in refusal('--generator', tmp_path / 'G.bin')
    assert 'The weights of the generator have no' in refusal('--generator', tmp_path / 'D.npz')
    assert 'The weights of the generator have no' in refusal('--generator', tmp_path / 'empty.npz')
    assert 'holds a run already' in refusal('--generator', tmp_path / 'D.npz', out=directory)
    narrow = state_dict('mimicry_wgangp32', 'G') | {'block3.c2.weight': np.zeros((12, 7, 3, 3), np.float32)}
    np.savez(tmp_path / 'narrow.npz', **narrow)
    said = refusal('--generator', tmp_path / 'narrow.npz')
    assert (
        'do not fit its network: params/UpBlock_1/second/kernel has the shape (3, 3, 7, 12), not (3, 3, 12, 12)' in said
    )
    assert not (tmp_path / 'none').exists()


def test_a_conditional_generator_of_r3gan(tmp_path):
    golden = golden_files.read('r3gan_cond')
    np.savez(tmp_path / 'G.npz', **state_dict('r3gan_cond', 'G'))
    assert command(tmp_path / 'run', '--generator', tmp_path / 'G.npz', '--data', 'digits', layout='r3gan') == 0
    run = load_run(tmp_path / 'run')
    labels = golden['in/c'].argmax(1).astype(np.int32)
    golden_files.assert_close(
        samples.generate(run.game, run.generator, golden['in/z'], labels), golden_files.nhwc(golden['out/img']), 3e-5
    )
