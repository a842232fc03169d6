"""Sixty random kills of populations leave every file as it would have been."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent


@pytest.mark.slow
def test_sixty_kills_leave_every_file_as_it_would_have_been(tmp_path):
    script = [sys.executable, '-m', 'tests.kills', str(tmp_path / 'attack'), '--kills', '60']
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'Every file is that of a population never killed.' in done.stdout
