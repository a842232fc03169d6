"""Shows what devices exchange in a training step, from programs that are compiled for virtual devices.

    python -m gan_jax.tools.collectives --config dcgan:digits [--devices 1,8,256] [KEY=VALUE ...]

Each program is compiled on the CPU for so many devices, and not run. The table has the bytes of the results of the
collective operations in it: averages of gradients, metrics and batch statistics (all-reduce), and what losses gather of
the whole batch (all-gather, and reduce-scatter in its derivative). Compilers of other devices may merge or split them.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from gan_jax.errors import exit_code

from .hlo import collectives


def exchanged(config: Any, devices: int) -> dict[str, int]:
    """The bytes of each kind of collective operation in a config's step on so many devices; see `hlo.collectives`.

    Raises:
        UserError: there are fewer devices, or the batch does not divide over them.
    """
    import numpy as np

    from gan_jax.training.datasets import load_data
    from gan_jax.training.population import make_population
    from gan_jax.training.single import Single
    from gan_jax.values import with_values

    config = with_values(config, {'parallel.devices': devices})
    single = Single(make_population(config), load_data(config.data), None)
    arguments = single.target(), *single.outline(1), np.int32(0), np.int32(1)
    return collectives(single.stretch(1).lower(*arguments).compile().as_text())


def parameters(config: Any) -> dict[str, int]:
    """The bytes of each player's parameters, and so of its gradients."""
    import jax

    from gan_jax import build
    from gan_jax.training import run
    from gan_jax.training.datasets import load_data

    dataset = load_data(config.data)
    known = run.of_data(dataset, run.count_classes(config, dataset))
    game = build.make_game(config, dataset.shape, **known)
    players = jax.eval_shape(build.initializer(config, game), jax.random.key(0)).players
    return {
        name: sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(player.params))
        for name, player in players.items()
    }


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(',')]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    parser = argparse.ArgumentParser(prog='python -m gan_jax.tools.collectives', description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument('--config', required=True, metavar='NAME[:DATA]', help='a recipe or a config file')
    parser.add_argument('--devices', type=_numbers, default=[1, 8, 256], help='default: 1,8,256')
    parser.add_argument('overrides', nargs='*', metavar='KEY=VALUE', help='of the config, such as batch_size=256')
    arguments = parser.parse_args(argv)

    def run() -> None:
        count = max(arguments.devices)
        flags = f'--xla_force_host_platform_device_count={count} --xla_backend_optimization_level=0'
        os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {flags}'
        import jax

        from gan_jax import config as configs

        jax.config.update('jax_platforms', 'cpu')
        config = configs.load(arguments.config, arguments.overrides)
        sizes = parameters(config)
        named = ', '.join(f'{name} {size:,}' for name, size in sizes.items())
        print(f'Bytes of parameters: {sum(sizes.values()):,} ({named}).\n')
        kinds = ('all-reduce', 'all-gather', 'reduce-scatter')
        print(f'| devices | {" | ".join(kinds)} |\n| ---: {"| ---: " * len(kinds)}|', flush=True)
        for devices in arguments.devices:
            found = exchanged(config, devices)
            print(f'| {devices} | {" | ".join(f"{found.get(kind, 0):,}" for kind in kinds)} |', flush=True)

    return exit_code(run)


if __name__ == '__main__':
    sys.exit(main())
