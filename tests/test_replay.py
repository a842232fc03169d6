"""The replay buffer: what is shown, what is kept, and that it is part of the state."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec as P

from gan_jax import losses, steps
from gan_jax.adversarial import adversarial
from gan_jax.errors import UserError
from gan_jax.game import Pair
from gan_jax.networks import pure
from gan_jax.replay import Replay, exchange, start_replay
from gan_jax.runtime import snapshot
from tests import compiled

CLASSES = jax.ShapeDtypeStruct((), jnp.int32)


def numbered(first, count):
    """Examples [count, 2] and conditions that say which is which."""
    numbers = first + jnp.arange(count)
    return jnp.stack([numbers, -numbers], axis=1).astype(jnp.float32), numbers


def full_buffer(size):
    examples, conditions = numbered(1000, size)
    return Replay(examples, conditions, jnp.ones(size, bool))


def test_an_empty_buffer_takes_the_new_examples_and_shows_them():
    examples, conditions = numbered(1, 6)
    shown, shown_conditions, buffer = exchange(start_replay(10, (2,), CLASSES), examples, conditions, jax.random.key(0))
    assert np.array_equal(shown, examples)
    assert np.array_equal(shown_conditions, conditions)
    assert buffer.filled.sum() == 6
    assert set(np.asarray(buffer.conditions[buffer.filled])) == set(range(1, 7))
    assert np.array_equal(buffer.examples[:, 0], buffer.conditions)


def test_a_full_buffer_shows_about_half_of_itself_and_keeps_the_new_in_their_place():
    examples, conditions = numbered(1, 600)
    before = full_buffer(1000)
    shown, shown_conditions, after = jax.jit(exchange)(before, examples, conditions, jax.random.key(1))
    old = shown_conditions >= 1000
    assert 250 < old.sum() < 350  # 300, deviation 12
    assert np.array_equal(shown[:, 0], shown_conditions)  # each with its condition
    assert np.array_equal(shown_conditions[~old], conditions[~old])
    # What is shown from the buffer has left it for the new example that it was exchanged with.
    assert set(np.asarray(after.conditions)) == (
        set(np.asarray(before.conditions)) - set(np.asarray(shown_conditions[old])) | set(np.asarray(conditions[old]))
    )
    assert len(set(np.asarray(shown_conditions))) == 600
    assert after.filled.all()


def test_gradients_flow_to_the_new_examples_that_are_shown_and_to_no_others():
    examples, conditions = numbered(1, 8)

    def total(examples):
        shown, labels, buffer = exchange(full_buffer(8), examples, conditions, jax.random.key(2))
        return 2 * shown.sum() + buffer.examples.sum(), labels

    gradient, labels = jax.grad(total, has_aux=True)(examples)
    new = np.asarray(labels) < 1000
    assert 0 < new.sum() < 8
    assert np.array_equal(gradient, np.where(new[:, None], 2.0, 0.0) * np.ones((8, 2)))


def test_eight_devices_exchange_what_one_would_have():
    examples, conditions = numbered(1, 16)
    whole = exchange(full_buffer(24), examples, conditions, jax.random.key(3))
    shared = jax.shard_map(
        lambda *arguments: exchange(*arguments, axis_name='devices'),
        mesh=jax.sharding.Mesh(np.array(jax.devices()), ('devices',)),
        in_specs=(P(), P('devices'), P('devices'), P()),
        out_specs=(P('devices'), P('devices'), P()),
        check_vma=False,
    )
    parts = jax.jit(shared)(full_buffer(24), examples, conditions, jax.random.key(3))
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True))


def test_without_conditions_there_are_none():
    examples, _ = numbered(1, 4)
    shown, conditions, buffer = exchange(start_replay(4, (2,), None), examples, None, jax.random.key(0))
    assert np.array_equal(shown, examples)
    assert conditions is None
    assert buffer.conditions is None


def test_several_images_of_an_example_are_refused():
    with pytest.raises(
        UserError, match=r'stores one image per example, .* during training: set replay=0, or generator\.stages=1'
    ):
        exchange(start_replay(4, (8, 8, 1), None), jnp.zeros((2, 4, 8, 8, 1)), None, jax.random.key(0))


def test_a_buffer_smaller_than_a_batch_is_refused():
    examples, _ = numbered(1, 6)
    with pytest.raises(UserError, match='replay=4 is too small: the buffer must hold at least a batch of 6 examples'):
        exchange(start_replay(4, (2,), None), examples, None, jax.random.key(0))


def test_the_discriminator_is_shown_earlier_fakes_and_a_resumed_run_has_them_too():
    seen = []

    def discriminate(w, x):
        jax.debug.callback(lambda x: seen.append(np.asarray(x)), x, ordered=True)
        return x @ w

    # The k-th generator makes the number of its step, because its gradient is always -1.
    game = adversarial(
        pure(lambda key: jnp.zeros(()), lambda count, z: count + jnp.zeros((len(z), 1))),
        pure(lambda key: jnp.ones(1), discriminate),
        losses.wasserstein(),
        1,
        replay=16,
    )
    optimizers = Pair(optax.sgd(1.0), optax.set_to_zero())._asdict()
    step = jax.jit(steps.make_train_step(game, optimizers))
    state, batch, states = compiled.init_state(game, optimizers, jax.random.key(0)), {'real': jnp.zeros((8, 1))}, []
    for _ in range(5):
        state, _ = step(state, batch)
        states.append(state)
    jax.effects_barrier()
    *_, shown_fake, from_generator = seen  # of the last step
    assert np.array_equal(from_generator, np.full((8, 1), 4.0))
    assert 4.0 in shown_fake
    assert (shown_fake < 4.0).any()

    resumed = snapshot.unpack(states[2], *snapshot.pack(states[2]))
    for _ in range(2):
        resumed, _ = step(resumed, batch)
    assert np.array_equal(resumed.memory['replay'].examples, state.memory['replay'].examples)
    assert np.array_equal(resumed.generator.params, state.generator.params)
