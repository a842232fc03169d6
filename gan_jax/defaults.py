"""Every key of a config with its default and, beside it, what else it may be."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ml_collections import ConfigDict

from gan_jax import models
from gan_jax.adversarial import COMBINATIONS
from gan_jax.augment import AUGMENTATIONS
from gan_jax.balance import BALANCES
from gan_jax.errors import UserError
from gan_jax.game import LATENTS
from gan_jax.losses import LOSSES
from gan_jax.optim import OPTIMIZERS, SCHEDULES
from gan_jax.parallel import MODES
from gan_jax.ranges import (
    AMOUNT,
    COUNT,
    COUNT_OR_NONE,
    FINITE,
    ORDINARY,
    POSITIVE_SHARE,
    SEED,
    SHARE,
    Range,
)
from gan_jax.terms import PENALTIES, auxiliary_classifier, feature_matching
from gan_jax.values import Default, choice, flat, number, options, plain

# Sections whose remaining keys are the options of whatever their `name` chooses.
FACTORIES: dict[str, Mapping[str, Callable]] = {
    'loss': LOSSES,
    'generator_optimizer': OPTIMIZERS,
    'discriminator_optimizer': OPTIMIZERS,
    'schedule': SCHEDULES,
    'augment': AUGMENTATIONS,
}
# What build.py passes, and linen's own.
_GIVEN_TO_NETWORKS = {'shape', 'dtype', 'axis_name', 'num_classes', 'parent', 'name'}


def _tree(model: str, networks: Mapping[str, Mapping[str, Default]], names: Mapping[str, str]) -> dict[str, Any]:
    """All keys as sections, `Default`s and plain defaults: for a family and a choice for each of `FACTORIES`."""

    def chosen(section: str) -> dict[str, Any]:
        return _section(section, names[section])

    return {
        'seed': number(0, SEED),
        'data': {
            # digits, ring, grid, spiral, folder:/path, any TFDS image data set, or a name made of one: see data.load
            'name': 'digits',
            'split': 'train',
            'size': Default(None, int, Range(2, 8192)),  # pixels, height = width; None: the data's own
            'channels': Default(None, int, Range(1, 3)),  # 1 or 3 (grey images three times); None: the data's own
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
        'duration': '1000 steps',  # steps of the generator, or thousands of images as '100 kimg'
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
        # gradient penalties and path length after every k-th round
        'lazy': {'generator': number(1, Range(1, 10_000)), 'discriminator': number(1, Range(1, 10_000))},
        # alone: it is the generator's only loss
        'feature_matching': {**options(feature_matching, AMOUNT), 'alone': False},
        'auxiliary': options(auxiliary_classifier, AMOUNT),  # where discriminator.conditioning is auxiliary
        'augment': chosen('augment'),  # of all that the discriminator is shown
        # falls to 0 at that share of the run
        'instance_noise': {'deviation': number(0.0, AMOUNT), 'until': number(1.0, POSITIVE_SHARE)},
        'replay': number(0, COUNT_OR_NONE),  # remembered fake examples
        # mean, max or softmax of the generator's losses
        'discriminators': {'number': number(1, Range(1, 100)), 'combine': choice('mean', *COMBINATIONS)},
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
        'generator_optimizer': chosen('generator_optimizer'),
        'discriminator_optimizer': chosen('discriminator_optimizer'),
        'schedule': chosen('schedule'),  # of both learning rates
        # half_life_kimg 0: no average is kept
        'ema': {'half_life_kimg': number(10.0, AMOUNT), 'ramp_up': number(0.05, AMOUNT)},
        'dtype': choice('float32', 'float32', 'bfloat16'),  # of the networks' arithmetic; the rest is float32
        'recompute': False,  # the forward passes for the gradients: less memory, more time
        # on several devices: pmap or sharding; 0: all there are
        'parallel': {'mode': choice('pmap', *MODES), 'devices': number(0, COUNT_OR_NONE)},
        'log_every': '50 steps',  # the other intervals round up to it
        'stretch_seconds': number(10.0, AMOUNT),  # of training in one call, about; a signal is heard after it
        'sample_every': '500 steps',
        'checkpoint_every': '500 steps',
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


_USUAL = {
    'loss': 'non_saturating',
    'generator_optimizer': 'adam',
    'discriminator_optimizer': 'adam',
    'schedule': 'constant',
    'augment': 'none',
}


def base(model: str, *, importing: bool = True) -> ConfigDict:
    """The defaults of everything, for a model family ('dcgan', 'mlp', or a module of your own).

    Args:
        model: the family's name.
        importing: as of `models.find`; if not, the networks of a module that is not here have no options.
    """
    known = importing or models.is_here(model)
    networks = network_options(model) if known else {'generator': {}, 'discriminator': {}}
    return ConfigDict(_values(_tree(model, networks, _USUAL))).lock()


def defaults_of(config: ConfigDict) -> dict[str, Default]:
    """Every key that a config of this model, loss and optimisers has.

    Raises:
        UserError: there is no such model, loss, ...
    """
    names = {section: config[section].name for section in FACTORIES}
    tree = _tree(config.model, network_options(config.model), names)
    return {key: plain(value) for key, value in flat(tree).items()}


def section(name: str, choice: str) -> ConfigDict:
    """One choice for a section, with the defaults of its options: the 'hinge' for the section 'loss'.

    Raises:
        UserError: there is no such choice.
    """
    return ConfigDict(_values(_section(name, choice)))


def network_options(model: str) -> dict[str, dict[str, Default]]:
    """The options of a family's two networks.

    Raises:
        UserError: there is no such family, or an option has no default.
    """
    family = models.find(model)
    sections = {name: options(getattr(family, name.capitalize()), FINITE) for name in ('generator', 'discriminator')}
    for section, entries in sections.items():
        for name in _GIVEN_TO_NETWORKS & entries.keys():
            del entries[name]
        for name, default in entries.items():
            if default.value is inspect.Parameter.empty:
                raise UserError(f'The {section} of {model} has no default for {name!r}; an option needs one.')
    return sections


def _section(name: str, choice: str) -> dict[str, Any]:
    table = FACTORIES[name]
    if choice not in table:
        raise UserError(f'{name}.name is {choice!r}; choose one of {", ".join(table)}.')
    return {'name': choice, **options(table[choice], ORDINARY)}


def _values(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _values(value) if isinstance(value, Mapping) else plain(value).value for key, value in tree.items()}
