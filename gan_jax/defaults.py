"""Every key of a config with its default and, beside it, what else it may be."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict

from gan_jax import games, models
from gan_jax.adversarial import COMBINATIONS
from gan_jax.augmentation.augment import AUGMENTATIONS
from gan_jax.balance import BALANCES
from gan_jax.class_terms import CLASS_TERMS
from gan_jax.errors import UserError
from gan_jax.game import LATENTS
from gan_jax.losses import LOSSES
from gan_jax.open_sets import OpenDict
from gan_jax.optim import OPTIMIZERS, SCHEDULES
from gan_jax.ranges import (
    AMOUNT,
    COUNT,
    COUNT_OR_NONE,
    FINITE,
    ORDINARY,
    POSITIVE_SHARE,
    SEED,
    SHARE,
    STANDING,
    Range,
)
from gan_jax.runtime.parallel import MODES
from gan_jax.terms import PENALTIES, feature_matching, rotation
from gan_jax.values import Default, choice, flat, number, options, plain

_IMAGES = Range(0, 2**53)
# What build.py passes, and linen's own.
_GIVEN_TO_NETWORKS = {'shape', 'channels', 'dtype', 'axis_name', 'num_classes', 'parent', 'name'}


class _Games(Mapping[str, Callable]):
    """The games by name, those of other people's modules among them."""

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
    """The sections whose remaining keys are the options of whatever their `name` chooses, and all that it can choose.

    Args:
        roles: of the game.
    """
    return {
        'game': _Games(),
        'loss': OpenDict(LOSSES, 'loss'),
        **{f'{role}_optimizer': OpenDict(OPTIMIZERS, 'optimizer') for role in roles},
        'schedule': OpenDict(SCHEDULES, 'schedule'),
        'augment': OpenDict(AUGMENTATIONS, 'augmentation'),
    }


def choices(section: str) -> Mapping[str, Callable]:
    """All that one of these sections can choose, by name."""
    return factories([section.removesuffix('_optimizer')])[section]


def _tree(model: str, networks: Mapping[str, Mapping[str, Default]], names: Mapping[str, str]) -> dict[str, Any]:
    """All keys as sections, `Default`s and plain defaults.

    Args:
        model: the family of all networks that name no other.
        networks: each network's options, by its role.
        names: the choice for each of the `factories`.
    """

    def chosen(section: str) -> dict[str, Any]:
        return _section(section, names[section])

    return {
        'game': chosen('game'),
        'seed': number(0, SEED),
        'data': {
            # digits, ring, grid, spiral, folder:/path, any TFDS image data set, or a name made of one: see data.load
            'name': 'digits',
            'split': 'train',
            'size': Default(None, int, Range(2, 8192)),  # pixels, height = width; None: the data's own
            'channels': Default(None, int, Range(1, 3)),  # 1 or 3 (grey images three times); None: the data's own
            'examples': Default(None, int, COUNT),  # how many there are; found out when they are loaded
            'flip': False,  # mirror every other image at random
            'labels_per_class': Default(
                None, int, COUNT
            ),  # that keep their labels, for semi-supervised games; None: all
            'label_seed': number(0, SEED),  # which ones
            'directory': Default(None, str),  # where TFDS data sets are; None: TFDS_DATA_DIR or TFDS's default
            'cache': Default(None, str),  # where decoded images are kept; None: the user's cache directory
            # 'device': resident; 'host': streamed from a memory map; 'auto': what fits
            'placement': choice('auto', 'auto', 'device', 'host'),
        },
        'population': number(
            1, Range(1, 1000)
        ),  # runs in one program, with the seeds from `seed` on; see population.py
        'vary': '',  # or with these values of a number: 'generator_optimizer.learning_rate=1e-4,2e-4'
        'batch_size': number(64, COUNT),  # over all devices
        'duration': '1000 steps',  # steps of the generator, thousands of images as '100 kimg', or '10 epochs'
        # what goes before, each as changes of this config: 'duration=600 kimg; batch_size=128; data.size=8'
        'earlier_phases': Default((), tuple, element=str),
        # where a phase stands in its run: how many phases, steps and images there are before it; found out
        'phase': {'number': number(0, COUNT_OR_NONE), 'steps': number(0, COUNT_OR_NONE), 'images': number(0, _IMAGES)},
        'fresh_optimizers': False,  # at the beginning of a later phase
        'discriminator_steps': number(1, COUNT),  # in each round, on a batch each
        # goes to that many steps by that share of the run; 0: no
        'discriminator_schedule': {'steps': number(0, COUNT_OR_NONE), 'until': number(1.0, POSITIVE_SHARE)},
        'generator_steps': number(1, COUNT),  # in each round
        'accumulate': number(1, COUNT),  # parts of a batch, one after the other, whose gradients make one update
        'latents': {'size': number(100, COUNT), 'distribution': choice('normal', *LATENTS)},
        'model': model,
        **networks,
        'loss': chosen('loss'),
        # probability that a real and a fake example change places in the discriminator's loss
        'flip_labels': number(0.0, SHARE),
        'penalties': {name: options(penalty, AMOUNT) for name, penalty in PENALTIES.items()},  # weight 0: off
        # of your own: 'module.function' or 'module.function(option=value)', which returns terms as those of terms.py
        'terms': Default((), tuple, element=str),
        # gradient penalties and path length after every k-th round
        'lazy': {'generator': number(1, Range(1, 10_000)), 'discriminator': number(1, Range(1, 10_000))},
        # alone: it is the generator's only loss
        'feature_matching': {**options(feature_matching, AMOUNT), 'alone': False},
        'rotation': options(rotation, AMOUNT),  # of SSGAN, where discriminator.rotations is set
        # each where discriminator.conditioning is that: auxiliary, contrastive, data_to_data
        **{name: options(term, AMOUNT) for name, term in CLASS_TERMS.items()},
        'augment': chosen('augment'),  # of all that the discriminator is shown
        # falls to 0 at that share of the run
        'instance_noise': {'deviation': number(0.0, AMOUNT), 'until': number(1.0, POSITIVE_SHARE)},
        # share of a phase over which real images go from half their resolution to all of it
        'real_fade': number(0.0, SHARE),
        'replay': number(0, COUNT_OR_NONE),  # remembered fake examples
        # mean, max or softmax of the generator's losses
        'discriminators': {'number': number(1, Range(1, 100)), 'combine': choice('mean', *COMBINATIONS)},
        # examples, all real or all fake, that the discriminator judges at once, side by side in their channels (PacGAN)
        'packing': number(1, Range(1, 100)),
        'unrolled_steps': number(0, COUNT_OR_NONE),  # of the discriminator, seen by the generator
        # of fakes that teach the generator, reached at that share of the run
        'top_k': {'share': number(1.0, POSITIVE_SHARE), 'until': number(0.5, POSITIVE_SHARE)},
        'balance': {
            'measure': choice('none', *BALANCES),  # by which the discriminator rests: accuracy, loss_ratio
            'threshold': number(0.8, Range(0, 1000)),
            # the generator moves on while less than this share of its examples passes for real
            'fooling': number(0.0, SHARE),
        },
        'reference_batch': number(64, Range(2, COUNT.most)),  # examples of virtual batch normalisation
        **{f'{role}_optimizer': chosen(f'{role}_optimizer') for role in networks},
        'schedule': chosen('schedule'),  # of all learning rates
        # of any numbers: 'penalties.r1.weight: cosine to 0.005 in 20000 kimg'; see schedules.py
        'schedules': Default((), tuple, element=str),
        # half_life_kimg 0: no average is kept
        'ema': {'half_life_kimg': number(10.0, AMOUNT), 'ramp_up': number(0.05, AMOUNT)},
        # passes in training mode whose mean batch statistics samples take; 0: the running averages
        'standing_statistics': number(0, STANDING),
        'dtype': choice('float32', 'float32', 'bfloat16'),  # of the networks' arithmetic; the rest is float32
        'recompute': False,  # the forward passes for the gradients: less memory, more time
        # on several devices: pmap or sharding; 0: all there are
        'parallel': {'mode': choice('pmap', *MODES), 'devices': number(0, COUNT_OR_NONE)},
        'log_every': '50 steps',  # the other intervals round up to it
        'stretch_seconds': number(10.0, AMOUNT),  # of training in one call, about; a signal is heard after it
        'sample_every': '500 steps',
        'checkpoint_every': '500 steps',
        # of metrics and pictures: jsonl always; tensorboard; wandb (Weights & Biases)
        'writers': Default(('jsonl', 'tensorboard'), tuple, choices=('jsonl', 'tensorboard', 'wandb'), element=str),
        'samples': number(64, COUNT),  # images in a grid
        # metrics of the averaged generator's samples: ('fid', 'kid', 'precision_recall', ...)
        'evaluate': Default((), tuple, element=str),
        'evaluate_every': '2000 steps',  # and at the end
        'evaluation': {
            'samples': number(10_000, Range(2, COUNT.most)),
            'extractor': 'auto',  # inception[:RESIZE[:TAP]], classifier[:NAME], module:name; auto: what is there
            'split': Default(None, str),  # of the real images; None: the one trained on
        },
        'checkpoints': {
            'keep_last': number(3, COUNT),
            'keep_best': number(1, COUNT_OR_NONE),
            'best_metric': Default(None, str),  # eval/fid, discriminator/loss, ...
            'best_mode': choice('auto', 'auto', 'min', 'max'),  # auto: as the metric has it
        },
        'on_nan': choice('stop', 'stop', 'restore'),  # or back to the last good checkpoint and on with other noise
    }


_USUAL = {'loss': 'non_saturating', 'schedule': 'constant', 'augment': 'none'}


def base(model: str, game: str = 'adversarial', *, importing: bool = True) -> ConfigDict:
    """The defaults of everything, for a model family and a game.

    Args:
        model: the family's name: 'dcgan', 'mlp', or a module of your own.
        game: the game's name: 'adversarial', 'cyclegan', or a module of your own.
        importing: as of `models.find`; if not, the networks of a module that is not here have no options.
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
        UserError: there is no such game, model, loss, ...
    """
    roles = roles_of(config)
    names = {section: config[section].name for section in factories(roles)}
    networks = {role: options_of(family_of(config, role), role) for role in roles}
    return {key: plain(value) for key, value in flat(_tree(config.model, networks, names)).items()}


def section(name: str, choice: str) -> ConfigDict:
    """One choice for a section, with the defaults of its options: the 'hinge' for the section 'loss'.

    Raises:
        UserError: there is no such choice.
    """
    return ConfigDict(_values(_section(name, choice)))


def network_options(model: str, roles: Iterable[str]) -> dict[str, dict[str, Default]]:
    """The options of a family's network for each role; raises as `options_of`."""
    return {role: options_of(model, role) for role in roles}


def options_of(family: str, role: str) -> dict[str, Default]:
    """The options of a family's network for a role; the first, `family`, names another family for this role alone.

    Raises:
        UserError: there is no such family, it has no such network, or an option has no default.
    """
    entries = options(models.network(family, role), FINITE)
    for name in _GIVEN_TO_NETWORKS & entries.keys():
        del entries[name]
    for name, default in entries.items():
        if default.value is inspect.Parameter.empty:
            raise UserError(f'The {role} of {family} has no default for {name!r}; an option needs one.')
    return {'family': plain(''), **entries}


def _section(name: str, choice: str) -> dict[str, Any]:
    table = choices(name)
    if choice not in table:
        raise UserError(f'{name}.name is {choice!r}; choose one of {", ".join(table)}.')
    entries = options(table[choice], ORDINARY)
    for option, default in entries.items():
        if default.value is inspect.Parameter.empty:
            raise UserError(f'{name}.name is {choice!r}, which has no default for {option!r}; an option needs one.')
    return {'name': choice, **entries}


def _values(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _values(value) if isinstance(value, Mapping) else plain(value).value for key, value in tree.items()}
