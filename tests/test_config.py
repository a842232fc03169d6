"""The grammar of configs, and the sentence that every mistake gets."""

import os
import pathlib
import warnings

import pytest

from gan_jax import config as configs
from gan_jax.config import files, json_values
from gan_jax.errors import SourceError, UserError

# Several tests change the model or a loss for another's sake; what that drops has tests of its own.
pytestmark = pytest.mark.filterwarnings(r'ignore:model=.* drops options of')

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


@pytest.mark.parametrize(
    ('argument', 'data', 'small'),
    [
        ('', 'digits', True),
        ('small', 'fashion_mnist', True),
        ('cifar10,small', 'cifar10', True),
        ('cifar10', 'cifar10', False),
        ('unpaired:a,b,small', 'unpaired:a,b', True),
        ('folder:small/images', 'folder:small/images', False),
    ],
)
def test_a_recipe_may_have_a_small_form(argument, data, small):
    config = configs.base('dcgan')
    assert configs.choose_small(config, argument) == small
    assert (config.data.name, config.data.size) == (data, None if argument else 16)


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
    shared = {'clip_norm': 0.0, 'weight_decay': 0.0, 'clip_weights': 0.0, 'optimism': 0.0}
    assert config.generator_optimizer.to_dict() == {'name': 'sgd', 'learning_rate': 0.5, 'momentum': 0.0, **shared}
    config = configs.load(DCGAN, ['model=mlp', 'generator.widths=(8,)'])
    assert config.generator.widths == (8,)


@pytest.mark.parametrize(
    ('overrides', 'sentence'),
    [
        (['batchsize=3'], r"no key 'batchsize'; the nearest name is 'batch_size'"),
        (['data.nam=x'], "no key 'data.nam'; the nearest name is 'data.name'"),
        (['generator.width_=3'], "no key 'generator.width_'; the nearest name is 'generator.width'"),
        (['batch_size=lots'], r"batch_size takes a whole number, such as 64, not 'lots'"),
        (['batch_size=0'], r'batch_size is 0; it must be from 1 to 2147483647'),
        (['data.flip=3'], r'data.flip takes True or False, such as False, not 3\.'),
        (['data.flip'], r"The override 'data.flip' has no value: write --config.data.flip=value"),
        (['loss.name=wgn'], r"loss.name is 'wgn'; choose one of non_saturating, minimax"),
        (['duration=soon'], r"duration is 'soon'; write a duration as '500 steps', '32 kimg' or '10 epochs'"),
        (['log_every=0'], r"log_every is '0'; write a duration"),
        (['parallel.mode=threads'], r"parallel.mode is 'threads'; choose one of pmap, sharding"),
        (['batch_size=None'], r'batch_size takes a whole number, such as 64, not None\.'),
        (['batch_size=True'], r'batch_size takes a whole number, such as 64, not True\.'),
        (['ema.ramp_up=None'], r'ema.ramp_up takes a number, such as 0.05, not None\.'),
        (['data.size=big'], r"data.size takes a whole number or None, not 'big'\."),
        (['data.size=1.5'], r'data.size takes a whole number or None, not 1.5\.'),
        (['data.size=(16,16)'], r'data.size takes a whole number or None, not \(16, 16\)\.'),
        (['data.size=0'], r'data.size is 0; it must be from 2 to 8192\.'),
        (['data.channels=rgb'], r"data.channels takes a whole number or None, not 'rgb'\."),
        (['generator.widths=abc'], r"generator.widths takes a tuple of whole numbers or None, not 'abc'\."),
        (['generator.widths=64'], r'generator.widths takes a tuple of whole numbers or None, not 64\.'),
        (
            ['model=mlp', 'generator.widths=64'],
            r'generator.widths takes a tuple of whole numbers, such as \(256, 512, 1024\), not 64\.',
        ),
        (['seed=-1'], r'seed is -1; it must be from 0 to 4294967295\.'),
        (['seed=4294967296'], r'seed is 4294967296; it must be from 0 to 4294967295\.'),
        (['seed=1.5'], r'seed takes a whole number, such as 0, not 1.5\.'),
        (['parallel.devices=-1'], r'parallel.devices is -1; it must be from 0 to 2147483647\.'),
        (['ema.half_life_kimg=-1'], r'ema.half_life_kimg is -1.0; it must be from 0 to 1000000\.'),
        (['ema.ramp_up=-1'], r'ema.ramp_up is -1.0; it must be from 0 to 1000000\.'),
        (['checkpoints.keep_last=0'], r'checkpoints.keep_last is 0; it must be from 1 to 2147483647\.'),
        (['checkpoints.keep_best=-1'], r'checkpoints.keep_best is -1; it must be from 0 to 2147483647\.'),
        (['dtype=float16'], r"dtype is 'float16'; choose one of float32, bfloat16\."),
        (
            ['generator_optimizer.learning_rate=-1'],
            r'generator_optimizer.learning_rate is -1.0; it must be from 0 to 1e\+38\.',
        ),
        (['loss.real_label=2'], r'loss.real_label is 2.0, but a label is a probability'),
        (
            ['model=dcgn'],
            r"There is no model 'dcgn': choose one of .*cyclegan, .*dcgan, .*mlp, .*sngan, .*or a module of your own\.",
        ),
        (['model=.dcgan'], r"There is no model '.dcgan': choose one of .*cyclegan, .*dcgan, .*mlp"),
        (['model='], r"There is no model '': choose one of .*cyclegan, .*dcgan, .*mlp"),
        (['model=json'], r'The model json has no class Generator'),
    ],
)
def test_a_wrong_override_gets_one_sentence(overrides, sentence):
    with pytest.raises(UserError, match=sentence):
        configs.load(DCGAN, overrides)


def test_a_missing_or_faulty_file_gets_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r'There is no config file .*dcgam.py; did you mean .*dcgan.py\?'):
        configs.load(DCGAN.replace('dcgan.py', 'dcgam.py'))
    with pytest.raises(UserError, match=r'There is no config file dcgna; did you mean dcgan\?'):
        configs.load('dcgna:digits')
    with pytest.raises(
        UserError, match=r'no config file away/dcgan.py; gan_jax has a recipe of this name: --config dcgan\.'
    ):
        configs.load('away/dcgan.py:digits')
    (tmp_path / 'empty.py').write_text('')
    with pytest.raises(UserError, match=r'empty.py defines no get_config'):
        configs.load(str(tmp_path / 'empty.py'))


def test_a_recipe_of_the_package_is_loaded_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert json_values.to_json(configs.load('dcgan:mnist')) == json_values.to_json(configs.load(f'{DCGAN}:mnist'))
    assert configs.load('toy').data.name == configs.load('toy:ring,debug').data.name == 'ring'
    assert configs.run_name('dcgan:folder:/a/b', configs.load('dcgan:folder:/a/b', {'data.size': '16'})) == 'dcgan-b'
    assert set(files.recipes()) == {path.stem for path in pathlib.Path(DCGAN).parent.glob('*.py')}


def load_body(directory, body, signature='argument'):
    """Loads a config file that starts from the base of mlp as `c`."""
    path = directory / 'mine.py'
    path.write_text(
        f'from gan_jax import config\ndef get_config({signature}):\n    c = config.base("mlp")\n    {body}\n'
    )
    return configs.load(str(path))


@pytest.mark.parametrize(
    ('body', 'sentence'),
    [
        ('c.batchsize = 3', r'mine.py uses the config incorrectly: .*batch_size'),
        ('c.batch_size = "x"', "mine.py uses the config incorrectly: Could not override field 'batch_size'"),
        ('return None', r'The get_config of .*mine.py returns None; it must return a config made by base\(model\)\.'),
        ('return {}', r'The get_config of .*mine.py returns {}; it must return a config'),
        ('return type(c)()', r'The config has no model: start from gan_jax.config.base\(model, game\), where every'),
        (
            'return type(c)({"model": "mlp", "game": c.game, "loss": c.loss})',
            r'The config has no generator_optimizer.name: start',
        ),
        ('c.unlock(); del c.ema; return c', r'The config has no ema.half_life_kimg: start from'),
        ('c.loss = None; return c', r'The config has no loss.name: start from'),
        ('c.batch_size = None; return c', r'batch_size takes a whole number, such as 64, not None\.'),
        ('c.seed = -1; return c', r'seed is -1; it must be from 0 to'),
        ('c.data.size = "big"; return c', r"data.size takes a whole number or None, not 'big'\."),
        ('c.data.cache = 3; return c', r'data.cache takes text or None, not 3\.'),
        ('c.data.directory = 1.5; return c', r'data.directory takes text or None, not 1.5\.'),
        ('c.parallel.devices = -8; return c', r'parallel.devices is -8; it must be from 0 to 2147483647\.'),
    ],
)
def test_a_faulty_config_file_gets_one_sentence(body, sentence, tmp_path):
    with pytest.raises(UserError, match=sentence):
        load_body(tmp_path, body)


def test_get_config_must_take_the_argument(tmp_path):
    with pytest.raises(UserError, match=r'The get_config of .*mine.py must take one argument, the text after the'):
        load_body(tmp_path, 'return c', signature='')


@pytest.mark.parametrize(
    ('body', 'message'),
    [
        ('argument.size', "AttributeError: 'str' object has no attribute 'size'"),
        ('{}["x"]', "KeyError: 'x'"),
        ('len(3)', "TypeError: object of type 'int' has no len()"),
        ('nothing', "NameError: name 'nothing' is not defined"),
    ],
)
def test_a_bug_in_a_config_file_is_told_with_its_place_and_keeps_its_traceback(body, message, tmp_path):
    with pytest.raises(SourceError) as error:
        load_body(tmp_path, body)
    path = tmp_path / 'mine.py'
    assert str(error.value) == f'The config file {path} has a mistake in {path}, line 4: {message}'
    assert error.value.__cause__.__traceback__ is not None


@pytest.mark.parametrize(
    ('source', 'words'),
    [
        (b'x = (\n', "mine.py, line 1: SyntaxError: '(' was never closed"),
        (b'import not_there_at_all\n', "mine.py, line 1: ModuleNotFoundError: No module named 'not_there_at_all'"),
        (b'\n1 / 0\n', 'mine.py, line 2: ZeroDivisionError: division by zero'),
        (b'x = "caf\xe9"\n', "SyntaxError: (unicode error) 'utf-8' codec can't decode byte 0xe9"),
    ],
)
def test_a_config_file_that_cannot_be_run_is_told_with_its_place(source, words, tmp_path):
    (tmp_path / 'mine.py').write_bytes(source)
    with pytest.raises(SourceError, match=r'The config file .*mine.py has a mistake in .*mine.py') as error:
        configs.load(str(tmp_path / 'mine.py'))
    assert words in str(error.value)


def test_a_directory_is_no_config_file(tmp_path):
    for spec in (tmp_path, f'{tmp_path}/'):
        with pytest.raises(UserError, match='is a directory: give the config file itself, such as '):
            configs.load(str(spec))


def test_a_name_may_be_set_in_a_config_file(tmp_path):
    config = load_body(tmp_path, 'c.loss.name = "hinge"; c.generator_optimizer.name = "sgd"; return c')
    assert config.loss.to_dict() == {'name': 'hinge'}
    assert set(config.generator_optimizer) == set(configs.section('generator_optimizer', 'sgd'))
    assert config.generator_optimizer.learning_rate == 2e-4  # shared options stay, as on the command line
    with pytest.raises(UserError, match=r"loss.name is 'hing'; choose one of non_saturating"):
        load_body(tmp_path, 'c.loss.name = "hing"; return c')
    with pytest.raises(UserError, match=r"no 'generator.output': in a config file, start from base\('dcgan'\)\."):
        load_body(tmp_path, 'c.model = "dcgan"; return c')


def test_another_model_keeps_what_the_recipe_set_and_names_what_is_lost():
    cgan = DCGAN.replace('dcgan.py', 'cgan.py')
    with pytest.warns(UserWarning, match='^model=mlp drops') as warned:
        config = configs.load(cgan, ['model=mlp'])
    assert (config.generator.conditioning, config.discriminator.conditioning) == ('concatenate', 'planes')
    assert config.generator.widths == (256, 512, 1024)
    assert [str(one.message) for one in warned] == [
        'model=mlp drops options of the config: discriminator.initializer=normal (he now); '
        'discriminator.normalization=batch (none now); generator.initializer=normal (he now); '
        'generator.normalization=batch (none now).'
    ]
    assert configs.load(DCGAN, ['model=sngan']).discriminator.normalization == 'spectral'
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        config = configs.load(DCGAN.replace('dcgan.py', 'sngan.py'), ['model=dcgan'])
        assert (config.generator.normalization, config.discriminator.normalization) == ('batch', 'spectral')
        overrides = ['model=dcgan', 'discriminator.normalization=spectral']
        config = configs.load(DCGAN.replace('dcgan.py', 'projection.py'), overrides)
    assert config.discriminator.normalization == 'spectral'
    assert config.discriminator.conditioning == 'projection'


def test_what_a_new_name_has_no_option_for_is_named():
    with pytest.warns(UserWarning, match=r'model=mlp drops options of the config: .*generator.kernel_size=5'):
        configs.load(DCGAN, ['model=mlp'])
    with pytest.warns(UserWarning, match=r'^loss.name=hinge drops options of the config: loss.real_label=0.9\.$'):
        configs.load(DCGAN, ['loss.name=hinge'])


@pytest.mark.parametrize(
    ('overrides', 'sentence'),
    [
        (['generator_optimizer.lr=1'], "the nearest name is 'generator_optimizer.learning_rate'"),
        (['discriminator.mom=1'], "the nearest name is 'discriminator.momentum'"),
        (['Batch_Size=1'], r"the nearest name is 'batch_size'"),
        (['checkpoints.best=1'], "the nearest name is 'checkpoints.best_m"),
        (['schedule.name=step', 'schedule.at=abc'], r"schedule.at takes a tuple of numbers, such as .* not \('abc',\)"),
        (['schedule.name=step', 'schedule.at=(0.5,2)'], r'schedule.at is \(0.5, 2\); it must be from 0 to 1'),
        (['augment.name=diffaugment', 'augment.policy=(1,2)'], r'augment.policy takes a tuple of names'),
        (['evaluate=(1,)'], r'evaluate takes a tuple of names'),
        (['generator.widths=(0,)'], r'generator.widths is \(0,\); it must be from 1 to'),
        (['model=mlp', 'generator.widths=()'], r'generator.widths is \(\); give at least one'),
        (['data.size=1'], r'data.size is 1; it must be from 2 to 8192'),
        (['checkpoints.best_metric=nosuch'], r"best_metric is 'nosuch', which does not exist; the nearest name is '"),
        (
            ['checkpoints.best_metric=fid'],
            r"best_metric is 'fid', which does not exist; the nearest name is 'eval/fid'",
        ),
        (['checkpoints.best_metric=eval/fid'], 'chosen by fid, which is not evaluated: add fid to evaluate'),
        (['checkpoints.best_metric=eval/precision', 'evaluate=fid'], r'add precision_recall to evaluate'),
        (['checkpoints.best_metric=eval/fdi', 'evaluate=fid'], r"no value 'fdi' .* the nearest name is 'fid'"),
        (
            ['checkpoints.best_metric=eval/ms_ssim', 'evaluate=ms_ssim'],
            r'It is unknown whether .* set checkpoints.best_mode',
        ),
        (['checkpoints.best_metric=discriminator/accuracy'], r'It is unknown whether .* set checkpoints.best_mode'),
    ],
)
def test_abbreviations_tuples_and_best_metrics_get_one_sentence(overrides, sentence):
    with pytest.raises(UserError, match=sentence):
        configs.load(DCGAN, overrides)


@pytest.mark.parametrize(
    ('overrides', 'mode'),
    [
        ([], 'min'),
        (['checkpoints.best_metric=eval/fid', 'evaluate=fid'], 'min'),
        (['checkpoints.best_metric=eval/precision', 'evaluate=precision_recall'], 'max'),
        (['checkpoints.best_metric=eval/sliced_wasserstein_16', 'evaluate=sliced_wasserstein'], 'min'),
        (['checkpoints.best_metric=generator/loss'], 'min'),
        (['checkpoints.best_metric=discriminator/accuracy', 'checkpoints.best_mode=max'], 'max'),
    ],
)
def test_the_direction_comes_from_the_metric(overrides, mode):
    assert configs.retention(configs.load(DCGAN, overrides))['best_mode'] == mode


FAMILY = """
import flax.linen as nn

class Generator(nn.Module):
    shape: tuple
    depth: int | None{default}
    act: 'str | None' = None

class Discriminator(nn.Module):
    slope: float = 0.2
"""


def test_a_module_of_ones_own_is_a_model_and_its_annotations_are_its_types(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'my_gan.py').write_text(FAMILY.format(default=' = None'))
    config = configs.load(DCGAN, ['model=my_gan', 'generator.depth=3', 'generator.act=relu'])
    assert config.generator.to_dict() == {'family': '', 'depth': 3, 'act': 'relu'}
    assert config.discriminator.to_dict() == {'family': '', 'slope': 0.2}
    with pytest.raises(UserError, match=r"generator.depth takes a whole number or None, not 'deep'\."):
        configs.load(DCGAN, ['model=my_gan', 'generator.depth=deep'])


def test_an_option_of_a_network_needs_a_default(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'my_other_gan.py').write_text(FAMILY.format(default=''))
    with pytest.raises(UserError, match="The generator of my_other_gan has no default for 'depth'; every option needs"):
        configs.load(DCGAN, ['model=my_other_gan'])


def test_durations_in_kimg_round_up_to_whole_batches():
    config = configs.load(DCGAN, {'duration': '1 kimg', 'batch_size': '64'})
    assert configs.steps(config, 'duration') == 16  # 15.6 batches


def test_json_gives_the_config_back_and_differences_name_keys_and_values():
    config = configs.load(DCGAN, ['generator.widths=(64, 32)'])
    values = json_values.to_json(config)
    assert json_values.from_json(values) == config
    other = configs.load(DCGAN, ['seed=1'])
    assert json_values.differences(values, json_values.to_json(other)) == [
        'generator.widths ([64, 32] -> None)',
        'seed (0 -> 1)',
    ]
    assert json_values.differences(values, values) == []


@pytest.mark.parametrize(
    ('before', 'after', 'same'),
    [
        ('folder:/a/cats', 'folder:/b', True),
        ('paired:/a/maps', 'paired:/b/maps', True),
        ('unpaired:folder:/a,folder:/b', 'unpaired:folder:/c/a,folder:/c/b', True),
        ('classes:folder:/a:cat:dog', 'classes:folder:/b:cat:dog', True),
        ('classes:folder:/a:cat:dog', 'classes:folder:/a:cat:cow', False),
        ('cycle_gan/horse2zebra', 'cycle_gan/apple2orange', False),
        ('edges:folder:/a', 'grey:folder:/a', False),
    ],
)
def test_data_that_have_been_moved_make_no_other_run(before, after, same):
    found = json_values.differences({'data': {'name': before}}, {'data': {'name': after}})
    assert (found == []) == same


def test_where_and_how_a_run_runs_makes_no_other_run():
    elsewhere = {
        'on_nan': 'restore',
        'data.cache': '/a',
        'data.directory': '7',
        'data.placement': 'host',
        'checkpoints.keep_last': '5',
        'checkpoints.best_metric': 'discriminator/loss',
        'parallel.mode': 'sharding',
        'parallel.devices': '1',
    }
    config = configs.load(DCGAN, elsewhere)
    assert (config.data.directory, config.parallel.devices) == (os.path.abspath('7'), 1)  # a directory may be called 7
    assert json_values.differences(json_values.to_json(configs.load(DCGAN)), json_values.to_json(config)) == []
    config = configs.load(DCGAN, elsewhere | {'log_every': '10 steps'})  # it cuts the stretches
    assert json_values.differences(json_values.to_json(configs.load(DCGAN)), json_values.to_json(config)) == [
        "log_every ('50 steps' -> '10 steps')"
    ]


@pytest.mark.parametrize(
    ('spec', 'name'),
    [(':cifar10,debug', 'dcgan-cifar10-debug'), (':folder:/a/my cats/', 'dcgan-my-cats'), ('', 'dcgan-digits')],
)
def test_a_run_is_named_after_config_and_data(spec, name):
    assert configs.run_name(DCGAN + spec, configs.load(DCGAN + spec)) == name
