"""Exports the generator of a run to files that JAX loads without gan_jax: a program, its weights, and a model card.

    python -m gan_jax.tools.export runs/dcgan-digits [--out exported/dcgan] [--step 5000] [--psi 0.7]

Written into the directory, WORKDIR/exported by default:

    generator.stablehlo    the generator for CPUs, CUDA and TPUs, with any batch size, by jax.export
    weights.safetensors    its weights by name
    README.md              a model card: how to load it, data, config, metrics with their protocols
    samples.png            samples of the exported program
    config.json            all settings of the run
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Callable, Sequence

import jax
import numpy as np
import safetensors.numpy

from gan_jax.config import json_values
from gan_jax.errors import UserError, exit_code
from gan_jax.evaluate import STANDING_FLAG
from gan_jax.records import files, report
from gan_jax.runtime import parallel
from gan_jax.sampling import samples as sampling
from gan_jax.sampling.program import inputs_of, make_program, named_weights
from gan_jax.sampling.trained import TrainedRun, import_model, load_run, warn_of_divergence

from .model_card import model_card

_BATCH = 16  # samples at a time


def export(
    workdir: pathlib.Path,
    out: pathlib.Path | None = None,
    *,
    step: int | None = None,
    psi: float = 1.0,
    noise: str | None = None,
    standing_statistics: int | None = None,
) -> pathlib.Path:
    """Writes the directory of an exported generator.

    Args:
        workdir: the run's directory.
        out: the directory to write; None: `exported` in the run's.
        step: step of the checkpoint; None: the latest.
        psi: truncates styles or else latents towards their mean, see `gan_jax.sampling.trained.TrainedRun.truncated`.
        noise: for a style generator, see `gan_jax.sampling.trained.TrainedRun.noisy`.
        standing_statistics: as in `gan_jax.sampling.sample_files.sample_workdir`.

    Returns:
        The directory.

    Raises:
        UserError: the run or checkpoint does not exist, it has diverged, its generator cannot be exported, an option is
            impossible, or the directory cannot be written.
    """
    out = pathlib.Path(out or workdir / 'exported')
    run = load_run(workdir, step)
    files.check_writable(out / 'README.md')
    run = run.standing(standing_statistics)
    if run.game.translates and psi != 1:
        raise UserError(f'{workdir} translates images and has no latents to truncate: remove --psi.')
    warn_of_divergence(workdir, run.step)
    run, rest = run.truncated(psi)
    run = run.noisy(noise)
    changes = {'psi': None if psi == 1 else psi, 'noise': noise, 'standing statistics of passes': standing_statistics}
    weights, program = named_weights(run), make_program(run, rest)
    metadata = {'run': workdir.resolve().name, 'step': str(run.step)}
    files.replace(out / 'generator.stablehlo', bytes(program.serialize()))
    files.replace(out / 'weights.safetensors', safetensors.numpy.save(weights, metadata))
    files.replace(out / 'config.json', (json.dumps(json_values.to_json(run.config), indent=2) + '\n').encode())
    _save_samples(out / 'samples.png', workdir, run, lambda *inputs: program.call(weights, *inputs))
    changes = {name: value for name, value in changes.items() if value is not None}
    card = model_card(workdir, run, inputs_of(run), changes, has_picture=(out / 'samples.png').exists())
    files.replace(out / 'README.md', card.encode())
    return out


def _save_samples(
    path: pathlib.Path, workdir: pathlib.Path, run: TrainedRun, program: Callable[..., jax.Array]
) -> None:
    """Writes a picture of what the program makes of latents; of a translator, which needs images, the run's own."""
    if run.game.translates:
        if (picture := workdir / 'samples.png').exists():
            files.replace(path, picture.read_bytes())
        return
    chosen = sampling.choose_samples(run)
    inputs = [np.asarray(one) for one in chosen[:2] if one is not None]
    parts = [program(*(one[i : i + _BATCH] for one in inputs)) for i in range(0, len(inputs[0]), _BATCH)]
    report.save_png(path, sampling.picture(np.concatenate(parts), columns=chosen.columns), step=run.step)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    parser = argparse.ArgumentParser(prog='python -m gan_jax.tools.export', description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument('workdir', type=files.user_path, metavar='WORKDIR', help='directory of the run')
    parser.add_argument('--out', type=files.user_path, metavar='DIRECTORY', help='default: WORKDIR/exported')
    parser.add_argument('--step', type=int, help='checkpoint to export (default: the latest)')
    parser.add_argument('--psi', type=float, default=1.0, help='truncation: 1 none (default), 0 the mean')
    parser.add_argument('--noise', help='of a style generator: none, fixed (the same for all) or random')
    parser.add_argument('--standing_statistics', **STANDING_FLAG)
    parser.add_argument('--import_model', action='store_true', help="import a run's own module of networks")
    flags = vars(parser.parse_args(argv))

    def run() -> None:
        parallel.enable_compilation_cache()
        if flags.pop('import_model'):
            import_model(flags['workdir'])
        print(f'Wrote {export(**flags)}')

    return exit_code(run)


if __name__ == '__main__':
    sys.exit(main())
