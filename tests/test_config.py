"""The grammar of configs, and the sentence that every mistake gets."""

import pathlib

import pytest

from gan_jax import config as configs
from gan_jax.errors import UserError

DCGAN = str(pathlib.Path(__file__).parent.parent / 'configs' / 'dcgan.py')


@pytest.mark.parametrize(
    ('spec', 'data', 'tiny'),
    [
        ('', 'digits', False),
        (':fashion_mnist', 'fashion_mnist', False),
        (':debug', 'digits', True),
        (':cifar10,debug', 'cifar10', True),
        (':folder:/a/b.py:c,d', 'folder:/a/b.py:c,d', False),
    ],
)
def test_the_argument_names_the_data_and_debug_makes_it_tiny(spec, data, tiny):
    config = configs.load(DCGAN + spec)
    assert config.data.name == data
    assert (configs.steps(config, 'duration') == 20) == tiny


def test_overrides_reach_every_level_with_the_type_of_the_key():
    config = configs.load(
        DCGAN,
        ['seed=3', 'data.size=32', 'loss.real_label=1', 'generator.widths=(64,32)', 'data.flip=true', 'duration=7'],
    )
    assert (config.seed, config.data.size, config.generator.widths, config.data.flip) == (3, 32, (64, 32), True)
    assert (config.loss.real_label, type(config.loss.real_label)) == (1.0, float)
    assert configs.steps(config, 'duration') == 7


def test_a_name_brings_its_own_options_and_keeps_the_shared_ones():
    config = configs.load(DCGAN, ['generator_optimizer.learning_rate=0.5', 'generator_optimizer.name=sgd'])
    assert config.generator_optimizer.to_dict() == {'name': 'sgd', 'learning_rate': 0.5, 'momentum': 0.0}
    config = configs.load(DCGAN, ['model=mlp', 'generator.widths=(8,)'])
    assert config.generator.widths == (8,)


@pytest.mark.parametrize(
    ('overrides', 'sentence'),
    [
        (['batchsize=3'], r"no key 'batchsize'; the nearest is 'batch_size'"),
        (['data.nam=x'], r"no key 'data.nam'; the nearest is 'data.name'"),
        (['generator.width_=3'], r"no key 'generator.width_'; the nearest is 'generator.width'"),
        (['batch_size=lots'], r"batch_size takes a whole number, such as 64, not 'lots'"),
        (['batch_size=0'], r'batch_size is 0; it must be a whole number of at least 1'),
        (['data.flip=3'], r"data.flip takes True or False, such as False, not '3'"),
        (['data.flip'], r"The override 'data.flip' has no value: write --config.data.flip=value"),
        (['loss.name=wgn'], r"loss.name is 'wgn'; choose one of non_saturating, minimax"),
        (['duration=soon'], r"duration is 'soon'; write a duration as '500 steps' or '32 kimg'"),
        (['log_every=0'], r"log_every is '0'; write a duration"),
        (['parallel.mode=threads'], r"parallel.mode is 'threads'; choose one of pmap, sharding"),
        (['model=dcgn'], r"There is no model 'dcgn': choose one of dcgan, mlp"),
    ],
)
def test_a_wrong_override_gets_one_sentence(overrides, sentence):
    with pytest.raises(UserError, match=sentence):
        configs.load(DCGAN, overrides)


def test_a_missing_or_faulty_file_gets_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r'There is no config file .*dcgam.py; did you mean .*dcgan.py\?'):
        configs.load(DCGAN.replace('dcgan.py', 'dcgam.py'))
    (tmp_path / 'empty.py').write_text('')
    with pytest.raises(UserError, match=r'empty.py defines no get_config'):
        configs.load(str(tmp_path / 'empty.py'))
    (tmp_path / 'typo.py').write_text(
        'from gan_jax import config\ndef get_config(argument):\n    c = config.base("mlp")\n    c.batchsize = 3\n'
    )
    with pytest.raises(UserError, match=r'typo.py: .*batch_size'):
        configs.load(str(tmp_path / 'typo.py'))


def test_durations_in_kimg_round_up_to_whole_batches():
    config = configs.load(DCGAN, {'duration': '1 kimg', 'batch_size': '64'})
    assert configs.steps(config, 'duration') == 16  # 15.6 batches


def test_json_gives_the_config_back_and_differences_name_keys_and_values():
    config = configs.load(DCGAN, ['generator.widths=(64, 32)'])
    values = configs.to_json(config)
    assert configs.from_json(values) == config
    other = configs.load(DCGAN, ['seed=1'])
    assert configs.differences(values, configs.to_json(other)) == [
        'generator.widths ([64, 32] -> None)',
        'seed (0 -> 1)',
    ]
    assert configs.differences(values, values) == []


@pytest.mark.parametrize(
    ('spec', 'name'),
    [(':cifar10,debug', 'dcgan-cifar10-debug'), (':folder:/a/my cats/', 'dcgan-my-cats'), ('', 'dcgan-digits')],
)
def test_a_run_is_named_after_config_and_data(spec, name):
    assert configs.run_name(DCGAN + spec, configs.load(DCGAN + spec)) == name
