"""Networks of nnx modules beside the modules themselves."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from gan_jax import losses, steps
from gan_jax.adversarial import adversarial
from gan_jax.errors import UserError
from gan_jax.nnx_networks import from_nnx

INPUTS = jax.random.normal(jax.random.key(1), (6, 2))


class Network(nnx.Module):
    """Layers in a list, batch statistics and two random streams."""

    def __init__(self, features: int, rngs: nnx.Rngs):
        self.layers = nnx.List([nnx.Linear(2, 8, rngs=rngs), nnx.Linear(8, features, rngs=rngs)])
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.dropouts = nnx.List([nnx.Dropout(0.5, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)])

    def __call__(self, inputs: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        hidden = nnx.relu(self.norm(self.layers[0](inputs)))
        for dropout in self.dropouts:
            hidden = dropout(hidden)
        outputs = self.layers[1](hidden).squeeze()
        return outputs if condition is None else outputs + condition


@pytest.fixture(scope='module')
def network():
    return from_nnx(lambda rngs: Network(1, rngs))


def test_it_is_the_module_in_evaluation_and_in_training_mode(network):
    module = Network(1, nnx.Rngs(jax.random.key(0)))
    params, variables = network.init(jax.random.key(0))
    assert sorted(params) == [f'{name}/{kind}' for name in ('layers/0', 'layers/1') for kind in ('bias', 'kernel')] + [
        'norm/bias',
        'norm/scale',
    ]
    assert sorted(variables) == ['norm/mean', 'norm/var']
    outputs, unchanged = network.apply(params, variables, INPUTS, None, False)
    module.eval()
    np.testing.assert_array_equal(outputs, module(INPUTS))
    assert unchanged is variables
    _, updated = network.apply(params, variables, INPUTS, jax.random.key(2), True)
    module.train()
    module(INPUTS)
    np.testing.assert_array_equal(updated['norm/mean'], module.norm.mean.get_value())
    np.testing.assert_array_equal(updated['norm/var'], module.norm.var.get_value())
    shifted, _ = network.apply(params, variables, INPUTS, None, False, jnp.float32(3.0))
    np.testing.assert_allclose(shifted, outputs + 3.0, rtol=1e-6)


def test_its_noise_depends_on_the_key_alone(network):
    params, variables = network.init(jax.random.key(0))
    params = {**params, 'layers/0/kernel': jnp.zeros((2, 8)), 'norm/bias': jnp.ones(8)}  # the noise is all there is
    first, again, other = (network.apply(params, variables, INPUTS, jax.random.key(i), True)[0] for i in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_two_streams_of_a_module_are_two():
    def make(rngs: nnx.Rngs) -> nnx.Module:
        class Noise(nnx.Module):
            def __init__(self):
                self.streams = nnx.List([rngs.default.fork(), rngs.default.fork()])

            def __call__(self, inputs):
                return jnp.stack([jax.random.normal(stream(), inputs.shape) for stream in self.streams])

        return Noise()

    first, second = from_nnx(make).apply({}, {}, INPUTS, jax.random.key(0), True)[0]
    assert (first != second).all()


def test_it_plays(network):
    game = adversarial(from_nnx(lambda rngs: Network(2, rngs)), network, losses.non_saturating(), latents=2)
    optimizers = {name: optax.adam(1e-2) for name in ('generator', 'discriminator')}
    state = jax.jit(lambda key: steps.init_state(game, optimizers, key, ema=True))(jax.random.key(0))
    step = jax.jit(steps.make_train_step(game, optimizers, ema_decay=lambda step: 0.9))
    before = state
    for _ in range(2):
        state, metrics = step(state, {'real': INPUTS})
    assert np.isfinite(metrics['generator/loss'])
    for name, player in state.players.items():
        moved = jax.tree.map(lambda old, new: bool((old != new).any()), before.players[name][:2], player[:2])
        assert all(jax.tree.leaves(moved)), name
    assert game.sample(*state.generator.weights, jnp.zeros((3, 2))).shape == (3, 2)


@pytest.mark.parametrize(
    ('wrong', 'sentence'),
    [
        (nnx.Linear(2, 2, rngs=nnx.Rngs(0)), 'not a module'),
        ('mlp', 'not a str'),
        (lambda rngs: rngs.params(), 'must return an nnx.Module'),
    ],
)
def test_what_is_no_function_of_rngs(wrong, sentence):
    with pytest.raises(UserError, match=sentence):
        from_nnx(wrong)
