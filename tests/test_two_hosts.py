"""Fifty starts of two hosts all train to their end."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent


@pytest.mark.slow
def test_two_hosts_never_wait_for_each_other_in_vain(tmp_path):
    script = [sys.executable, '-m', 'tests.two_hosts', str(tmp_path / 'starts'), '--starts', '50', '--slow', '40']
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '0 of 50 starts failed.' in done.stdout
