"""Games by config: what is found, joined and refused."""

import pathlib

import jax.numpy as jnp
import optax
import pytest

from gan_jax import build, games, models
from gan_jax import config as configs
from gan_jax.config import json_values
from gan_jax.errors import UserError
from gan_jax.game import Game, Turn
from gan_jax.games import adversarial
from gan_jax.parts import Parts

DIGIT, CONFIGS = (8, 8, 1), pathlib.Path(__file__).parents[2] / 'configs'
HEAD = """
from gan_jax.games import adversarial
from gan_jax.game import Game, Turn

def made(parts):
    return adversarial.from_config(parts=parts)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a game's module, and returns its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, text):
        (tmp_path / f'{name}.py').write_text(HEAD + text)
        return name

    return write


def start(name):
    """The state before the first step of a game on the embedded digits."""
    config = configs.base('mlp', game=name)
    return build.init_state(config, build.make_game(config, DIGIT))


def test_the_games_of_the_package_are_found_by_name():
    ours = {
        'adversarial',
        'anogan',
        'bigan',
        'can',
        'cyclegan',
        'dpgan',
        'munit',
        'pix2pix',
        'semi_supervised',
        'stargan',
        'unit',
    }
    assert ours <= set(games.names())
    for name in games.names():
        assert callable(games.find(name).from_config)
        assert games.roles(name)[:2] == ('generator', 'discriminator')


def test_an_image_game_of_a_config_is_that_of_its_parts():
    config = configs.base('mlp')
    game = build.make_game(config, (2,))
    assert isinstance(game, Game)
    assert [turn.title for turn in game.turns] == ['discriminator', 'generator']
    assert (game.given, game.translates, game.show) == ('', False, None)
    networks = adversarial.make_networks(Parts(config, {'real': (2,)}))
    assert networks.generator.init is not networks.discriminator.init


def test_a_games_options_are_keys_and_its_roles_are_sections(module):
    name = module(
        'three_players',
        "ROLES = ('generator', 'discriminator', 'style_encoder')\n"
        'StyleEncoder = __import__("gan_jax.models.mlp").models.mlp.Discriminator\n'
        'def from_config(weight=0.5, *, parts):\n    return made(parts)._replace(given="", averaged=())\n',
    )
    module('with_encoder', 'from gan_jax.models.mlp import Generator, Discriminator\nStyleEncoder = Discriminator\n')
    config = configs.base('with_encoder', game=name)
    assert (config.game.weight, config.style_encoder_optimizer.name) == (0.5, 'adam')
    assert config.style_encoder.widths == config.discriminator.widths
    configs.check(config)
    turns = (Turn('style_encoder', None, times=3), Turn('style_encoder', None, name='style_encoder/late', every=4))
    config.duration, config.schedule = '10 steps', configs.section('schedule', 'linear')
    config.style_encoder_optimizer = configs.section('style_encoder_optimizer', 'sgd')
    optimizers = build.make_optimizers(config, Game(None, turns, None, None))
    assert set(optimizers) == {'generator', 'discriminator', 'style_encoder'}
    made, params = optimizers['style_encoder'], jnp.zeros(2)
    state = optax.tree.set(made.init(params), count=jnp.int32(10 * 3 + 3 - 1))  # the last of its moves
    rates = [made.update(jnp.ones(2), one, params)[0][0] for one in (made.init(params), state)]
    assert float(rates[1] / rates[0]) == pytest.approx(1 / 33)
    assert json_values.from_json(json_values.to_json(config)).game.weight == 0.5
    assert json_values.foreign_modules(json_values.to_json(config)) == ['three_players', 'with_encoder']


def test_a_family_for_one_network_brings_its_options():
    given = ['generator.family=cyclegan', 'generator.blocks=2', 'data.size=16']
    config = configs.load(f'{CONFIGS}/pix2pix.py', given)
    assert (config.generator.blocks, config.generator.width) == (2, 16)
    assert 'levels' not in config.generator
    assert 'receptive_field' in config.discriminator
    module = Parts(config, {'input': (16, 16, 1), 'real': (16, 16, 3)}).module('generator', (16, 16, 3))
    assert isinstance(module, models.network('cyclegan', 'generator'))
    assert module.channels == 3


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', r'The game bad0 has no function from_config\(\.\.\., \*, parts\)'),
        (
            'def from_config(*, parts):\n    return 3\n',
            r'from_config of the game bad1 returns a int, not a gan_jax.game.G',
        ),
        (
            'def from_config(*, parts):\n    return made(parts)._replace(init=lambda key: {})\n',
            "The game bad2 has no player 'generator', which makes the samples:",
        ),
        (
            'def from_config(*, parts):\n'
            '    return made(parts)._replace(sample=lambda params, variables, latents, condition=None: latents)\n',
            r'The generator of mlp makes examples of shape \(100,\), not \(8, 8, 1\)',
        ),
        (
            'def from_config(*, parts):\n    game = made(parts)\n'
            "    return game._replace(turns=(*game.turns, Turn('critic', game.turns[0].loss)))\n",
            r"The player 'critic' moves and has no optimizer",
        ),
        (
            "ROLES = ('generator', 'discriminator', 'critic')\ndef from_config(*, parts):\n    return made(parts)\n",
            'The model gan_jax.models.mlp has no class Critic, which the game needs.',
        ),
        (
            'def from_config(*, parts):\n    return nothing\n',
            r'The game bad6 has a mistake in .*bad6.py, line 8: NameError',
        ),
        (
            "def from_config(*, parts):\n    parts.shape('input')\n",
            r"The game bad7 needs batches with 'input', but those of 'digits' have real: choose other data",
        ),
    ],
)
def test_a_game_that_is_none_is_refused_in_a_sentence(module, request, text, message):
    name = module(f'bad{request.node.callspec.indices["text"]}', text)
    with pytest.raises(UserError, match=message):
        start(name)


@pytest.mark.parametrize(
    ('overrides', 'message'),
    [
        (
            ['game.name=nosuch'],
            r"There is no game 'nosuch': choose one of adversarial, .*cyclegan, .*or a module of your own",
        ),
        (['game.l2=3'], "The config has no key 'game.l2'; the nearest name is 'game.l1'"),
        (['game.l1=-1'], r'game.l1 is -1'),
        (['generator.family=nosuch'], r"There is no model 'nosuch'"),
        (['generator.family=json'], r'The model json has no class Generator'),
        (['loss.name=nosuch'], r"loss.name is 'nosuch'; choose one of non_saturating"),
        (['loss.name=math.nosuch'], r"The module math has no function nosuch, which loss 'math.nosuch' names"),
        (['loss.name=nosuch.loss'], r"There is no loss 'nosuch.loss': choose one of .*, or a module.function"),
    ],
)
def test_a_wrong_name_gets_one_sentence(overrides, message):
    with pytest.raises(UserError, match=message):
        configs.load(f'{CONFIGS}/pix2pix.py', overrides)


def test_terms_of_ones_own_join_those_of_the_toolbox(module):
    module(
        'my_terms',
        'from gan_jax.game import Pair\nfrom gan_jax.terms import Term\n\n'
        'def smooth(weight=1.0):\n'
        "    return Pair((), (Term('smooth', weight, lambda view, memory: (view.real.mean() ** 2, memory)),))\n\n"
        'def none():\n    return 3\n',
    )
    spec = f'{CONFIGS}/mlp.py'
    config = configs.load(spec, ["terms=('my_terms.smooth(weight=3)', 'my_terms.smooth')", 'penalties.r1.weight=1'])
    found = configs.make_terms(config).discriminator
    assert [(term.name, term.weight) for term in found] == [('r1', 1), ('smooth', 3), ('smooth', 1.0)]
    assert json_values.foreign_modules(json_values.to_json(config)) == ['my_terms']
    for text, message in (
        ('my_terms.smooth(3)', r"write 'module.function' or 'module.function\(option=value\)'"),
        (
            'my_terms.smooth(wait=3)',
            r'my_terms.smooth cannot be called with these arguments: got an unexpected keyword',
        ),
        ('my_terms.rough', r'The module my_terms has no function rough'),
        ('my_terms.none', 'terms must be the terms of the generator and those of the discriminator'),
    ):
        with pytest.raises(UserError, match=message):
            configs.load(spec, [f'terms={(text,)!r}'])


def test_a_config_of_an_older_version_gets_the_later_keys():
    values = json_values.to_json(configs.base('mlp'))
    older = {key: value for key, value in values.items() if key not in ('game', 'discriminator_schedule')}
    older['generator'] = {key: value for key, value in values['generator'].items() if key != 'family'}
    older['loss'] = {'name': 'hinge'}
    found = json_values.from_json(older)
    assert found.loss.to_dict() == {'name': 'hinge'}
    assert json_values.to_json(found) | {'loss': values['loss']} == values
    assert json_values.differences(json_values.completed(older), values) == [
        f'loss.{key} (' + (f"'(absent)' -> {value!r})" if key != 'name' else "'hinge' -> 'non_saturating')")
        for key, value in sorted(values['loss'].items())
    ]


def test_newer_options_of_the_same_choices_are_no_differences():
    config = configs.base('mlp')
    values = json_values.to_json(config)
    older = {key: dict(value) if isinstance(value, dict) else value for key, value in values.items()}
    del older['generator_optimizer']['optimism'], older['discriminator']['dropout'], older['loss']['real_label']
    assert json_values.differences(json_values.completed_as(older, config), values) == []
    config.generator_optimizer.optimism = 1.0
    changed = json_values.differences(json_values.completed_as(older, config), json_values.to_json(config))
    assert changed == ['generator_optimizer.optimism (0.0 -> 1.0)']
    older['loss']['name'] = 'hinge'
    assert "loss.real_label ('(absent)' -> 1.0)" in json_values.differences(
        json_values.completed_as(older, config), values
    )


def test_durations_in_epochs_count_the_examples():
    config = configs.base('mlp')
    config.duration, config.batch_size = '3 epochs', 64
    assert configs.steps(config, 'duration') == 3  # before the data are loaded
    with config.ignore_type():
        config.data.examples = 1500
    assert configs.steps(config, 'duration') == 71  # 4,500 images in batches of 64
    config.log_every = '0.5 epoch'
    assert configs.steps(config, 'log_every') == 12
