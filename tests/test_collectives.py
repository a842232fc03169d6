"""What devices exchange in a step is what the sizes of the parameters say, on any number of devices."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent


@pytest.mark.slow
def test_a_game_in_the_plane_exchanges_its_gradients_and_seven_metrics():
    command = ['-m', 'tools.collectives', '--config', 'toy', '--devices', '1,8,256', 'batch_size=256']
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True)
    hidden = (2 + 1) * 128 + (128 + 1) * 128
    parameters = 4 * (2 * hidden + (128 + 1) * 2 + (128 + 1))  # of both players: the last layers make 2 and 1 numbers
    assert f'Bytes of parameters: {parameters:,} ' in done.stdout
    rows = [[int(cell.replace(',', '')) for cell in re.findall(r'[\d,]+', row)] for row in done.stdout.splitlines()[4:]]
    logits = 3 * 4 * 256  # real, generated, and generated for the generator
    expected = [[n, parameters + 4 * 7, logits, logits // n] for n in (8, 256)]
    assert rows == [[1, 0, 0, 0], *expected]
