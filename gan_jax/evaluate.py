"""Evaluates generated images of any origin against real images.

python -m gan_jax.evaluate runs/dcgan-fashion_mnist                     # a run, by the data it was trained on
python -m gan_jax.evaluate runs/dcgan-fashion_mnist fashion_mnist@test
python -m gan_jax.evaluate samples.npz cifar10 --metrics fid,kid
python -m gan_jax.evaluate generated/ photographs/ --size 128 --extractor inception
python -m gan_jax.evaluate first.json second.json                       # two earlier results

Images can be a run's directory, a directory of image files, an .npy file of images (uint8 [n, H, W, C]), an .npz file
with them as 'images' or 'arr_0' (and classes as 'labels' or 'arr_1'), or the name of a data set with its split: mnist,
mnist@test, 'cifar10@train[:1000]'. For FID, either set of images can be an .npz file of statistics 'mu' and 'sigma', as
written by pytorch-fid and clean-fid.
"""

import argparse
import pathlib
import sys
import types
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from gan_jax import data
from gan_jax.errors import UserError, exit_code
from gan_jax.evaluation import results
from gan_jax.evaluation.evaluator import Evaluator, choose_extractor
from gan_jax.evaluation.features.extractor import NOTHING, Extractor
from gan_jax.evaluation.features.find import GRAMMAR
from gan_jax.evaluation.gather import GeneratorSamples, check_looks, of_inputs, shape_text, shapes_agree
from gan_jax.evaluation.labels import draw_conditions
from gan_jax.evaluation.metrics import METRICS, OPTIONS, check_kind, check_names, check_options, needs_exact
from gan_jax.evaluation.record import Evaluation, differences
from gan_jax.evaluation.sides import Images, as_side, is_archive, is_named, load_images, name_and_split, name_of
from gan_jax.evaluation.statistics import Statistics
from gan_jax.examples.kinds import CLIPS, IMAGES, POINTS
from gan_jax.layers.choices import require
from gan_jax.pages import run_page
from gan_jax.ranges import SEED, Range
from gan_jax.records import files, provenance
from gan_jax.runtime import parallel
from gan_jax.runtime.checkpoint import Checkpoints
from gan_jax.sampling.loaded import LoadedRun
from gan_jax.sampling.trained import TrainedRun, import_model, is_run, load_run
from gan_jax.training.datasets import load_data
from gan_jax.training.run import refresh_page

DEFAULT_METRICS = ('fid', 'inception_score', 'kid', 'precision_recall', 'density_coverage')
NUM_SAMPLES = 10_000
_BOOTSTRAP = Range(0, 10**6)
_NUM = Range(2, 10**7)  # of samples, whose latents and classes lie in memory at once

FLAGS: dict[str, dict[str, Any]] = {
    'metrics': {
        'type': lambda text: tuple(name.strip() for name in text.split(',') if name.strip()),
        'metavar': 'A,B',
        'help': f'from {", ".join(METRICS)} (default: {",".join(DEFAULT_METRICS)})',
    },
    'bootstrap': {
        'type': int,
        'metavar': 'N',
        'help': 'number of bootstrap resamples for an interval of each value (default: none)',
    },
    'batch_size': {'type': int, 'metavar': 'N', 'help': 'images per batch on all devices (default: 64 per device)'},
    **{name: {'type': int, 'metavar': 'N', 'help': option.help} for name, option in OPTIONS.items()},
}
"""The flags that `python -m gan_jax.evaluate` and `--mode eval` alone have: arguments of `argparse` by name."""

STANDING_FLAG: dict[str, Any] = {
    'type': int,
    'metavar': 'N',
    'help': "number of passes for standing batch statistics; 0: running averages (default: the run's config)",
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Defines `FLAGS`, and the extractor."""
    for name, options in FLAGS.items():
        parser.add_argument(f'--{name}', **options)
    parser.add_argument('--extractor', help=f'{GRAMMAR} (default: auto)')


def given(flags: argparse.Namespace, *more: str) -> dict[str, Any]:
    """The arguments of `evaluate` among the given flags: `FLAGS`, the extractor, and more by name."""
    found = {name: getattr(flags, name) for name in (*FLAGS, 'extractor', *more) if getattr(flags, name) is not None}
    return {
        **{name: value for name, value in found.items() if name not in OPTIONS},
        'options': {name: value for name, value in found.items() if name in OPTIONS},
    }


def evaluate(
    fakes: Images | LoadedRun,
    reals: Images | None = None,
    metrics: str | Sequence[str] = DEFAULT_METRICS,
    *,
    extractor: str | Extractor = 'auto',
    num: int | None = None,
    seed: int | None = None,
    step: int | None = None,
    standing_statistics: int | None = None,
    size: int | None = None,
    channels: int | None = None,
    bootstrap: int = 0,
    batch_size: int | None = None,
    options: Mapping[str, int] | None = None,
    data_dir: str | None = None,
) -> Evaluation:
    """The metrics of images, or of a run's generator.

    `gan_jax.evaluate(...)` is this function.

    Args:
        fakes: what to evaluate: the directory of a run or of images, an .npz or .npy file, or 'NAME@SPLIT'; in Python
            also images uint8 [n, H, W, 1 or 3], a `gan_jax.data.Dataset`, or what `gan_jax.load` returns.
        reals: the real images, in the same forms; None: the data that the run was trained on.
        metrics: names from `gan_jax.evaluation.metrics.METRICS`, or one string 'fid,kid'.
        extractor: as in `gan_jax.evaluation.features.find.find_extractor`.
        num: number of samples of a run; None: 10,000.
        seed: seed of the latents; None: 0.
        step: step of the run's checkpoint; None: the latest.
        standing_statistics: number of passes of `gan_jax.sampling.standing` for a run's samples; 0: running averages;
            None: as its config has it.
        size: size to resize images of directories and data sets to; None: their own, or that of the run. Their own may
            be different if the extractor resizes each image itself, as Inception does.
        channels: number of channels, likewise.
        bootstrap: number of resamples of the fakes for an interval of each value; 0: none.
        batch_size: images per batch on all devices; None: 64 per device.
        options: constants of the metrics, by names in `gan_jax.evaluation.metrics.OPTIONS`.
        data_dir: directory of TFDS data sets.

    Returns:
        The values, and the metrics that could not be computed.

    Raises:
        UserError: the images do not exist, the extractor's weights are missing, or an argument is out of its range or
            has no effect.
    """
    metrics = metrics.split(',') if isinstance(metrics, str) else metrics
    require(len(metrics) > 0, '--metrics', ','.join(metrics), f'names of metrics, of {", ".join(METRICS)}')
    _BOOTSTRAP.check('--bootstrap', bootstrap)
    check_names(metrics)
    check_options(options or {}, metrics)
    if extractor != 'auto' and not any(METRICS[name].uses_extractor for name in metrics):
        _refuse({'extractor': extractor}, 'is not used, because these metrics use pixels only')
    common = {
        'metrics': metrics,
        'bootstrap': bootstrap,
        'batch_size': batch_size,
        'options': options or {},
    }
    if isinstance(fakes, LoadedRun):
        fakes, step = fakes.workdir, fakes.step if step is None else step
    fakes = as_side(fakes, 'fake_images')
    reals = None if reals is None else as_side(reals, 'real_images')
    images = {'size': size, 'channels': channels}
    if not isinstance(fakes, data.Dataset) and is_run(fakes):
        _refuse(
            images, f'does not apply to samples of a run (real images are resized to match them), and {fakes} is a run'
        )
        num, seed = NUM_SAMPLES if num is None else num, 0 if seed is None else seed
        _NUM.check('--num', num)
        SEED.check('--seed', seed)
        run = load_run(pathlib.Path(fakes), step).standing(standing_statistics)
        return _evaluate_run(fakes, run, reals, num, seed, extractor, data_dir, common)
    if reals is None:
        raise UserError(
            f'{name_of(fakes)} is not the directory of a run, so real images are required: name a data set or '
            'directory to compare it with.'
        )
    own = {'num': num, 'seed': seed, 'step': step, 'standing_statistics': standing_statistics}
    _refuse(own, f'applies to samples of a run, and {name_of(fakes)} is not a run')
    return _evaluate_images(fakes, reals, images, extractor, data_dir, common)


def _evaluate_images(
    fakes: Images,
    reals: Images,
    images: dict[str, int | None],
    extractor: str | Extractor,
    data_dir: str | None,
    common: dict[str, Any],
) -> Evaluation:
    """The metrics of images that are not samples of a run; `images` are size and channels, `common` as `_evaluate`."""
    metrics = common['metrics']
    if all(map(is_archive, (fakes, reals))):
        _refuse(images, 'does not apply to images stored as arrays')
    if not any(map(is_named, (fakes, reals))):
        _refuse({'data_dir': data_dir}, 'is the directory of TFDS data sets, and no TFDS data set is used')
    fake, real = (load_images(one, **images, data_dir=data_dir, mixed=True) for one in (fakes, reals))
    check_kind(metrics, name_of(fakes), fake.shape)
    check_kind(metrics, name_of(reals), real.shape)
    _check_shapes(fake.shape, real.shape, fakes, reals)
    return _evaluate(fake, real, _choose_extractor(metrics, extractor, real, fake), **common)


def _evaluate_run(
    workdir: Images,
    run: TrainedRun,
    reals: Images | None,
    num: int,
    seed: int,
    extractor: str | Extractor,
    data_dir: str | None,
    common: dict[str, Any],
) -> Evaluation:
    """The metrics of samples of a run; `common` are arguments of `_evaluate`."""
    metrics, trained_on = common['metrics'], run.config.data
    check_kind(metrics, name_of(workdir), run.shape)
    if reals is None or reals == trained_on.name:
        reals = f'{trained_on.name}@{run.config.evaluation.split or trained_on.split}'
    if not is_named(reals):
        _refuse(
            {'data_dir': data_dir}, f'is the directory of TFDS data sets, and {name_of(reals)} is not a TFDS data set'
        )
    is_own = not isinstance(reals, data.Dataset) and name_and_split(reals)[0] == trained_on.name
    if is_own:  # the arguments of the training, so that the decoded copy in the cache is found
        images = {'size': trained_on.size, 'channels': trained_on.channels}
        images |= {'data_dir': data_dir or trained_on.directory, 'cache_dir': trained_on.cache}
    else:
        images = {**_form_of(run), 'data_dir': data_dir}
    real = load_images(reals, **images)
    check_kind(metrics, name_of(reals), real.shape)
    if reals == f'{trained_on.name}@{trained_on.split}':
        _warn_of_changes(workdir, trained_on, real, run.config.phase.number)
    _check_shapes(run.shape, real.shape, workdir, reals)
    samples = _samples_of(run, real, num, seed, f'{workdir} at step {run.step}')
    samples = _with_known(samples, metrics, trained_on, data_dir)
    if needs_exact(metrics):
        samples = samples._replace(exact=run.float32_game())
    name = trained_on.name if isinstance(real, Statistics) else real.name
    found = choose_extractor(metrics, extractor, name, run.shape, labelled=real.labels is not None)
    return _evaluate(samples, real, found, cache_dir=trained_on.cache, **common)


def evaluate_workdir(workdir: pathlib.Path, *, step: int | str | None = None, seed: int = 0, **options: Any) -> None:
    """Evaluates a run and writes `evaluation/step<step>-seed<seed>.json` in its directory.

    Earlier values of other metrics or protocols are kept, before the new values.

    Args:
        workdir: the run's directory.
        step: step of a checkpoint; None: the latest; 'all': each of them, with a table over the steps.
        seed: seed of the latents.
        **options: options of `evaluate`.

    Raises:
        UserError: as `evaluate`; a file of earlier values is damaged; or, at the end, a metric could not be computed.
    """
    latest = load_run(workdir, None if step == 'all' else step).step
    steps = Checkpoints(workdir / 'checkpoints').all_steps() if step == 'all' else [latest]
    paths = {number: workdir / 'evaluation' / f'step{number:07d}-seed{seed}.json' for number in steps}
    earlier = {number: results.read(path).records if path.exists() else [] for number, path in paths.items()}
    found = {}
    for number, path in paths.items():
        files.check_writable(path)
        print(f'step {number}')
        found[number] = evaluate(workdir, step=number, seed=seed, **options)
        new = found[number].records
        results.report(
            found[number], path, [old for old in earlier[number] if all(differences(old, one) for one in new)]
        )
    if len(steps) > 1:
        print(f'\n{_over_steps(found)}')
    if (workdir / run_page.NAME).exists():
        refresh_page(workdir)
    results.check_complete(found.values())


def _over_steps(found: Mapping[int, Evaluation]) -> str:
    """A table of values with a row for each step."""
    values = {step: {record.metric: record.value for record in one.records} for step, one in found.items()}
    names = list(dict.fromkeys(name for row in values.values() for name in row))
    lines = ['  '.join(f'{name:>12}' for name in ('step', *names))]
    for step, row in values.items():
        cells = (f'{row[name]:.6g}' if name in row else '-' for name in names)
        columns = (f'{cell:>{max(12, len(name))}}' for name, cell in zip(names, cells, strict=True))
        lines.append('  '.join((f'{step:12}', *columns)))
    return '\n'.join(lines)


def _form_of(run: TrainedRun) -> dict[str, int | None]:
    """The size and channels with which other data have the shape of a run's examples."""
    if run.kind in (IMAGES, CLIPS):
        height, width, channels = run.shape[-3:]
        return {'size': height if height == width else None, 'channels': channels}
    return {'size': None if run.kind is POINTS else run.shape[0], 'channels': None}


def _samples_of(
    run: TrainedRun, real: data.Dataset | Statistics, num: int, seed: int, subject: str
) -> GeneratorSamples:
    """The samples of a run's generator to evaluate against real images."""
    if run.game.translates:
        samples = of_inputs(run.game, run.generator, num, seed, real, subject, run.shapes[run.game.given])
    else:
        samples = GeneratorSamples(run.game, run.generator, num, seed, None, subject, standing=run.passes)
    samples = samples._replace(class_names=run.class_names, discriminator=run.discriminator, encoder=run.encoder)
    samples = samples._replace(distribution=run.config.latents.distribution)
    if run.is_conditional:
        samples = samples._replace(**draw_conditions(real, num, seed, run.num_classes, run.class_names))
    return samples


def _with_known(
    samples: GeneratorSamples, metrics: Sequence[str], trained_on: ConfigDict, data_dir: str | None
) -> GeneratorSamples:
    """The samples with the data that their run was trained on, if a metric needs them."""
    if not any(METRICS[name].known for name in metrics):
        return samples
    section = trained_on.copy_and_resolve_references()
    section.directory = data_dir or section.directory
    return samples._replace(known=load_data(section))


def _choose_extractor(metrics: Sequence[str], spec: str | Extractor, *sides: data.Dataset | Statistics) -> Extractor:
    """The extractor for the first side that has images; `NOTHING` if both are statistics."""
    images = [side for side in sides if isinstance(side, data.Dataset)]
    if images:
        return choose_extractor(metrics, spec, images[0].name, images[0].shape, labelled=images[0].labels is not None)
    _refuse({'extractor': None if spec == 'auto' else spec}, 'is not used, because both sides are statistics')
    return NOTHING


def _evaluate(
    fakes: GeneratorSamples | data.Dataset | Statistics,
    real: data.Dataset | Statistics,
    extractor: Extractor,
    *,
    metrics: Sequence[str],
    bootstrap: int,
    batch_size: int | None,
    options: Mapping[str, int],
    cache_dir: str | None = None,
) -> Evaluation:
    layout = parallel.make_layout(jax.device_count())
    if not isinstance(fakes, GeneratorSamples):
        check_looks(fakes, extractor)  # before the real images are processed
    return Evaluator(metrics, extractor, real, layout, cache_dir, bootstrap, options, batch_size).evaluate(fakes)


def _refuse(arguments: Mapping[str, Any], reason: str) -> None:
    """Raises a UserError for an argument that is set and has no effect."""
    for name, value in arguments.items():
        if value is not None:
            raise UserError(f'--{name} has no effect here: it {reason}; omit it.')


def _warn_of_changes(workdir: str, trained_on: ConfigDict, real: data.Dataset, phase: int) -> None:
    """Warns if the data of a run (here with all classes and labels) have changed since training."""
    today = data.for_training(real, trained_on.left_out, trained_on.labels_per_class, trained_on.label_seed)
    if changed := provenance.changes(workdir, today, phase):
        warnings.warn(f'Since {workdir} was trained, {real.name!r} has changed in {", ".join(changed)}.', stacklevel=4)


def _check_shapes(fake: tuple[int, ...] | None, real: tuple[int, ...] | None, fakes: Any, reals: Any) -> None:
    """Raises a UserError if two sets of images differ in shape, and suggests a remedy."""
    if shapes_agree(fake, real):
        return
    if not isinstance(fakes, data.Dataset) and is_run(fakes):
        remedy = 'use real images with the size and channels of the samples'
    elif all(map(is_archive, (fakes, reals))):
        remedy = 'convert both to the same size and number of channels'
    elif None in (*fake, *real):
        remedy = 'convert both to the same number of channels, by --channels 3'
    else:
        shape = fake if is_archive(fakes) else real
        remedy = f'convert both by --size and --channels, such as --size {shape[0]} --channels {shape[-1]}'
    seen = [shape_text(shape, ' x ') for shape in (fake, real)]
    raise UserError(f'The images of {name_of(fakes)} are {seen[0]} and those of {name_of(reals)} {seen[1]}: {remedy}.')


def main(argv: list[str] | None = None) -> int:
    """Runs a command line; returns its exit code."""
    parser = argparse.ArgumentParser(prog='python -m gan_jax.evaluate', description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        'fakes',
        metavar='GENERATED',
        help='what to evaluate: a run, a directory of images, an .npz or .npy file or NAME[@SPLIT]',
    )
    parser.add_argument(
        'reals',
        metavar='REAL',
        nargs='?',
        help='real images, in the same forms (default: the data that the run was trained on)',
    )
    add_flags(parser)
    parser.add_argument('--num', type=int, help='number of samples of a run (default: 10,000)')
    parser.add_argument('--seed', type=int, help='seed of the latents of the samples (default: 0)')
    parser.add_argument('--step', type=int, help="step of a run's checkpoint (default: the latest)")
    parser.add_argument('--standing_statistics', **STANDING_FLAG)
    parser.add_argument('--size', type=int, help='size in pixels to resize images of directories and data sets to')
    parser.add_argument('--channels', type=int, choices=(1, 3))
    parser.add_argument('--data_dir', help='directory of TFDS data sets (default: TFDS_DATA_DIR)')
    parser.add_argument(
        '--import_model', action='store_true', help="import the run's own modules, which executes their code"
    )
    parser.add_argument('--output', type=files.user_path, metavar='JSON', help='default: evaluation.json')
    flags = parser.parse_args(argv)

    def run() -> None:
        parallel.enable_compilation_cache()
        if flags.import_model:
            import_model(flags.fakes)
        chosen = given(flags, 'num', 'seed', 'step', 'standing_statistics', 'size', 'channels', 'data_dir')
        if '.json' in (pathlib.Path(flags.fakes).suffix, pathlib.Path(flags.reals or '').suffix):
            if flags.reals is None:
                raise UserError(f'{flags.fakes} is an earlier result: name a second result to compare it with.')
            _refuse(
                {'output': flags.output, **chosen['options'], **chosen, 'options': None},
                'does not change earlier results',
            )
            print(results.compare(flags.fakes, flags.reals))
            return
        output = flags.output or pathlib.Path('evaluation.json')
        files.check_writable(output)
        evaluation = evaluate(flags.fakes, flags.reals, **chosen)
        results.report(evaluation, output)
        results.check_complete([evaluation])

    return exit_code(run)


class _CallableModule(types.ModuleType):
    """The module `gan_jax.evaluate`, which can also be called like its function of the same name."""

    __call__ = staticmethod(evaluate)


sys.modules[__name__].__class__ = _CallableModule

if __name__ == '__main__':
    sys.exit(main())
