"""The recipes of `tools.benchmark` in PyTorch, as the peers to measure against.

The networks and `training` are written as a good PyTorch user would write them. `tests/test_benchmark.py` shows that,
with the weights that `weights` carries over, their losses and gradients are those of gan_jax.
"""
