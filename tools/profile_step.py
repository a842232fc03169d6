"""Shows where the time of a training step goes, by XLA's own profile.

    pip install 'gan_jax[benchmark]'
    python -m gan_jax.tools.profile_step --case dcgan28 [--steps 5] [--rounds 5] [--longest 10] [--config KEY=VALUE ...]

It trains a case of `tools.benchmark` as gan_jax does, first without the profiler for the time of a step, then with it.
Operations are sorted into kinds by what the optimised program has inside each of them; patches and folds are what the
convolutions of `gan_jax.layers.convolution` make of images before a product, and of its result. The FLOPs are those of
the products that were run, from their shapes, zeros of a padding included. Written for CPUs, where operations run at
once on several cores: the overlap is the sum of their times over the wall time of all cores, what they lose to each
other included.
"""

import argparse
import collections
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from gan_jax.errors import exit_code

from . import benchmark_sides
from .benchmark import CASES
from .benchmark_sides import STRETCHES, cores
from .hlo import CONTROL, Program


def operation_times(run: Callable[[], Any], program: Program) -> dict[str, list[float]]:
    """Seconds of each execution of each instruction of the program while `run` runs."""
    import jax
    from jax.profiler import ProfileData

    times = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as directory:
        with jax.profiler.trace(directory):
            run()
        (file,) = pathlib.Path(directory).rglob('*.xplane.pb')
        events = (
            event for plane in ProfileData.from_file(str(file)).planes for line in plane.lines for event in line.events
        )
        for event in events:
            facts = dict(event.stats)
            name = facts.get('hlo_op')
            if facts.get('hlo_module') != program.name or name is None:
                continue
            if name not in program.instructions or program.instructions[name].opcode not in CONTROL:
                times[name].append(event.duration_ns / 1e9)
    return times


def kind_times(program: Program, times: dict[str, list[float]]) -> dict[str, float]:
    """Seconds of each kind, longest first."""
    totals = collections.Counter()
    for name, each in times.items():
        totals[program.kind(name)] += sum(each)
    return dict(totals.most_common())


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--case', choices=[name for name, case in CASES.items() if case.members == 1], required=True)
    parser.add_argument('--steps', type=int, default=5, help='in a stretch')
    parser.add_argument('--rounds', type=int, default=5, help='rounds to measure the time without the profiler')
    parser.add_argument('--longest', type=int, default=10, help='number of operations to list')
    parser.add_argument('--config', nargs='*', default=[], metavar='KEY=VALUE', help='further overrides of the recipe')
    arguments = parser.parse_args()
    peak_worker = benchmark_sides.Worker(benchmark_sides.jax_products)
    for _ in range(max(3, arguments.rounds)):
        peak_worker.measure()
    peak_worker.close()
    peak = benchmark_sides.PEAK_FLOPS / statistics.median(peak_worker.times)

    case = CASES[arguments.case]
    config = case.config(arguments.config)
    training = benchmark_sides.make_training(config, benchmark_sides.load_data(config), arguments.steps, 'device')
    run, steps = benchmark_sides.repeat(training), STRETCHES * arguments.steps
    program = Program(training.stretch.as_text())
    run()
    walls = []
    for _ in range(arguments.rounds):
        begin = time.perf_counter()
        run()
        walls.append((time.perf_counter() - begin) / steps)
    wall, times = statistics.median(walls), operation_times(run, program)
    kinds = kind_times(program, times)
    total = sum(kinds.values()) / steps

    print(f'{case.title}: {1e3 * wall:.1f} ms a step without the profiler (median of {arguments.rounds}).\n')
    print('| kind | ms a step | share |\n| --- | ---: | ---: |')
    for kind, seconds in kinds.items():
        print(f'| {kind} | {1e3 * seconds / steps:.2f} | {seconds / steps / total:.0%} |')
    print('\n| ms a step | times a step | operation | kind | layer |\n| ---: | ---: | --- | --- | --- |')
    for name, each in sorted(times.items(), key=lambda item: -sum(item[1]))[: arguments.longest]:
        shape = list(program.instructions[name].shape) if name in program.instructions else ''
        columns = f'{1e3 * sum(each) / steps:.2f}', f'{len(each) / steps:g}', f'{name} {shape}'
        print(f'| {" | ".join((*columns, program.kind(name), program.layer(name)))} |')
    flops = sum(len(each) * program.flops(name) for name, each in times.items()) / steps
    ideal = flops / peak
    print(f'\nProducts: {flops / 1e9:.1f} GFLOP a step. At the {peak / 1e9:,.0f} GFLOP/s of large ones they would take')
    print(f'{1e3 * ideal:.1f} ms, {ideal / wall:.0%} of the step: without other products it can become')
    print(
        f'{wall / ideal:.2f} times as fast. Overlap: operations fill {total / wall / cores():.0%} of {cores()} cores.'
    )


if __name__ == '__main__':
    sys.exit(exit_code(main))
