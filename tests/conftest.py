"""Test set-up: eight virtual CPU devices, quick compilation, and a compilation cache that outlives the run.

Compiling is most of what the tests do, so XLA's back end does not optimise here; the programs that tests start as
processes of their own are compiled as a user's are.
"""

import os
import pathlib

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ['XLA_FLAGS'] = (
    os.environ.get('XLA_FLAGS', '') + ' --xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0'
)

import jax

jax.config.update('jax_compilation_cache_dir', str(pathlib.Path('~/.cache/gan_jax/xla').expanduser()))
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.3)
