"""The writer of Weights & Biases in the library's offline mode: what it leaves for `wandb sync`."""

import collections
import contextlib
import json
import pathlib
import struct
import time

import numpy as np
import pytest
from PIL import Image

from gan_jax import config
from gan_jax.config import json_values
from gan_jax.errors import UserError
from gan_jax.evaluation.record import Evaluation, Record
from gan_jax.records import weights_and_biases
from gan_jax.records.writers import Writers, check

CONFIG = {'model': 'mlp', 'loss': {'name': 'hinge'}}


def read_log(path: pathlib.Path) -> list:
    """The records of a `.wandb` file: 7 bytes, then blocks of 32 KiB with fragments as LevelDB's log has them."""
    from wandb.proto.wandb_internal_pb2 import Record as Message

    data, at, whole, found = path.read_bytes(), 7, b'', []
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # no room for a fragment's head
            at += 32768 - at % 32768
        _, length, kind = struct.unpack('<IHB', data[at : at + 7])
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # the whole or the last fragment of a record
            found.append(Message.FromString(whole))
            whole = b''
    return found


def values(items) -> dict:
    return {item.key or '/'.join(item.nested_key): json.loads(item.value_json) for item in items}


def test_a_run_and_its_resumption_are_one_run(tmp_path, monkeypatch):
    pytest.importorskip('wandb')
    monkeypatch.setenv('WANDB_MODE', 'offline')
    monkeypatch.setenv('WANDB_SILENT', 'true')
    picture = np.full((6, 4, 1), 200, np.uint8)
    workdir = tmp_path / 'families' / 'member-3'
    options = {'total': 40, 'quiet': True, 'writers': ('jsonl', 'wandb'), 'config': CONFIG}
    with Writers(workdir, begin=0, **options) as out:
        out.metrics(10, 1.0, {'generator/loss': 1.5})
        out.metrics(30, 3.0, {'generator/loss': 0.5})
    time.sleep(1)  # the library names a start by its second
    with contextlib.suppress(KeyError), Writers(workdir, begin=20, **options) as out:
        out.metrics(30, 3.0, {'generator/loss': 0.25})
        out.samples(30, picture, 'a caption')
        out.evaluation(30, 3.0, Evaluation([Record('fid', 9.5, None, 'step 30', {'seed': 0})], []))
        raise KeyError
    assert not (workdir / 'tensorboard').exists()

    starts = sorted((workdir / 'wandb').glob('offline-run-*'))
    id = (workdir / 'wandb' / 'run-id').read_text()
    assert [path.name.rpartition('-')[2] for path in starts] == [id, id]
    kinds = []
    for start in starts:
        found = collections.defaultdict(list)
        for record in read_log(start / f'run-{id}.wandb'):
            found[record.WhichOneof('record_type')].append(record)
        kinds.append(found)
    run = kinds[0]['run'][0].run
    assert (run.run_id, run.project, run.display_name, run.run_group) == (
        id,
        'gan_jax',
        'families/member-3',
        'families',
    )
    assert {item.key: json.loads(item.value_json) for item in run.config.update if item.key != '_wandb'} == CONFIG
    history = [[values(one.history.item) for one in kind['history']] for kind in kinds]
    assert [(one['step'], one['kimg'], one['generator/loss']) for one in history[0]] == [(10, 1, 1.5), (30, 3, 0.5)]
    metrics, samples, evaluation = history[1]
    assert (metrics['step'], metrics['generator/loss']) == (30, 0.25)
    assert (evaluation['step'], evaluation['eval/fid']) == (30, 9.5)
    assert (samples['step'], samples['samples/caption']) == (30, 'a caption')
    written = Image.open(starts[1] / 'files' / samples['samples/path'])
    np.testing.assert_array_equal(np.asarray(written), picture[..., 0])
    assert [kind['exit'][0].exit.exit_code for kind in kinds] == [0, 1]
    defined = {one.metric.name or one.metric.glob_name: one.metric for one in kinds[0]['metric']}
    assert defined['*'].step_metric == 'step'
    assert defined['eval/fid'].summary.min

    with Writers(workdir, begin=0, **options):  # no checkpoint was reached: another run
        pass
    assert (workdir / 'wandb' / 'run-id').read_text() != id


def test_where_it_is_missing_training_says_so(monkeypatch):
    monkeypatch.setattr(weights_and_biases.importlib.util, 'find_spec', lambda name: None)
    check(('jsonl', 'tensorboard'))
    with pytest.raises(UserError, match=r"^writers has wandb, which is not installed: pip install 'gan_jax\[wandb\]'"):
        check(('jsonl', 'wandb'))


def test_which_writers_there_are():
    assert config.load('configs/mlp.py', ['writers=jsonl,wandb']).writers == ('jsonl', 'wandb')
    with pytest.raises(UserError, match=r"^writers is 'wand'; choose one of jsonl, tensorboard, wandb\.$"):
        config.load('configs/mlp.py', ['writers=jsonl,wand'])
    with pytest.raises(UserError, match=r'^writers=tensorboard has no jsonl, which a run resumes from'):
        check(('tensorboard',))
    ours, theirs = (json_values.to_json(config.load('configs/mlp.py', [one])) for one in ('seed=0', 'writers=jsonl'))
    assert json_values.differences(ours, theirs) == []  # a run may go on with others
