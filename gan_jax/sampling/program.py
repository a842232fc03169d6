"""A run's generator as a program that JAX loads without this package, and its weights by name."""

from typing import Any

import jax
import numpy as np
from jax import export

from gan_jax.errors import UserError
from gan_jax.layers.platforms import traced_for
from gan_jax.sampling.latents import require_psi
from gan_jax.sampling.trained import TrainedRun

PLATFORMS = ('cpu', 'cuda', 'tpu')


def named_weights(run: TrainedRun) -> dict[str, np.ndarray]:
    """The weights that a run samples with (the averages, if it has some) by name, such as 'params/Dense_0/kernel'.

    Variables, such as the statistics of batch normalisation, have names like 'variables/batch_stats/BatchNorm_0/mean'.

    Raises:
        UserError: a weight is NaN or infinite.
    """
    named = {name: np.asarray(leaf) for name, leaf in _named(run)}
    for name, array in named.items():
        if not np.isfinite(array).all():
            raise UserError(
                f'The generator has diverged: {name} is NaN or infinite at step {run.step}; choose an earlier '
                'checkpoint by --step.'
            )
    return named


def make_program(run: TrainedRun, psi: float = 1.0) -> export.Exported:
    """The generator in evaluation mode as StableHLO, for CPUs, CUDA and TPUs and for any batch size.

    Args:
        run: the run, with the statistics, the noise and the truncated styles that the program should have.
        psi: a factor of the latents; see `gan_jax.sampling.trained.TrainedRun.truncated`.

    Returns:
        The program (weights by name, *inputs) -> float32 [b, ...], images in [-1, 1] or points. `inputs_of` describes
        the inputs.

    Raises:
        UserError: psi is not from -1 to 1, or the generator needs the number of examples in a batch.
    """
    require_psi(psi)
    names, leaves = zip(*_named(run), strict=True)
    structure = jax.tree.structure(run.weights)

    def sample(weights: dict[str, jax.Array], latents: jax.Array, *condition: jax.Array) -> jax.Array:
        params, variables = jax.tree.unflatten(structure, [weights[name] for name in names])
        return run.game.sample(params, variables, latents if psi == 1 else psi * latents, *condition)

    weights = {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in zip(names, leaves, strict=True)}
    try:
        with traced_for(None):
            return export.export(jax.jit(sample), platforms=PLATFORMS)(weights, *inputs_of(run).values())
    except (TypeError, jax.errors.InconclusiveDimensionOperation) as error:
        raise UserError(
            f'The generator of {run.config.model} cannot be exported for any batch size: write x.shape[0] instead of '
            f'len(x) in its code ({" ".join(str(error).split())}).'
        ) from error


def inputs_of(run: TrainedRun) -> dict[str, jax.ShapeDtypeStruct]:
    """The inputs of the program beside the weights, by name: 'latents' [b, ...] and in some games a condition.

    The condition is 'labels', int32 classes [b], or 'images', float32 images to translate [b, H, W, C] in [-1, 1] (or
    clips), or 'captions', int32 numbers of words [b, length], or float32 embeddings of captions [b, n].
    """
    (batch,) = export.symbolic_shape('b')
    latent = jax.eval_shape(run.game.latents, jax.random.key(0), np.arange(1))
    inputs = {'latents': jax.ShapeDtypeStruct((batch, *latent.shape[1:]), latent.dtype)}
    if run.is_conditional:
        inputs['labels'] = jax.ShapeDtypeStruct((batch,), np.int32)
    elif run.game.translates:
        shape, has_words = run.shapes[run.game.given], run.game.captions is not None
        name, dtype = 'captions' if len(shape) == 1 else 'images', np.int32 if has_words else np.float32
        inputs[name] = jax.ShapeDtypeStruct((batch, *shape), dtype)
    return inputs


def _named(run: TrainedRun) -> list[tuple[str, Any]]:
    """The weights with their names, in the order of their tree."""
    params, variables = run.weights
    trees = {'params': params, 'variables': variables}
    return [
        ('/'.join(filter(None, (kind, jax.tree_util.keystr(path, simple=True, separator='/')))), leaf)
        for kind, tree in trees.items()
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    ]
