"""Directories of runs made of published implementations' weights: golden ones, whose images are known."""

import json
import os
import pickle

import numpy as np
import pytest

from gan_jax import evaluate
from gan_jax.errors import UserError
from gan_jax.sampling import sample_files, samples
from gan_jax.sampling.trained import load_run
from tests import golden_files, torch_files
from tools import compare, convert_weights
from tools.network_pickle import read_networks


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
    assert list(sample_files.sample_workdir(directory, num=5).glob('*.png'))
    evaluate.evaluate_workdir(directory, metrics=('sliced_wasserstein',), num=16)
    records = json.loads((directory / 'evaluation' / 'step0000000-seed0.json').read_text())
    assert 'sliced_wasserstein' in [record['metric'] for record in records]


def test_converted_weights_have_no_page_of_a_training(directory, capsys):
    assert compare.main([str(directory)]) == 2
    assert f'{directory} has converted weights and no course of training to show: give a run' in capsys.readouterr().err


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


def test_a_directory_whose_path_is_no_text_is_refused(tmp_path):
    with pytest.raises(UserError, match='this path is not text in UTF-8: choose another directory'):
        convert_weights.convert('mimicry', tmp_path / 'G.npz', None, tmp_path / os.fsdecode(b'\xff'))
    assert not list(tmp_path.iterdir())


def test_bad_input_is_one_sentence(tmp_path, directory, capsys):
    def refusal(*arguments, out=tmp_path / 'none'):
        assert command(out, *arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    np.savez(tmp_path / 'D.npz', **state_dict('mimicry_cganpd32', 'D'))
    np.savez(tmp_path / 'empty.npz')
    (tmp_path / 'text.pth').write_text('none')
    assert 'text.pth is not a readable PyTorch state dict' in refusal('--generator', tmp_path / 'text.pth')
    assert 'no.npz cannot be read as a NumPy archive (No such file' in refusal('--generator', tmp_path / 'no.npz')
    assert 'is neither a .pth, a .pt nor a .npz' in refusal('--generator', tmp_path / 'G.bin')
    assert 'The weights of the generator have no' in refusal('--generator', tmp_path / 'D.npz')
    assert 'The weights of the generator have no' in refusal('--generator', tmp_path / 'empty.npz')
    assert 'already contains a run:' in refusal('--generator', tmp_path / 'D.npz', out=directory)
    (tmp_path / 'stopped' / 'checkpoints').mkdir(parents=True)
    assert 'stopped/checkpoints is left of a run or a conversion that was stopped: remove it' in refusal(
        '--generator', tmp_path / 'D.npz', out=tmp_path / 'stopped'
    )
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


def written(path, tree):
    path.write_bytes(torch_files.pickled(tree, 4))
    return path


def test_a_pickle_of_stylegan2_ada_is_read_without_running_the_source_in_it(tmp_path):
    golden = golden_files.read('sg2_g_skip_clamp')
    easy = torch_files.EasyDict(num_fp16_res=4, conv_clamp=1.25)
    networks = {
        'training_set_kwargs': {'path': 'faces.zip', 'use_labels': False},
        'G_ema': torch_files.network('Generator', state_dict('sg2_g_skip_clamp', 'G'), synthesis_kwargs=easy),
        'D': torch_files.network(
            'Discriminator',
            state_dict('sg2_d_orig_uncond', 'D'),
            conv_clamp=None,
            epilogue_kwargs={'mbstd_group_size': 2},
        ),
        'augment_pipe': None,
    }
    path = written(tmp_path / 'network.pkl', networks)
    assert convert_weights.main([str(path), '--out', str(tmp_path / 'run'), '--data', 'digits']) == 0
    run = load_run(tmp_path / 'run')
    images = samples.generate(run.game, run.generator, golden['in/z'])
    golden_files.assert_close(images, golden_files.nhwc(golden['out/img_noise_const']), 3e-5)
    options = json.loads((tmp_path / 'run' / 'config.json').read_text())
    assert (options['generator']['clamp'], options['discriminator']['clamp']) == (1.25, 0.0)
    assert (options['discriminator']['minibatch_group'], options['discriminator']['architecture']) == (2, 'original')
    source = json.loads((tmp_path / 'run' / 'run.json').read_text())['converted']
    assert (source['layout'], source['files']['networks']['name']) == ('stylegan2', 'network.pkl')


def test_the_state_dict_of_a_conditional_stylegan2(tmp_path):
    golden = golden_files.read('sg2_g_orig_cond_map2')
    path = torch_files.save(tmp_path / 'G.pth', {'G_ema': state_dict('sg2_g_orig_cond_map2', 'G'), 'step': 1})
    assert command(tmp_path / 'run', '--generator', path, '--data', 'digits', layout='stylegan2') == 0
    run = load_run(tmp_path / 'run')
    labels = golden['in/c'].argmax(1).astype(np.int32)
    images = samples.generate(run.game, run.generator, golden['in/z'], labels)
    golden_files.assert_close(images, golden_files.nhwc(golden['out/img_noise_const']), 3e-5)


class Harm:
    def __reduce__(self):
        return os.system, ('touch harmed',)


@pytest.mark.parametrize(
    ('tree', 'reason'),
    [
        (pickle.dumps({'G_ema': Harm()}), 'it uses posix.system, which tensors do not need'),
        (b'cbuiltins\nexec\n(S\'open("harmed", "w")\'\ntR.', 'it uses builtins.exec, which tensors do not need'),
        (pickle.dumps({'G_ema': 1}), 'it has no networks'),
        (pickle.dumps([1])[:-1], 'pickle exhausted before seeing STOP'),
    ],
)
def test_a_pickle_of_anything_else_is_refused_in_a_sentence(tmp_path, monkeypatch, capsys, tree, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'network.pkl').write_bytes(tree)
    assert convert_weights.main(['network.pkl', '--out', 'run']) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'network.pkl is not a readable pickle of StyleGAN2 (' + reason in line
    assert line.endswith('none of its code was executed.')
    assert {path.name for path in tmp_path.iterdir()} == {'network.pkl'}


def test_a_storage_with_harm_in_it_and_a_module_in_two_places_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = torch_files.network('Generator', {'layer.w_avg': np.zeros(3, np.float32)})
    state = network.arguments[0]['state']
    harmful = torch_files.Named('torch.storage', '_load_from_bytes', pickle.dumps(Harm()))
    state['_buffers']['w'] = torch_files.Named('torch._utils', '_rebuild_tensor_v2', harmful, 0, (3,), (1,))
    with pytest.raises(UserError, match=r'it uses posix\.system'):
        read_networks(written(tmp_path / 'storage.pkl', {'G': network}))
    assert not (tmp_path / 'harmed').exists()
    del state['_buffers']['w']
    assert list(read_networks(written(tmp_path / 'once.pkl', {'G': network}))['G'].arrays) == ['layer.w_avg']
    state['_modules']['again'] = state['_modules']['layer']
    with pytest.raises(UserError, match='occurs twice'):
        read_networks(written(tmp_path / 'twice.pkl', {'G': network}))
