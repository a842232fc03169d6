"""The notebooks of docs/notebooks: each runs as a program at toy size, and is stored with its outputs."""

import json
import os
import pathlib
import re
import subprocess
import sys

import jax
import pytest

ROOT = pathlib.Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / 'docs' / 'notebooks').glob('*.ipynb'))
# What takes the place of the parameters, and what must hold at the end.
TOY = {
    'first_gan': (
        {'steps': 20, 'batch_size': 16},
        'assert kept.keys() == {0, 1, 5, 20} and len(critic_records) == 21 and float(distances.min()) >= 0',
    ),
    'your_images': (
        {
            'duration': '6 steps',
            'changes': {
                **{
                    'batch_size': '16',
                    'log_every': '3',
                    'generator.widths': '(8, 8)',
                    'discriminator.widths': '(8, 8)',
                },
                'samples': '9',
            },
            'number': 200,
        },
        'assert samples.shape == (16, 16, 16, 1) and 0 < halves < fid and 0 <= found.values["precision"] <= 1',
    ),
    'your_own_game': (
        {'duration': '6 steps', 'widths': (8,)},
        'assert made.shape == (10, 8, 8, 1) and records[-1]["generator/reconstruction"] > 0 and state.step == 6',
    ),
}


def code(notebook, parameters):
    """The code cells as one program, with other parameters after those of the cell with that tag."""
    parts = []
    for cell in json.loads(notebook.read_text())['cells']:
        if cell['cell_type'] == 'code':
            source = ''.join(cell['source'])
            if name := re.match(r'%%writefile (\S+)\n', source):
                source = f'open({name[1]!r}, "w").write({source[name.end() :]!r})'
            parts.append(source)
            if 'parameters' in cell['metadata'].get('tags', ()):
                unknown = [name for name in parameters if not re.search(rf'^{name} = ', source, re.M)]
                assert not unknown, unknown
                parts += [f'{name} = {value!r}' for name, value in parameters.items()]
    return '\n'.join(parts)


SLOW = ('your_images', 'your_own_game')  # several programs are compiled


@pytest.mark.parametrize(
    'notebook',
    [pytest.param(path, marks=pytest.mark.slow) if path.stem in SLOW else path for path in NOTEBOOKS],
    ids=lambda path: path.stem,
)
def test_a_notebook_runs_at_toy_size(notebook, tmp_path):
    parameters, check = TOY[notebook.stem]
    (tmp_path / 'program.py').write_text('\n'.join([code(notebook, parameters), check]))
    environment = {
        **os.environ,
        'PYTHONPATH': os.pathsep.join([str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]),
        'XDG_CACHE_HOME': str(tmp_path / 'cache'),
        'MPLBACKEND': 'agg',
        'XLA_FLAGS': '--xla_backend_optimization_level=0',
        'JAX_COMPILATION_CACHE_DIR': jax.config.jax_compilation_cache_dir,
        'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0.3',
    }
    command = [sys.executable, 'program.py']
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize('notebook', NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_as_it_ran_from_top_to_bottom(notebook):
    cells = [cell for cell in json.loads(notebook.read_text())['cells'] if cell['cell_type'] == 'code']
    assert [cell['execution_count'] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell['outputs']]
    assert any('image/png' in output.get('data', {}) for output in outputs)
    assert not [output for output in outputs if output['output_type'] == 'error']
    assert notebook.stat().st_size < 300_000
    assert set(TOY) == {path.stem for path in NOTEBOOKS}
