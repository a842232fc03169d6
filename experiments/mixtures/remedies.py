"""The remedies of `experiments.mode_collapse` and further ones, each with four settings to choose from."""

import itertools
from collections.abc import Mapping, Sequence

from experiments.mode_collapse.recipes import MIXTURE, RECIPES
from experiments.sweep import Arm

Overrides = Mapping[str, str]
TUNING_SEED = 100  # none of the seeds of the table


def _rates(*rates: str) -> list[Overrides]:
    """Learning rates of both players, or 'that of the generator:that of the discriminator'."""
    pairs = [rate.split(':') if ':' in rate else (rate, rate) for rate in rates]
    keys = 'generator_optimizer.learning_rate', 'discriminator_optimizer.learning_rate'
    return [dict(zip(keys, pair, strict=True)) for pair in pairs]


def _values(key: str, *values: str) -> list[Overrides]:
    return [{key: value} for value in values]


def _each(*options: Sequence[Overrides]) -> list[Overrides]:
    """All combinations of one from each."""
    return [{key: value for part in parts for key, value in part.items()} for parts in itertools.product(*options)]


_FOUR, _TWO = _rates('3e-3', '1e-3', '3e-4', '1e-4'), _rates('1e-3', '3e-4')
_SLOW = _rates('1e-3:1e-4', '3e-4:1e-4')
_BOTH = 'penalties.r1.weight', 'penalties.r2.weight'
SETTINGS: dict[str, list[Overrides]] = {
    'plain GAN': _FOUR,
    'slow discriminator': _each(_SLOW, _values('generator_optimizer.b1', '0.5', '0.0')),
    'two time scales': _rates('1e-3:4e-3', '3e-4:1.2e-3', '3e-4:6e-4', '1e-4:4e-4'),  # Heusel et al. 2017
    'slow and unrolled': _each(_SLOW, _values('unrolled_steps', '5', '10')),
    'label smoothing': _each(_TWO, _values('loss.real_label', '0.9', '0.7')),  # Salimans et al. 2016
    'feature matching': _each(_TWO, _values('feature_matching.weight', '1.0', '10.0')),
    'replay': _each(_TWO, _values('replay', '512', '8192')),  # Shrivastava et al. 2017
    'dropout': _each(_TWO, _values('discriminator.dropout', '0.2', '0.5')),
    'packing': _each(_TWO, _values('packing', '2', '4')),  # Lin et al. 2018
    'minibatch discrimination': _each(_TWO, _values('discriminator.minibatch_kernels', '8', '32')),
    'minibatch deviation': _FOUR,
    'three discriminators': _FOUR,
    'instance noise': _each(_TWO, _values('instance_noise.deviation', '0.1', '0.3')),
    'WGAN': _each(_rates('1e-3', '2e-4'), _values('discriminator_optimizer.clip_weights', '0.1', '0.03')),
    'WGAN-GP': _each(_TWO, _values('penalties.gradient_penalty.weight', '1.0', '0.1')),
    'spectral norm': _FOUR,
    'R1': _each(_TWO, _values('penalties.r1.weight', '0.1', '0.01')),
    'R3GAN': _each(_TWO, [dict.fromkeys(_BOTH, weight) for weight in ('0.1', '0.01')]),
}


def arms(data: str) -> dict[str, list[Arm]]:
    """The settings of every remedy on 'ring' or 'grid': 25,000 steps of 128 points."""
    common = MIXTURE | {
        'evaluate': 'mixture',
        'evaluation.samples': '2500',
        'duration': '25000 steps',
        **dict.fromkeys(('log_every', 'evaluate_every', 'sample_every'), '500 steps'),
        'checkpoint_every': '2500 steps',
    }
    return {
        name: [Arm(f'configs/toy.py:{data}', common | RECIPES.get(name, {}) | setting) for setting in settings]
        for name, settings in SETTINGS.items()
    }


def trial(arm: Arm) -> Arm:
    """The short training by which a setting is chosen: a fifth of the steps, with another seed."""
    return arm._replace(overrides={**arm.overrides, 'duration': '5000 steps', 'seed': str(TUNING_SEED)})


def differences(chosen: Arm, settings: Sequence[Arm]) -> str:
    """The values of a setting in which the settings differ, for the table: 'replay=512; ...'."""
    keys = [key for key in chosen.overrides if len({arm.overrides.get(key) for arm in settings}) > 1]
    return '; '.join(f'{key}={chosen.overrides[key]}' for key in keys)
