"""The order of the examples: which example stands at which place of which batch, as a pure function.

The batches are cut from one endless stream: epoch 0 in a random order, then epoch 1 in another, and so on without a
gap, so that a batch may straddle two epochs or span several. There is no iterator and nothing to save: a run enters
the stream wherever it left it.
"""

import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_ROUNDS = 24  # a round leaves an example where it is with probability 1/2, so that one in 2^24 is never moved
_LIMIT = 2**27  # keeps every sum below inside 32 bits


def batch_indices(
    seed: Any, batch_number: Any, positions: Any, *, batch_size: int, num_examples: int
) -> np.ndarray | jax.Array:
    """The indices of the examples at the given positions of a batch.

    Position p of batch k is element e = k * batch_size + p of the stream; epoch e // num_examples visits every example
    exactly once, in an order of its own. Where an argument is a JAX array or a tracer the indices are computed on the
    device, else by NumPy on the host: by the same lines in uint32 arithmetic, and so to the same bits.

    Args:
      seed: an integer, of which the lowest 32 bits count, or a uint32 scalar, which may be traced.
      batch_number: the number k of the batch, at least 0: an integer, traced or not, or an array of them that
        broadcasts with `positions`.
      positions: integers in [0, batch_size), an array of any shape: the part of the batch that is wanted.
      batch_size: number of examples in the global batch, from 1 to 2^27.
      num_examples: number of examples in the data set, from 1 to 2^27.

    Returns:
      uint32 indices in [0, num_examples), in the shape of `batch_number` and `positions` broadcast.

    Raises:
      ValueError: if `batch_size` or `num_examples` is out of range.

    The limit is 2^32 batches or 2^32 epochs, whichever comes first; the number of elements itself has none.
    """
    for name, value in (('batch_size', batch_size), ('num_examples', num_examples)):
        if not 1 <= value <= _LIMIT:
            raise ValueError(f'{name} must be from 1 to 2^27, not {value}.')
    xp = jnp if any(isinstance(x, jax.Array) for x in (seed, batch_number, positions)) else np
    seed = seed % 2**32 if isinstance(seed, int) else seed
    seed, batch_number, positions = (_as_uint32(xp, x) for x in (seed, batch_number, positions))
    with np.errstate(over='ignore'):  # NumPy scalars would warn where they wrap around, which is meant
        epoch, offset = _divmod_product(batch_number, batch_size, num_examples)
        offset = offset + positions
        epoch, offset = epoch + offset // np.uint32(num_examples), offset % np.uint32(num_examples)
        return _permute(xp, _mix(_mix(seed) ^ epoch), offset, num_examples)


def poisson_sample(key: jax.Array, rate: float, *, num_examples: int, most: int) -> tuple[jax.Array, jax.Array]:
    """The indices of examples that are drawn independently of each other, each with the same probability.

    Args:
      key: the random key of the batch.
      rate: the probability, which is rounded to a multiple of 2^-32.
      num_examples: number of examples in the data set.
      most: the largest number of indices; of more drawn examples the last are left out.

    Returns:
      The indices int32 [most] in increasing order, then zeros; and bool [most], which of them are drawn.
    """
    limit = np.uint32(min(round(rate * 2**32), 2**32 - 1))
    drawn = jax.random.bits(key, (num_examples,), jnp.uint32) < limit
    (indices,) = jnp.nonzero(drawn, size=most, fill_value=0)
    return indices, jnp.arange(most) < drawn.sum()


def group_seed(seed: Any, group: str) -> np.ndarray | jax.Array:
    """The seed of the order of a group of data, uint32: another one for each seed and each name of a group.

    Args:
      seed: as in `batch_indices`, traced or not.
      group: the group's name.
    """
    xp = jnp if isinstance(seed, jax.Array) else np
    seed = seed % 2**32 if isinstance(seed, int) else seed
    with np.errstate(over='ignore'):
        return _mix(_mix(_as_uint32(xp, seed)) ^ np.uint32(zlib.crc32(group.encode())))


def _as_uint32(xp: Any, x: Any) -> Any:
    return x.astype(np.uint32) if isinstance(x, jax.Array) else xp.asarray(np.asarray(x).astype(np.uint32))


def _divmod_product(factor: Any, constant: int, divisor: int) -> tuple[Any, Any]:
    """divmod(factor * constant, divisor) though the product may need 64 bits: Horner's rule over hexadecimal digits."""
    constant_quotient, constant_remainder = (np.uint32(x) for x in divmod(constant, divisor))
    quotient = remainder = np.uint32(0)
    for shift in range(28, -1, -4):
        digit = (factor >> np.uint32(shift)) & np.uint32(15)
        remainder = remainder * np.uint32(16) + digit * constant_remainder
        quotient = quotient * np.uint32(16) + digit * constant_quotient + remainder // np.uint32(divisor)
        remainder = remainder % np.uint32(divisor)
    return quotient, remainder


def _permute(xp: Any, key: Any, index: Any, size: int) -> Any:
    """A pseudo-random permutation of range(size), evaluated at `index`; each key gives another one.

    This is the swap-or-not shuffle (Hoang, Morris and Rogaway, "An Enciphering Scheme Based on a Card Shuffle", CRYPTO
    2012, figure 1): in each round x and c - x (mod size), with c random, are partners, and a random bit of the pair
    decides whether the two change places. It works on a domain of any size. A Feistel network would need one of 4^n
    and a loop to walk back into `range(size)`, whose length depends on the data and which an accelerator waits for.
    """
    if size == 1:  # jaxlib 0.10 and 0.11 fail to compile the rounds modulo 1 for the CPU
        return index
    size = np.uint32(size)
    for _ in range(_ROUNDS):
        key = _mix(key + np.uint32(0x9E3779B9))
        centre = key % size
        partner = xp.where(index <= centre, centre - index, centre + size - index)
        swap = _mix(xp.maximum(index, partner) ^ key) >> np.uint32(31)
        index = xp.where(swap == np.uint32(1), partner, index)
    return index


def _mix(x: Any) -> Any:
    """The finaliser of MurmurHash3 (A. Appleby, public domain): every input bit affects every output bit."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))
