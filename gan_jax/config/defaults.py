"""Every key of a config with its default, its description and its valid values."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict

from gan_jax import games, models
from gan_jax.adversarial import COMBINATIONS
from gan_jax.augmentation.augment import AUGMENTATIONS
from gan_jax.balance import BALANCES
from gan_jax.docstrings import summary
from gan_jax.errors import UserError
from gan_jax.game import LATENTS
from gan_jax.losses import LOSSES
from gan_jax.open_sets import OpenDict
from gan_jax.optim import OPTIMIZERS, SCHEDULES
from gan_jax.plays import PLAYS
from gan_jax.ranges import (
    AMOUNT,
    COUNT,
    COUNT_OR_NONE,
    FINITE,
    ORDINARY,
    POSITIVE_AMOUNT,
    POSITIVE_SHARE,
    SEED,
    SHARE,
    STANDING,
    Range,
)
from gan_jax.runtime.parallel import MODES
from gan_jax.terms import PENALTIES, feature_matching, rotation
from gan_jax.terms.classes import CLASS_TERMS
from gan_jax.values import Default, choice, flat, number, options, plain

_IMAGES = Range(0, 2**53)
# What build.py passes, and linen's own.
_GIVEN_TO_NETWORKS = {'shape', 'channels', 'dtype', 'axis_name', 'num_classes', 'parent', 'name'}


class _Games(Mapping[str, Callable]):
    """The games by name, including those of other modules."""

    def __getitem__(self, name: str) -> Callable:
        return games.find(name).from_config

    def __iter__(self) -> Iterator[str]:
        return iter(games.names())

    def __len__(self) -> int:
        return len(games.names())

    def __contains__(self, name: object) -> bool:
        games.find(name)
        return True


def factories(roles: Iterable[str]) -> dict[str, Mapping[str, Callable]]:
    """The sections whose `name` chooses the rest of their keys, with all choices.

    Args:
        roles: roles of the game.
    """
    return {
        'game': _Games(),
        'loss': OpenDict(LOSSES, 'loss'),
        **{f'{role}_optimizer': OpenDict(OPTIMIZERS, 'optimizer') for role in roles},
        'play': OpenDict(PLAYS, 'play'),
        'schedule': OpenDict(SCHEDULES, 'schedule'),
        'augment': OpenDict(AUGMENTATIONS, 'augmentation'),
    }


def choices(section: str) -> Mapping[str, Callable]:
    """All choices of one of these sections, by name."""
    return factories([section.removesuffix('_optimizer')])[section]


def _tree(model: str, networks: Mapping[str, Mapping[str, Default]], names: Mapping[str, str]) -> dict[str, Any]:
    """All keys as sections, `Default`s and plain defaults.

    Args:
        model: the family of all networks without their own.
        networks: each network's options, by its role.
        names: the choice for each of the `factories`.
    """

    def chosen(section: str) -> dict[str, Any]:
        return _section(section, names[section])

    return {
        'game': chosen('game'),
        'seed': number(0, SEED, 'seed of initial parameters, order of examples and all noise'),
        'data': {
            'name': plain(
                'digits', 'of the data set: see `gan_jax.data.load`, and `python -m gan_jax.tools.list data`'
            ),
            'split': plain('train', "split in the syntax of TFDS: 'train[:10%]'"),
            'size': Default(
                None,
                int,
                Range(2, 8192),
                about="height and width in pixels, or points of a cloud; None: the data's own",
            ),
            'channels': Default(
                None, int, Range(1, 3), about="1, or 3 (grey images three times); None: the data's own"
            ),
            'examples': Default(None, int, COUNT, about='their number; set when they are loaded'),
            'flip': plain(False, 'mirror every other image at random'),
            'left_out': plain('', "classes without examples in training, by name or number: '3,8'"),
            'labels_per_class': Default(
                None,
                int,
                COUNT,
                about='examples of each class that keep their labels, for semi-supervised games; None: all',
            ),
            'label_seed': number(0, SEED, 'seed of the draw of these examples'),
            'directory': Default(None, str, about="directory of TFDS data sets; None: TFDS_DATA_DIR or TFDS's default"),
            'cache': Default(None, str, about="directory of decoded images; None: the user's cache directory"),
            'placement': choice(
                'auto',
                'auto',
                'device',
                'host',
                about='device: resident; host: streamed from a memory map; auto: resident if they fit',
            ),
        },
        'population': number(1, Range(1, 1000), 'number of runs in one program, with the seeds from `seed` on'),
        'vary': plain('', "or one run for each value of a number: 'generator_optimizer.learning_rate=1e-4,2e-4'"),
        'batch_size': number(64, COUNT, 'global batch size, over all devices'),
        'duration': plain('1000 steps', "steps of the generator, thousands of images as '100 kimg', or '10 epochs'"),
        'earlier_phases': Default(
            (),
            tuple,
            element=str,
            about=(
                "phases before this one, each as changes of this config: 'duration=600 kimg; batch_size=128; "
                "data.size=8'"
            ),
        ),
        'phase': {
            'number': number(0, COUNT_OR_NONE, 'number of phases before this one; set when a run begins'),
            'steps': number(0, COUNT_OR_NONE, 'steps before this phase; set when a run begins'),
            'images': number(0, _IMAGES, 'images before this phase; set when a run begins'),
        },
        'fresh_optimizers': plain(False, 'whether optimisers are reset at the beginning of a later phase'),
        'discriminator_steps': number(1, COUNT, 'discriminator steps per round, each on a new batch'),
        'discriminator_schedule': {
            'steps': number(0, COUNT_OR_NONE, 'final number of discriminator steps; 0: no change'),
            'until': number(1.0, POSITIVE_SHARE, 'share of the run at which it is reached'),
        },
        'generator_steps': number(1, COUNT, 'generator steps per round'),
        'accumulate': number(1, COUNT, 'number of parts of a batch, computed one after the other for one update'),
        'latents': {
            'size': number(100, COUNT, 'dimensions'),
            'distribution': choice('normal', *LATENTS, about='distribution of each component'),
        },
        'model': plain(model, 'the family of all networks without their own'),
        **networks,
        'loss': chosen('loss'),
        'flip_labels': number(
            0.0, SHARE, "probability that a real and a fake example are exchanged in the discriminator's loss"
        ),
        'penalties': {name: options(penalty, AMOUNT) for name, penalty in PENALTIES.items()},  # weight 0: off
        'terms': Default(
            (),
            tuple,
            element=str,
            about="your own: 'module.function' or 'module.function(option=value)', which return terms",
        ),
        'lazy': {
            'generator': number(1, Range(1, 10_000), 'path length after every k-th round'),
            'discriminator': number(1, Range(1, 10_000), 'gradient penalties after every k-th round'),
        },
        'feature_matching': {
            **options(feature_matching, AMOUNT),
            'alone': plain(False, "whether it is the generator's only loss"),
        },
        'rotation': options(rotation, AMOUNT),  # of SSGAN, where discriminator.rotations is set
        # each where discriminator.conditioning is that: auxiliary, contrastive, data_to_data
        **{name: options(term, AMOUNT) for name, term in CLASS_TERMS.items()},
        'augment': chosen('augment'),  # of all that the discriminator is shown
        'instance_noise': {
            'deviation': number(0.0, AMOUNT, "initial standard deviation of the noise on the discriminator's inputs"),
            'until': number(1.0, POSITIVE_SHARE, 'share of the run at which it has fallen to 0'),
        },
        'real_fade': number(
            0.0, SHARE, 'share of a phase over which real images go from half their resolution to all of it'
        ),
        'replay': number(0, COUNT_OR_NONE, 'size of the replay buffer of fake examples'),
        'discriminators': {
            'number': number(1, Range(1, 100), 'number of discriminators'),
            'combine': choice('mean', *COMBINATIONS, about="how the generator's losses against them are combined"),
        },
        'packing': number(
            1, Range(1, 100), 'examples, all real or all fake, that the discriminator judges at once (PacGAN)'
        ),
        'latent_step': {  # of LOGAN
            'size': number(0.0, AMOUNT, "size of the latents' step by the discriminator before each pass; 0: none"),
            'natural': plain(True, 'whether it is a step of the natural gradient'),
            'damping': number(5.0, POSITIVE_AMOUNT, 'added to the squared norm that the natural gradient divides by'),
        },
        'unrolled_steps': number(0, COUNT_OR_NONE, 'unrolled steps of the discriminator in the loss of the generator'),
        'top_k': {
            'share': number(1.0, POSITIVE_SHARE, 'final share of fakes that the generator learns from'),
            'until': number(0.5, POSITIVE_SHARE, 'share of the run at which it is reached'),
        },
        'balance': {
            'measure': choice('none', *BALANCES, about='measure for skipping discriminator steps'),
            'threshold': number(0.8, Range(0, 1000), 'threshold of the measure'),
            'fooling': number(
                0.0, SHARE, 'the generator moves on while less than this share of its examples passes for real'
            ),
        },
        'reference_batch': number(64, Range(2, COUNT.most), 'examples of virtual batch normalisation'),
        **{f'{role}_optimizer': chosen(f'{role}_optimizer') for role in networks},
        'play': chosen('play'),
        'schedule': chosen('schedule'),  # of all learning rates
        'schedules': Default(
            (),
            tuple,
            element=str,
            about="schedules of any numbers: 'penalties.r1.weight: cosine to 0.005 in 20000 kimg'; see schedules.py",
        ),
        'ema': {
            'half_life_kimg': number(10.0, AMOUNT, "half-life of the generator's average; 0: no average is kept"),
            'ramp_up': number(0.05, AMOUNT, 'the half-life is at most this share of the images so far; 0: no limit'),
        },
        'standing_statistics': number(
            0, STANDING, 'passes in training mode whose mean batch statistics samples take; 0: the running averages'
        ),
        'dtype': choice(
            'float32', 'float32', 'bfloat16', about="dtype of the networks' arithmetic; the rest is float32"
        ),
        'recompute': plain(False, 'whether forward passes are recomputed for the gradients: less memory, more time'),
        'parallel': {
            'mode': choice('pmap', *MODES, about='mode for several devices'),
            'devices': number(0, COUNT_OR_NONE, 'number of devices; 0: all'),
        },
        'log_every': plain('50 steps', 'interval between lines of metrics; other intervals are rounded up to it'),
        'stretch_seconds': number(10.0, AMOUNT, 'approximate training time per call; signals take effect after it'),
        'sample_every': plain('500 steps', 'interval between pictures'),
        'checkpoint_every': plain('500 steps', 'interval between checkpoints'),
        'writers': Default(
            ('jsonl', 'tensorboard'),
            tuple,
            choices=('jsonl', 'tensorboard', 'wandb'),
            element=str,
            about='of metrics and pictures; jsonl always',
        ),
        'samples': number(64, COUNT, 'number of images in a grid'),
        'evaluate': Default(
            (), tuple, element=str, about="metrics of the averaged generator's samples: fid,kid,precision_recall"
        ),
        'evaluate_every': plain('2000 steps', 'interval between evaluations; there is also one at the end'),
        'evaluation': {
            'samples': number(10_000, Range(2, COUNT.most), 'to evaluate'),
            'extractor': plain(
                'auto', 'inception[:RESIZE[:TAP]], classifier[:NAME], module:name; auto: what is installed'
            ),
            'split': Default(None, str, about='of the real images; None: the one trained on'),
        },
        'checkpoints': {
            'keep_last': number(3, COUNT, 'number of latest checkpoints to keep'),
            'keep_best': number(1, COUNT_OR_NONE, 'number of best checkpoints to keep'),
            'best_metric': Default(None, str, about='by which they are the best: eval/fid, discriminator/loss'),
            'best_mode': choice(
                'auto', 'auto', 'min', 'max', about='which value is best; auto: the direction of the metric'
            ),
        },
        'on_nan': choice(
            'stop', 'stop', 'restore', about='restore: go back to the last good checkpoint, and on with other noise'
        ),
    }


_USUAL = {'loss': 'non_saturating', 'play': 'alternating', 'schedule': 'constant', 'augment': 'none'}


def base(model: str, game: str = 'adversarial', *, importing: bool = True) -> ConfigDict:
    """The defaults of everything, for a model family and a game.

    Args:
        model: the family's name: 'dcgan', 'mlp', or a module of your own.
        game: the game's name: 'adversarial', 'cyclegan', or a module of your own.
        importing: as in `models.find`; if False, the networks of a module that cannot be found have no options.
    """
    known = importing or models.is_here(model)
    roles = games.roles(game)
    networks = network_options(model, roles) if known else {role: {} for role in roles}
    names = _USUAL | {f'{role}_optimizer': 'adam' for role in roles} | {'game': game}
    return ConfigDict(_values(_tree(model, networks, names))).lock()


def without_networks() -> ConfigDict:
    """The defaults of everything but the networks and their optimisers."""
    return ConfigDict(_values(_tree('', {}, _USUAL | {'game': 'adversarial'})))


def roles_of(config: ConfigDict) -> tuple[str, ...]:
    """The names of the players that have a network and an optimiser in a config's game."""
    return games.roles(config.game.name)


def family_of(config: ConfigDict, role: str) -> str:
    """The family of a role's network: its own, or the config's model."""
    return config[role].get('family') or config.model


def defaults_of(config: ConfigDict) -> dict[str, Default]:
    """Every key that a config of this game, model, loss and optimisers has.

    Raises:
        UserError: a game, model, loss, ... does not exist.
    """
    roles = roles_of(config)
    names = {section: config[section].name for section in factories(roles)}
    networks = {role: options_of(family_of(config, role), role) for role in roles}
    return {key: plain(value) for key, value in flat(_tree(config.model, networks, names)).items()}


def section(name: str, choice: str) -> ConfigDict:
    """One choice for a section, with the defaults of its options: 'hinge' for the section 'loss'.

    Raises:
        UserError: the choice does not exist.
    """
    return ConfigDict(_values(_section(name, choice)))


def network_options(model: str, roles: Iterable[str]) -> dict[str, dict[str, Default]]:
    """The options of a family's network for each role; raises as `options_of`."""
    return {role: options_of(model, role) for role in roles}


def options_of(family: str, role: str) -> dict[str, Default]:
    """The options of a family's network for a role; the first, `family`, names another family for this role alone.

    Raises:
        UserError: the family or its network does not exist, or an option has no default.
    """
    entries = options(models.network(family, role), FINITE)
    for name in _GIVEN_TO_NETWORKS & entries.keys():
        del entries[name]
    for name, default in entries.items():
        if default.value is inspect.Parameter.empty:
            raise UserError(f'The {role} of {family} has no default for {name!r}; every option needs one.')
    return {'family': plain('', "the family of this network; '': the config's model"), **entries}


def _section(name: str, choice: str) -> dict[str, Any]:
    table = choices(name)
    if choice not in table:
        raise UserError(f'{name}.name is {choice!r}; choose one of {", ".join(table)}.')
    entries = options(table[choice], ORDINARY)
    for option, default in entries.items():
        if default.value is inspect.Parameter.empty:
            raise UserError(f'{name}.name is {choice!r}, which has no default for {option!r}; every option needs one.')
    return {'name': plain(choice, summary(table[choice])), **entries}


def _values(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _values(value) if isinstance(value, Mapping) else plain(value).value for key, value in tree.items()}
