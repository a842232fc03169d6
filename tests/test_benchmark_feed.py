"""The benchmark of the streamed feed, on a few images."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

from tools import benchmark, benchmark_feed

SHAPE = (8, 8, 1)
ROOT = pathlib.Path(__file__).parent.parent


def test_the_file_holds_at_least_the_bytes_asked_for_and_is_used_again(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark_feed, '_CHUNK_BYTES', 5 * 64)
    path = tmp_path / 'images.npy'
    benchmark_feed.write_images(path, SHAPE, 64 * 12 - 1)
    images = benchmark_feed.open_cold(path)
    assert images.shape == (12, *SHAPE)
    assert images.dtype == np.uint8
    assert 110 < images.mean() < 145
    assert isinstance(images, np.memmap)
    benchmark_feed.write_images(path, SHAPE, 64 * 99)
    assert len(benchmark_feed.open_cold(path)) == 12
    assert [file.name for file in tmp_path.iterdir()] == ['images.npy']


PEAK = """
import numpy as np
from tools import benchmark_feed

before, _ = benchmark_feed.resident_memory()
with benchmark_feed.peak_memory(0.001) as peaks:
    values = np.ones(2**27, np.uint8)
    while peaks[0] < before + 2**27 * 0.9:
        assert values[-1] == 1
    del values
after, _ = benchmark_feed.resident_memory()
print(before, peaks[0], after)
"""


def test_the_peak_is_of_anonymous_memory_that_is_gone_again():
    # In a process of its own: this one may return memory of earlier tests meanwhile, which hides the peak.
    done = subprocess.run(
        [sys.executable, '-c', PEAK], capture_output=True, text=True, check=True, timeout=120, cwd=ROOT
    )
    before, peak, after = map(int, done.stdout.split())
    assert after < peak - 2**27 * 0.9
    assert peak < before + 2**27 * 1.1


def test_a_run_is_measured_streamed_and_resident():
    config = benchmark.CASES['mlp'].config(
        ['generator.widths=(8,)', 'discriminator.widths=(8,)', 'data.size=8', 'batch_size=4']
    )
    facts = benchmark_feed.measure(config, np.zeros((10, *SHAPE), np.uint8), steps=3, stretches=4, rounds=1)
    assert facts['budget'] == 5 * 3 * 4 * 64
    assert 0 < facts['asked'] < 1
    assert facts['streamed'] > 0 < facts['resident']
    assert facts['start'] <= facts['peak'] == pytest.approx(facts['start'], rel=0.5)
