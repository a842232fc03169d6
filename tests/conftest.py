"""Test set-up: eight virtual CPU devices, quick compilation, and a compilation cache that outlives the run.

Compiling is most of what the tests do, so XLA's back end does not optimise here; the programs that tests start as
processes of their own are compiled as a user's are. Tracing makes many objects, most of which stay, so the garbage
collector runs rarely.
"""

import gc
import os
import pathlib

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ['XLA_FLAGS'] = (
    os.environ.get('XLA_FLAGS', '') + ' --xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0'
)

import jax
import pytest
from PIL import Image, PngImagePlugin

from gan_jax.layers.platforms import traced_for

jax.config.update('jax_compilation_cache_dir', str(pathlib.Path('~/.cache/gan_jax/xla').expanduser()))
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)  # most programs are tiny; together they take minutes
gc.set_threshold(50_000, 20, 50)


@pytest.fixture(scope='session', autouse=True)
def _traced_for_cpus():
    """Programs are traced for a CPU alone, as training traces them for its devices: that is quicker."""
    with traced_for('cpu'):
        yield


@pytest.fixture(scope='module')
def quick_curves():
    """While a module is tested, the curves of a run are one pixel: drawing them is a quarter of a small run's time."""

    def one_pixel(records, path):
        facts = PngImagePlugin.PngInfo()
        facts.add_text('Step', str(records[-1]['step']))
        Image.new('L', (1, 1)).save(path, pnginfo=facts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('gan_jax.records.report.curves', one_pixel)
        yield
