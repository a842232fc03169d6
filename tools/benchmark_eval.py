"""Times the evaluator: Inception's features, the last step of FID, and what the streaming moments add.

    python -m gan_jax.tools.benchmark_eval [--rounds 5] [--batches 4 8 32] [--peak TFLOPS] [--skip_fid]

Inception has random weights here: this is about time, and the figures would be the same with the published ones. Where
torch-fidelity is installed (pip install 'gan_jax[parity]') it is timed in the same run, as it is and with channels
last, in turn with gan_jax and with as many threads. Each has its own best batch size. Prints a Markdown table.
"""

import argparse
import functools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

import jax
import numpy as np
from scipy import linalg

from gan_jax.errors import exit_code
from gan_jax.evaluation.features.extractor import look
from gan_jax.evaluation.features.inception import inception
from gan_jax.evaluation.features.inception_weights import checked_weights, published_shapes
from gan_jax.evaluation.fid import frechet_distance
from gan_jax.evaluation.moments import Moments
from gan_jax.runtime import compiler

DIMENSION = 2048
FLOPS = 11.0e9  # of the network for one image, as XLA counts them: a multiplication and an addition are two
Engine = Callable[[np.ndarray], object]  # from uint8 [n, 32, 32, 3] to finished features


def random_weights() -> dict[str, np.ndarray]:
    """Kernels of He's scale and batch norms that do nothing, in the published names; for timing only."""
    random = np.random.RandomState(0)
    arrays = {}
    for name, shape in published_shapes().items():
        if len(shape) > 1:
            arrays[name] = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        else:
            arrays[name] = np.full(shape, name.endswith(('bn.weight', 'running_var')))
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def gan_jax_engine(arrays: dict[str, np.ndarray], dtype: str) -> Engine:
    """The extractor, compiled once for each batch size."""
    extractor = inception(checked_weights(arrays, 'the benchmark'), dtype=dtype)

    @functools.cache
    def compiled(shape: tuple[int, ...]) -> Callable:
        lowered = jax.jit(lambda images: look(extractor, images)).lower(jax.ShapeDtypeStruct(shape, np.uint8))
        return lowered.compile(compiler.often())

    return lambda images: jax.block_until_ready(compiled(images.shape)(images))


def torch_engines(arrays: dict[str, np.ndarray], threads: int) -> dict[str, Engine]:
    """torch-fidelity as it is, and with channels last; none, with a sentence, where it is not installed."""
    try:
        import torch
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        print(f"torch-fidelity is skipped because it cannot be imported ({error}): pip install 'gan_jax[parity]'.\n")
        return {}
    torch.set_num_threads(threads)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'

    def engine(layout: torch.memory_format) -> Engine:
        with tempfile.NamedTemporaryFile(suffix='.pth') as file:
            torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, file.name)
            network = FeatureExtractorInceptionV3('inception-v3-compat', ['2048', 'logits_unbiased'], file.name)
        network = network.to(device, memory_format=layout)

        @torch.no_grad()
        def run(images: np.ndarray) -> object:
            batch = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).contiguous(memory_format=layout)
            return [values.cpu() for values in network(batch)]

        return run

    return {
        'torch-fidelity': engine(torch.contiguous_format),
        'torch-fidelity, channels last': engine(torch.channels_last),
    }


def images_per_second(engines: dict[str, Engine], batches: list[int], rounds: int) -> dict[str, tuple[float, int]]:
    """Each engine's median images per second, taken in turn, at the batch size that it is best at, with that size."""
    random = np.random.RandomState(0)
    best = dict.fromkeys(engines, (0.0, 0))
    for size in batches:
        images = random.randint(0, 256, (size, 32, 32, 3)).astype(np.uint8)
        seconds = {name: [] for name in engines}
        for engine in engines.values():
            engine(images)
        for _ in range(rounds):
            for name, engine in engines.items():
                seconds[name].append(_seconds(functools.partial(engine, images)))
        for name in engines:
            best[name] = max(best[name], (size / statistics.median(seconds[name]), size))
    return best


def fid_seconds(rows: int) -> tuple[float, float]:
    """FID's last step with moments of so many rows each: by scipy's square root, and by gan_jax."""
    random = np.random.RandomState(0)
    mixing = random.standard_normal((DIMENSION, DIMENSION)) / np.sqrt(DIMENSION)
    sets = [random.standard_normal((rows, DIMENSION)) @ mixing + shift for shift in (0, 0.1)]
    (mean, sigma), (other_mean, other_sigma) = ((x.mean(axis=0), np.cov(x, rowvar=False)) for x in sets)

    def by_square_root() -> float:
        root = linalg.sqrtm(sigma @ other_sigma).real
        return np.sum((mean - other_mean) ** 2) + np.trace(sigma + other_sigma - 2 * root)

    theirs = _seconds(by_square_root)
    return theirs, _seconds(lambda: frechet_distance(mean, sigma, other_mean, other_sigma))


def update_seconds() -> float:
    """Seconds per image of the streaming moments, squares included."""
    features = np.random.RandomState(0).standard_normal((1024, DIMENSION)).astype(np.float32)
    moments = Moments(DIMENSION)

    def four_blocks() -> None:
        for batch in np.split(np.tile(features, (4, 1)), 4 * 1024 // 32):
            moments.update(batch)

    four_blocks()
    return _seconds(four_blocks) / (4 * 1024)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=5, help='number of rounds for the medians')
    parser.add_argument('--batches', type=int, nargs='+', default=[4, 8, 32], help='batch sizes to choose from')
    parser.add_argument('--peak', type=float, help="the accelerator's peak TFLOP/s, to report the reached fraction")
    parser.add_argument('--skip_fid', action='store_true', help='skip the square roots, which take a minute')
    arguments = parser.parse_args()
    device, threads = jax.devices()[0], len(os.sched_getaffinity(0))
    arrays = random_weights()
    dtypes = ['float32'] if device.platform == 'cpu' else ['float32', 'bfloat16']
    engines = {f'gan_jax, {dtype}': gan_jax_engine(arrays, dtype) for dtype in dtypes}
    engines |= torch_engines(arrays, threads)
    speeds = images_per_second(engines, arguments.batches, arguments.rounds)
    mine = speeds['gan_jax, float32'][0]
    print(
        f'jax {jax.__version__}, {device.platform} ({device.device_kind}), {threads} threads; random weights; ', end=''
    )
    print(f'32x32 to 299x299, 2048 features and logits; medians of {arguments.rounds}, in turn\n')
    print('| Inception | images/s | batch | gan_jax float32 is faster by |\n| --- | --- | --- | --- |')
    for name, (speed, size) in speeds.items():
        print(f'| {name} | {speed:.1f} | {size} | {mine / speed:.2f} |')
        if arguments.peak:
            print(f'| (of the peak) | {100 * speed * FLOPS / (1e12 * arguments.peak):.1f} % | | |')
    share = update_seconds() * mine
    print(f"\nThe moments' update adds {100 * share:.1f} % to the time of the features.")
    if not arguments.skip_fid:
        print('\n| FID, D = 2048 | scipy.linalg.sqrtm | gan_jax | ratio |\n| --- | --- | --- | --- |')
        for what, rows in (('4,096 rows each (full rank)', 4096), ('1,000 rows each (singular)', 1000)):
            theirs, ours = fid_seconds(rows)
            print(f'| {what} | {theirs:.1f} s | {ours:.1f} s | {theirs / ours:.1f} |')


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == '__main__':
    sys.exit(exit_code(main))
