"""What importing costs and brings in, and the README's own program."""

import pathlib
import re
import subprocess
import sys

import numpy as np

ROOT = pathlib.Path(__file__).parent.parent

_IMPORT_ALL = """
import pkgutil, importlib, sys, threading
import gan_jax
from absl import flags
for info in pkgutil.walk_packages(gan_jax.__path__, 'gan_jax.'):
    importlib.import_module(info.name)
import jax._src.xla_bridge
assert 'gan_jax.losses' in sys.modules and 'gan_jax.data.order' in sys.modules
assert 'tensorflow' not in sys.modules
assert not [flag for flag in flags.FLAGS if flags.FLAGS.find_module_defining_flag(flag).startswith('gan_jax')]
assert threading.active_count() == 1, threading.enumerate()
assert not jax._src.xla_bridge.backends_are_initialized()
"""


def test_importing_brings_no_tensorflow_flags_threads_or_devices():
    subprocess.run([sys.executable, '-c', _IMPORT_ALL], cwd=ROOT, check=True, timeout=120)


_LAZY = """
import sys
import gan_jax
assert not [name for name in sys.modules if name.startswith(('gan_jax.', 'jax', 'flax'))]
assert 'losses' in dir(gan_jax) and 'data' in dir(gan_jax) and 'absl' not in sys.modules
assert {'load', 'fid', 'kid', 'evaluate'} <= set(dir(gan_jax))
assert gan_jax.losses.hinge and gan_jax.data.load and gan_jax.losses is sys.modules['gan_jax.losses']
try:
    gan_jax.nosuch
except AttributeError as error:
    assert str(error) == "module 'gan_jax' has no attribute 'nosuch'"
else:
    raise AssertionError
from gan_jax import evaluate
assert evaluate is gan_jax.evaluate and callable(evaluate) and evaluate.main and callable(gan_jax.load)
"""


def test_modules_are_attributes_that_are_imported_when_asked_for():
    subprocess.run([sys.executable, '-c', _LAZY], cwd=ROOT, check=True, timeout=120)


def test_the_readmes_program_trains_a_gan_of_plain_functions():
    programs = re.findall(r'```python\n(.*?)```', (ROOT / 'README.md').read_text(), re.DOTALL)
    (program,) = (text for text in programs if 'def network' in text)
    names = {}
    exec(program, names)
    samples = np.asarray(names['samples'])
    assert samples.shape == (2000, 2)
    np.testing.assert_allclose(samples.mean(0), [2.0, 2.0], atol=0.25)
    np.testing.assert_allclose(np.cov(samples.T), [[1.0, 0.8], [0.8, 1.0]], atol=0.35)
