"""The model card of an exported generator: what it is, how it is loaded, what it was trained on and how good it is."""

import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from gan_jax import config as configs
from gan_jax.data import MAIN
from gan_jax.evaluation import results
from gan_jax.evaluation.record import Record
from gan_jax.examples.kinds import kind_of
from gan_jax.records import description, files
from gan_jax.records.metrics import evaluations_of
from gan_jax.runtime.checkpoint import package_versions
from gan_jax.sampling.trained import TrainedRun

_LOAD = """```python
import jax.export, safetensors.numpy  # pip install jax flatbuffers safetensors

program = jax.export.deserialize(open('generator.stablehlo', 'rb').read())
weights = safetensors.numpy.load_file('weights.safetensors')
{draws}
{examples} = program.call(weights, {arguments})  # float32 {shape}{meaning}
```"""
_DRAWS = {
    'normal': 'jax.random.normal(jax.random.key(0), {shape})',
    'uniform': 'jax.random.uniform(jax.random.key(0), {shape}, minval=-1)',
    'keys': 'jax.random.bits(jax.random.key(0), {shape})',  # of the noise of a translator
    'corners': 'jax.numpy.zeros({shape}, int)  # the upper left corners of holes',
}
_KINDS = {'images': 'image-to-image', 'captions': 'text-to-image'}  # by the last input
_BATCH = 16


def model_card(
    workdir: pathlib.Path,
    run: TrainedRun,
    inputs: Mapping[str, jax.ShapeDtypeStruct],
    changes: Mapping[str, Any],
    *,
    has_picture: bool = True,
) -> str:
    """The card in Markdown, with the metadata that the Hugging Face Hub reads above it.

    Args:
        workdir: the run's directory.
        run: the run that is exported.
        inputs: inputs of the program, see `gan_jax.sampling.program.inputs_of`.
        changes: the options of the export that change samples, such as psi.
        has_picture: whether samples.png is beside the card.
    """
    config, size = run.config, 'x'.join(map(str, run.shape))
    title = f'{config.model} on {pathlib.PurePath(config.data.name).name}, {size}'
    kind = _KINDS.get(list(inputs)[-1], 'unconditional-image-generation')
    parts = [
        f'---\nlibrary_name: jax\npipeline_tag: {kind}\ntags: [gan, {config.model}]\n---',
        f'# {title}',
        f'The generator of a GAN at step {run.step:,}, exported by gan_jax. It runs on CPUs, CUDA and TPUs, with any '
        'batch size. Neither gan_jax nor Flax is needed.',
        _usage(run, inputs),
        _classes(run),
        '![samples](samples.png)' if has_picture else '',
        f'## Training\n\n{_table(("", ""), _facts(workdir, run, changes))}\n\n`config.json` has all settings.',
        f'## Metrics\n\n{_metrics(workdir, run, changes)}',
    ]
    card = '\n\n'.join(filter(None, parts)) + '\n'
    return card.encode(errors='replace').decode()  # names of files may have bytes that are no text


def _usage(run: TrainedRun, inputs: Mapping[str, jax.ShapeDtypeStruct]) -> str:
    """A program that loads the files and draws examples."""
    sizes = {name: (_BATCH, *one.shape[1:]) for name, one in inputs.items()}
    lines = _latents(run, sizes['latents'], inputs['latents'].dtype)
    if 'labels' in inputs:
        lines.append(f'labels = jax.numpy.arange({_BATCH}) % {run.num_classes}')
    if 'images' in inputs:
        yours = 'images, float32 in [-1, 1]' if run.game.maps is None else 'label maps, class k as 2 k / 255 - 1'
        lines.append(f'images = jax.numpy.zeros({sizes["images"]})  # your {yours}')
    if 'captions' in inputs:
        yours = 'numbers of words, 0 behind the last' if run.game.captions is not None else 'embeddings of captions'
        lines.append(
            f'captions = jax.numpy.ones({sizes["captions"]}, {inputs["captions"].dtype.name!r})  # your {yours}'
        )
    kind = kind_of(run.shape)
    return _LOAD.format(
        draws='\n'.join(lines),
        examples='translations' if 'images' in inputs else kind.name.split()[-1],
        arguments=', '.join(inputs),
        shape=[_BATCH, *run.shape],
        meaning=' in [-1, 1]' if kind.has_bytes else '',
    )


def _latents(run: TrainedRun, shape: tuple[int, ...], dtype: np.dtype) -> list[str]:
    """The lines that draw the latents of that shape."""
    if run.game.targets is not None:
        return [f'latents = {_domains(run)}  # of the translations']
    drawn = run.config.latents.distribution if dtype == np.float32 else 'keys'
    drawn = 'corners' if run.game.hole is not None else drawn
    lines = [f'latents = {_DRAWS[drawn].format(shape=shape)}']
    if (codes := run.game.codes) is not None:
        found = [f'jax.nn.one_hot(jax.numpy.arange({_BATCH}) % {count}, {count})' for count in codes.categories]
        found.append(f'jax.random.uniform(jax.random.key(1), ({_BATCH}, {codes.continuous}), minval=-1)')
        whole = ', '.join([f'latents[:, :-{codes.size}]', *found])
        lines.append(f'latents = jax.numpy.concatenate([{whole}], 1)  # noise and codes')
    return lines


def _domains(run: TrainedRun) -> str:
    """Conditions of StarGAN for each domain in turn: one-hot vectors, and with several sets those of their sets."""
    sizes = [len(of_set) for name, of_set in run.label_sets.items() if name != MAIN] + [run.num_classes]
    sets = [number for number, size in enumerate(sizes) for _ in range(size)]
    total, several = len(sets), len(sizes) > 1
    length, chosen = total + several * len(sizes), np.arange(_BATCH) % total
    parts = [chosen.tolist(), *([[total + sets[domain] for domain in chosen]] if several else [])]
    return ' + '.join(f'jax.nn.one_hot(jax.numpy.array({part}), {length})' for part in parts)


def _classes(run: TrainedRun) -> str:
    """The names behind the numbers of labels or words."""
    if run.game.captions is not None:
        return f'Words: {", ".join(f"{number} {word}" for number, word in enumerate(run.class_names) if word)}.'
    if not run.is_conditional:
        return ''
    names = [f' {name}' for name in run.class_names or ()] or [''] * run.num_classes
    return f'Labels: {", ".join(f"{number}{name}" for number, name in enumerate(names))}.'


def _facts(workdir: pathlib.Path, run: TrainedRun, changes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the run's files say of its training."""
    config, facts = run.config, files.read_object(workdir / 'run.json')
    data = description.read_data_facts(workdir, config.phase.number)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(run.weights[0]))
    kimg = configs.kimg(config, run.step - config.phase.steps)
    averaged = 'last' if run.generator.ema is None else 'averaged'
    rows = {
        'data': f'{config.data.name}, split {config.data.split}',
        'examples': data.get('examples') and f'{data["examples"]:,}',
        'fingerprint of the data': data.get('fingerprint'),
        'game, loss': f'{config.game.name}, {config.loss.name}',
        'images seen': None if 'converted' in facts else f'{kimg:,.6g} thousand',
        'batch size, seed': f'{config.batch_size}, {config.seed}',
        'parameters': f'{parameters:,}',
        'weights': averaged,
        'converted from': 'converted' in facts and facts['converted']['layout'],
        'exported with': ', '.join(f'{name} {value}' for name, value in changes.items()),
        'versions': ', '.join(f'{name} {version}' for name, version in package_versions().items()),
    }
    return [(name, str(value)) for name, value in rows.items() if value]


def _metrics(workdir: pathlib.Path, run: TrainedRun, changes: Mapping[str, Any]) -> str:
    """A table of what was measured of this checkpoint, each value with its protocol."""
    records = _records(workdir, run.step)
    if not records:
        return (
            f'None were computed for step {run.step}. `python -m gan_jax.main --mode eval --workdir {workdir} '
            f'--step {run.step}` computes them, and a new export adds them here.'
        )
    note = ''
    if changes:
        note = f'Measured without {", ".join(f"{name} {value}" for name, value in changes.items())}.\n\n'
    rows = [
        (one.metric, f'{one.value:.6g}', '' if one.error is None else f'{one.error:.3g}', one.describe())
        for one in records
    ]
    return note + _table(('metric', 'value', 'error', 'protocol'), rows)


def _records(workdir: pathlib.Path, step: int) -> list[Record]:
    """The evaluations of a checkpoint, during training and after it; of equal protocols the last."""
    found = [
        Record(one['metric'], one['value'], one['error'], f'step {step}', one['protocol'])
        for one in evaluations_of(workdir).read()
        if one['step'] == step and one.get('value') is not None
    ]
    for path in sorted((workdir / 'evaluation').glob(f'step{step:07d}-seed*.json')):
        found += results.read(path).records
    return list({(one.metric, one.describe()): one for one in found}.values())


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ['---'] * len(header), *rows]
    return '\n'.join('| ' + ' | '.join(cell.replace('|', '\\|') for cell in line) + ' |' for line in lines)
