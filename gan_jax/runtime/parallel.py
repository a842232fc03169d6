"""Distribution of the work: jit on one device, pmap or sharding on many, on one host or several.

The result depends on the global batch and not on the layout: every example has a
position in it, noise is drawn by position, and gradients, batch statistics and metrics are averaged over all devices.
"""

import dataclasses
import functools
import os
import resource
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gan_jax.errors import UserError
from gan_jax.layers.platforms import traced_for
from gan_jax.records import files
from gan_jax.runtime import compiler, hosts
from gan_jax.runtime.canonical import canonical

AXIS = 'devices'
MODES = ('pmap', 'sharding')


@dataclasses.dataclass(frozen=True)
class Layout:
    """The distribution of a global batch over devices. Made by `make_layout`.

    Attributes:
        mode: 'jit' (one device), 'pmap' or 'sharding'.
        devices: the devices of all processes, in order.
        batch_size: examples in a global batch.
    """

    mode: str
    devices: tuple[jax.Device, ...]
    batch_size: int

    @property
    def axis_name(self) -> str | None:
        """The axis to average over explicitly inside the step, or None if the compiler does it."""
        return AXIS if self.mode == 'pmap' else None

    @property
    def local_devices(self) -> tuple[jax.Device, ...]:
        """This process's devices."""
        return tuple(device for device in self.devices if device.process_index == jax.process_index())

    @property
    def local_positions(self) -> np.ndarray:
        """uint32: the positions in the global batch of the examples that this process reads."""
        share = self.batch_size // len(self.devices)
        local = [i for i, device in enumerate(self.devices) if device.process_index == jax.process_index()]
        return np.concatenate([np.arange(i * share, (i + 1) * share, dtype=np.uint32) for i in local])

    @functools.cached_property
    def _mesh(self) -> Mesh:
        return Mesh(np.array(self.local_devices if self.mode == 'pmap' else self.devices), (AXIS,))

    def _sharding(self, *spec: str | None) -> NamedSharding:
        return NamedSharding(self._mesh, PartitionSpec(*spec))

    def replicate(self, tree: Any) -> Any:
        """The same values (arrays or typed keys, equal in every process) on every device, in new buffers."""
        sharding = self._sharding()

        def put(leaf):
            if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                return jax.random.wrap_key_data(put(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf))
            return jax.make_array_from_process_local_data(sharding, np.asarray(leaf))

        return jax.tree.map(put, tree)

    def split(self, tree: Any, axis: int = 0) -> Any:
        """This process's share of a batch (host arrays, examples along `axis`) laid over its devices."""
        sharding = self._sharding(*[None] * axis, AXIS)
        if self.mode == 'pmap':
            return jax.device_put(
                jax.tree.map(lambda array: array.reshape(self._divided(array.shape, axis)), tree), sharding
            )
        return jax.tree.map(lambda array: jax.make_array_from_process_local_data(sharding, array), tree)

    def outline(self, tree: Any, axis: int | None) -> Any:
        """The shapes and types of arrays after `split` along an axis, or after `replicate` if it is None."""

        def one(array):
            shape = array.shape if axis is None else self._divided(array.shape, axis)
            return jax.ShapeDtypeStruct(shape, array.dtype)

        return jax.tree.map(one, tree)

    def _divided(self, shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
        """The shape of a process's share of a batch: pmap needs an axis for the process's devices."""
        if self.mode != 'pmap':
            return shape
        count = len(self.local_devices)
        return *shape[:axis], count, shape[axis] // count, *shape[axis + 1 :]

    def compile(self, stretch: Callable, *, data_axis: int | None) -> 'Program':
        """Compiles `stretch(state, data, positions, slot, count) -> (state, metrics)`, with a donated state.

        Args:
            stretch: from `gan_jax.training.stretch.make_stretch`.
            data_axis: the axis along which the data was `split`; None: the data was replicated.
        """
        stretch = canonical(stretch)
        if self.mode == 'pmap':
            mapped = jax.pmap(
                stretch,
                axis_name=AXIS,
                in_axes=(None, data_axis, 0, None, None),
                out_axes=(None, None),
                devices=self.devices if jax.process_count() == 1 else None,
                donate_argnums=0,
            )
            return Program(mapped, self.devices[0].platform)
        replicated = self._sharding()
        data = replicated if data_axis is None else self._sharding(*[None] * data_axis, AXIS)
        jitted = jax.jit(
            stretch,
            in_shardings=(replicated, data, self._sharding(AXIS), replicated, replicated),
            out_shardings=(replicated, replicated),
            donate_argnums=0,
            compiler_options=compiler.training(),
        )
        return Program(jitted, self.devices[0].platform)

    def compile_map(self, function: Callable) -> Callable:
        """Compiles `function(constants, batch) -> tree`, with the examples of the batch spread over all devices.

        Args:
            function: its batch and result are trees of arrays with the examples along the first axis.

        Returns:
            A function of host arrays, equal in every process, and of a batch of any one size that divides over the
            devices; its complete result is on the host in every process.
        """
        mesh = Mesh(np.array(self.devices), (AXIS,))
        whole, split = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec(AXIS))
        jitted = jax.jit(function, in_shardings=(whole, split), out_shardings=whole, compiler_options=compiler.often())
        program = Program(jitted, self.devices[0].platform)

        def put(tree, sharding):
            def one(array):
                array = np.asarray(array)
                return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

            return jax.tree.map(one, tree)

        def call(constants, batch):
            return jax.device_get(program(put(constants, whole), put(batch, split)))

        return call


def make_layout(batch_size: int, *, mode: str = 'pmap', num_devices: int | None = None) -> Layout:
    """Chooses the devices and checks that the batch size is divisible by their number.

    Args:
        batch_size: examples in a global batch.
        mode: 'pmap' or 'sharding' where there are several devices; one device is always plain jit.
        num_devices: number of devices to use; None uses all. Only a single process can use fewer.

    Raises:
        UserError: unknown mode, more devices than there are, or a batch that does not divide.
    """
    if mode not in MODES:
        raise UserError(f'parallel.mode is {mode!r}; choose one of {", ".join(MODES)}.')
    devices = jax.devices()
    count = num_devices or len(devices)
    if count > len(devices):
        raise UserError(f'parallel.devices is {count}, but there are {len(devices)}: lower it, or set it to 0 for all.')
    if jax.process_count() > 1 and count != len(devices):
        raise UserError(
            f'parallel.devices is {count}, but with several processes all {len(devices)} devices are used: set it to 0.'
        )
    if batch_size % count:
        nearest = max(count, round(batch_size / count) * count)
        raise UserError(
            f'batch_size {batch_size} is not divisible by {count} devices; the nearest batch size that is: {nearest}.'
        )
    return Layout('jit' if count == 1 else mode, tuple(devices[:count]), batch_size)


def enable_compilation_cache() -> None:
    """Keeps compiled programs on disk, so that a second start does not compile again.

    In JAX_COMPILATION_CACHE_DIR if that is set, else in `gan_jax/xla` under the user's cache directory. For entry
    points only: it changes the configuration of the whole process.
    """
    if not jax.config.jax_compilation_cache_dir:
        cache = files.user_path(os.environ.get('XDG_CACHE_HOME') or '~/.cache')
        jax.config.update('jax_compilation_cache_dir', str(cache / 'gan_jax' / 'xla'))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)


def is_main_process() -> bool:
    """Whether this process writes the run's files and prints."""
    return jax.process_index() == 0


class Memory(NamedTuple):
    """The memory of a compiled program on a device, in bytes.

    Attributes:
        arguments: data and state, which are permanent.
        temporary: additional memory during the run; it grows with the batch.
        available: the total memory of the device; on a CPU its share of the host's memory.
    """

    arguments: int
    temporary: int
    available: int

    @property
    def total(self) -> int:
        """The peak memory."""
        return self.arguments + self.temporary

    def fits(self, batch_size: int) -> int:
        """Approximately the largest batch that would fit, if temporary memory is proportional to it."""
        return int(batch_size * max(0, self.available - self.arguments) / max(1, self.temporary))


class Program:
    """A function that can be compiled before its first call, so that its memory is known; made by `Layout`.

    Args:
        function: from `jax.jit` or `jax.pmap`.
        platform: the platform of its devices.
    """

    def __init__(self, function: Callable, platform: str):
        self._function = function
        self._platform = platform
        self._call = None

    def __call__(self, *arguments: Any) -> Any:
        """Calls the function, and compiles it if that has not been done.

        Several processes begin it together, because they exchange arrays in it and do not wait long for each other.
        """
        if not self.is_compiled:
            self.compile(*arguments)
        hosts.meet()
        with traced_for(self._platform):  # the first call of a function that was not compiled here traces it
            return self._call(*arguments)

    @property
    def is_compiled(self) -> bool:
        """Whether `compile` or a call has compiled it."""
        return self._call is not None

    def lower(self, *arguments: Any) -> jax.stages.Lowered:
        """As of any jitted function."""
        with traced_for(self._platform):
            return self._function.lower(*arguments)

    def compile(self, *arguments: Any) -> Memory | None:
        """Compiles for such arguments, or for their shapes where there is one process.

        Returns:
            The memory of the program on each device, None if unknown.
        """
        with compiler.uncached():
            compiled = self.lower(*arguments).compile()
        # A compiled pmap does not take one process's share; the function itself finds what is compiled.
        self._call = compiled if jax.process_count() == 1 else self._function
        stats = compiled.memory_analysis()
        if stats is None:
            return None
        output = max(0, stats.output_size_in_bytes - stats.alias_size_in_bytes)
        return Memory(stats.argument_size_in_bytes, stats.temp_size_in_bytes + output, available_memory())


def available_memory() -> int:
    """Bytes of memory of one device; on a CPU its share of the host's."""
    if memory := device_memory():
        return memory
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // len(jax.local_devices())


def peak_memory() -> int:
    """Peak memory so far in bytes: of the fullest local device, or of the process if devices do not report it."""
    peaks = [stats['peak_bytes_in_use'] for device in jax.local_devices() if (stats := device.memory_stats())]
    unit = 1 if sys.platform == 'darwin' else 1024
    return max(peaks) if peaks else unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def device_memory() -> int | None:
    """Bytes of memory of one device, or None if the backend does not report it (CPU)."""
    stats = jax.local_devices()[0].memory_stats()
    return stats.get('bytes_limit') if stats else None
