"""Configs: recipes, loading, validation, and the parts that a config names.

A config file defines `get_config(argument: str) -> ConfigDict`, which starts from `base(model)` and changes what its
recipe needs. A config contains every option with its default, so all options are visible. Configs are used only
in `train.py`, `training/` and the `make` functions that they call.
"""

from gan_jax.config.defaults import base, roles_of, section
from gan_jax.config.durations import INTERVALS, kimg, most_discriminator_steps, steps, steps_of, updates_of_a_stretch
from gan_jax.config.loading import check, load, retention, run_name
from gan_jax.config.making import make, make_schedules, make_terms
from gan_jax.config.overrides import naming_phase, split
from gan_jax.config.recipes import choose_data, choose_small, choose_small_images, grow

__all__ = [
    'INTERVALS',
    'base',
    'check',
    'choose_data',
    'choose_small',
    'choose_small_images',
    'grow',
    'kimg',
    'load',
    'make',
    'make_schedules',
    'make_terms',
    'most_discriminator_steps',
    'naming_phase',
    'retention',
    'roles_of',
    'run_name',
    'section',
    'split',
    'steps',
    'steps_of',
    'updates_of_a_stretch',
]
