"""What runs have left, for comparisons: everything that must not depend on how often a run was killed."""

import json
import pathlib
from typing import Any

import numpy as np
from PIL import Image, ImageSequence

# The clock's part, and the pages, which show some of it and the directory's name.
_OF_THE_CLOCK = ('timing.jsonl', 'starts.jsonl', 'report.html', 'lab.html')


def contents(workdir: pathlib.Path) -> dict[str, Any]:
    """Every file below a directory by its path: pictures by their pixels, checkpoints by checksums of states."""
    found = {}
    for path in sorted(workdir.rglob('*')):
        name = path.relative_to(workdir)
        if path.is_dir() or {'tensorboard', 'checkpoints'} & set(name.parts) or name.name in _OF_THE_CLOCK:
            continue
        found[str(name)] = _frames(path) if path.suffix in ('.png', '.gif') else path.read_bytes()
    for directory in sorted(workdir.rglob('checkpoints')):
        for one in directory.iterdir():
            meta = json.loads((one / 'meta' / 'metadata').read_text())
            found[str(one.relative_to(workdir))] = (meta['crc32'], meta['metrics'], meta['unfinished'])
    return found


def differences(workdir: pathlib.Path, other: pathlib.Path) -> list[str]:
    """The paths at which two directories differ."""
    here, there = contents(workdir), contents(other)
    return sorted(path for path in here.keys() | there.keys() if here.get(path) != there.get(path))


def _frames(path: pathlib.Path) -> list[tuple]:
    with Image.open(path) as picture:
        frames = [np.asarray(frame.convert('RGB')) for frame in ImageSequence.Iterator(picture)]
    return [(frame.shape, frame.tobytes()) for frame in frames]
