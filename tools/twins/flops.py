"""A count of the floating-point operations of PyTorch code."""

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class FlopCounter(TorchDispatchMode):
    """Counts what PyTorch's own tables know, convolutions and matrix products, into `total`; a context manager.

    PyTorch's `FlopCounterMode` also tells modules apart, and fails at second derivatives for that.
    """

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        """Runs an operation and adds what it costs."""
        result = operation(*arguments, **(options or {}))
        if (count := flop_registry.get(operation.overloadpacket)) is not None:
            self.total += count(*arguments, **(options or {}), out_val=result)
        return result
