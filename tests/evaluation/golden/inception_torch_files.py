"""Makes inception_zip.pth and inception_legacy.pth, one state dict in both formats of torch.save, by torch 2.13."""

import collections
import pathlib

import torch

HERE = pathlib.Path(__file__).parent

base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
state = collections.OrderedDict(
    base=base,
    transposed=base.t(),
    part=base[1:, ::2],
    parameter=torch.nn.Parameter(base.double() / 8),
    half=torch.tensor([0.5, -2.0], dtype=torch.float16),
    counter=torch.tensor(2**40),
    mask=torch.tensor([True, False]),
    empty=torch.zeros(0, 3),
)
state._metadata = {'': {'version': 1}}  # as Module.state_dict has it
torch.save(state, HERE / 'inception_zip.pth')
torch.save(state, HERE / 'inception_legacy.pth', _use_new_zipfile_serialization=False)
