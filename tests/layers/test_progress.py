"""The share of the training that is done, as layers see it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_jax import losses
from gan_jax.adversarial import adversarial
from gan_jax.game import normal_latents
from gan_jax.layers.progress import training_share, with_share
from gan_jax.networks import from_flax
from gan_jax.steps import make_train_step
from tests import compiled


class Fading(nn.Module):
    """Points that go from zeros to ones with the training, whatever the latents are."""

    @nn.compact
    def __call__(self, latents, *, train):
        del train
        weight = self.param('weight', nn.initializers.zeros, ())
        return jnp.zeros((len(latents), 2)) + training_share(self) + weight * latents[:, :2]


class Linear(nn.Module):
    """Logits of points."""

    @nn.compact
    def __call__(self, points, *, train):
        del train
        return nn.Dense(1)(points)[:, 0]


def game_of():
    return adversarial(from_flax(Fading(), (2,)), from_flax(Linear(), (2,)), losses.non_saturating(), normal_latents(2))


def test_a_network_sees_the_share_of_the_training_and_keeps_it_for_samples():
    game = game_of()
    optimizers = dict.fromkeys(('generator', 'discriminator'), optax.sgd(0.0))
    state = compiled.init_state(game, optimizers, jax.random.key(0), ema=True)
    assert float(state.generator.variables['progress']['share']) == 0
    step = jax.jit(
        make_train_step(game, optimizers, ema_decay=lambda step: jnp.float32(0.9), progress=lambda step: step / 4)
    )
    for number in range(4):
        state, _ = step(state, {'real': jnp.ones((8, 2))})
        for params, variables in ((state.generator.params, state.generator.variables), state.generator.ema):
            samples = game.sample(params, variables, game.latents(jax.random.key(1), jnp.arange(3)))
            np.testing.assert_allclose(samples, number / 4)  # the average of variables does not lag behind


def test_without_progress_nothing_changes():
    game = game_of()
    optimizers = dict.fromkeys(('generator', 'discriminator'), optax.sgd(0.0))
    state = compiled.init_state(game, optimizers, jax.random.key(0))
    state, _ = make_train_step(game, optimizers)(state, {'real': jnp.ones((8, 2))})
    assert float(state.generator.variables['progress']['share']) == 0


def test_the_share_is_set_wherever_the_collection_is():
    variables = {'a': {'progress': {'share': jnp.zeros(3)}, 'batch_stats': {'mean': jnp.zeros(2)}}, 'b': {}}
    told = with_share(variables, jnp.float32(0.5))
    np.testing.assert_array_equal(told['a']['progress']['share'], np.full(3, 0.5))
    np.testing.assert_array_equal(told['a']['batch_stats']['mean'], np.zeros(2))
