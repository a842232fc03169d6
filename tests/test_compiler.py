"""Options for XLA reach it, and what it does not know is left out."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.runtime import compiler

KNOWN = (0, 10) <= jax.__version_info__ < (0, 13)


@pytest.mark.skipif(not KNOWN, reason='options of another version of XLA')
def test_xla_takes_the_options():
    assert compiler.often() == compiler._OFTEN
    assert compiler.training().keys() >= compiler.often().keys()


def test_unknown_options_are_left_out(monkeypatch):
    monkeypatch.setattr(compiler, '_OFTEN', {'xla_no_such_option': '1'})
    assert compiler.often() == {}


def test_accelerators_are_told_nothing(monkeypatch):
    monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
    assert compiler._known.__wrapped__((('xla_backend_optimization_level', 1),)) == {}


@pytest.mark.skipif(not KNOWN, reason='options of another version of XLA')
def test_programs_with_one_dnn_are_not_stored(tmp_path):
    lines = (
        'import sys, jax',
        'from gan_jax.runtime.compiler import uncached',
        "jax.config.update('jax_compilation_cache_dir', sys.argv[1])",
        "jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)",
        'def left_out(x): return x + 1',
        'def stored(x): return x + 2',
        'with uncached(): jax.jit(left_out).lower(1.0).compile()',
        'jax.jit(stored).lower(1.0).compile()',
    )
    subprocess.run([sys.executable, '-c', '\n'.join(lines), str(tmp_path)], check=True)
    names = {path.name.split('-')[0] for path in tmp_path.iterdir()}
    assert 'jit_stored' in names
    assert ('jit_left_out' in names) != compiler.HAS_ONEDNN


@pytest.mark.skipif(not (KNOWN and compiler.HAS_ONEDNN), reason='XLA without convolutions by oneDNN')
def test_convolutions_are_one_dnns():
    images, kernel = jnp.ones((2, 6, 6, 3)), jnp.ones((3, 3, 3, 4))

    def convolve(images, kernel):
        return jax.lax.conv_general_dilated(images, kernel, (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC'))

    compiled = jax.jit(convolve).lower(images, kernel).compile(compiler.training())
    assert 'onednn$convolution' in compiled.as_text()
    np.testing.assert_allclose(compiled(images, kernel), 27)
