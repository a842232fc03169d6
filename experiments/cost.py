"""The time of a step, measured for all arms in turns, so that they run under the same load of the machine."""

import json
import pathlib
import time
from collections.abc import Mapping

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax.config import json_values
from gan_jax.records import files
from gan_jax.training import run
from gan_jax.training.population import Program, make_population

ROUNDS = 3


def seconds_per_step(path: pathlib.Path, arms: Mapping[str, ConfigDict]) -> dict[str, float]:
    """The median seconds of a step of the generator, with the discriminator's steps that belong to it.

    The program is that of the arm's training, for all seeds at once; the time is divided by their number.

    Args:
        path: path of a JSON file that keeps the times; times of the same arms are not measured again.
        arms: the configs of their populations.
    """
    wanted = {name: json_values.to_json(config) for name, config in arms.items()}
    kept = json.loads(path.read_text()) if path.exists() else {}
    if kept.get('of') == wanted:
        return kept['seconds']
    stretches, states, members = {}, {}, {}
    for name, config in arms.items():
        population, dataset = make_population(config), run.load_data(config.data)
        program = Program(population, dataset, run.count_classes(config, dataset))
        length = configs.steps(config, 'log_every')
        with program.open([(0, length)]) as blocks:
            arguments = (*next(blocks), np.int32(0), np.int32(length))
        stretches[name], members[name] = (program.stretch(length), arguments), length * len(population.seeds)
        states[name], _ = jax.block_until_ready(stretches[name][0](program.start(), *arguments))
    seconds = {name: [] for name in arms}
    for _ in range(ROUNDS):
        for name, (stretch, arguments) in stretches.items():
            start = time.perf_counter()
            states[name], _ = jax.block_until_ready(stretch(states[name], *arguments))
            seconds[name].append((time.perf_counter() - start) / members[name])
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    files.replace(path, json.dumps({'of': wanted, 'seconds': medians}).encode())
    return medians
