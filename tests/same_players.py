"""Whether two trained states have the same players, up to the order of additions."""

import jax
import numpy as np


def assert_close(one, other):
    for player in ('generator', 'discriminator'):
        leaves = jax.tree.leaves_with_path(getattr(one, player))
        for (path, x), y in zip(leaves, jax.tree.leaves(getattr(other, player)), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5, err_msg=jax.tree_util.keystr(path))
