"""Styles of both StyleGANs: mixing, their average, noise by place, and their two halves."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.models import stylegan, stylegan2
from gan_jax.networks import from_flax
from tests import compiled

OPTIONS = {'width': 32, 'max_width': 4, 'w_size': 6, 'depth': 1}
families = pytest.mark.parametrize('family', [stylegan, stylegan2], ids=['stylegan', 'stylegan2'])


def strong(variables):
    """The variables with ones as strengths of the noise."""

    def changed(path, leaf):
        return jnp.ones_like(leaf) if path[-1].key == 'strength' else leaf

    return dict(variables) | {'params': jax.tree_util.tree_map_with_path(changed, variables['params'])}


@families
def test_mixing_gives_the_layers_behind_a_place_the_styles_of_other_latents(family):
    module = family.Generator((16, 16, 1), mixing=1.0, **OPTIONS)
    latents = jax.random.normal(jax.random.key(0), (5, 3))
    variables = compiled.init(module, jax.random.key(1), latents, train=False)
    apply = jax.jit(lambda key: module.apply(variables, latents, train=True, method='styles', rngs=key))
    plain = compiled.apply(module, variables, latents, train=False, method='styles')
    found = set()
    for i in range(12):
        same = np.isclose(apply(jax.random.key(i)), plain, atol=1e-6).all(-1)
        first = int(same[0].sum())
        np.testing.assert_array_equal(same, np.broadcast_to(np.arange(6) < first, (5, 6)))  # one place for a batch
        found.add(first)
    assert found <= set(range(1, 6))
    assert len(found) >= 3


@families
def test_noise_starts_without_effect_and_belongs_to_places(family):
    module = family.Generator((8, 8, 1), mixing=0.0, **OPTIONS)
    latents = jnp.ones((3, 4))
    variables = compiled.init(module, jax.random.key(1), latents, train=False)
    make = functools.partial(compiled.apply, module, train=True, method='synthesize')
    ws = compiled.apply(module, variables, latents, train=False, method='styles')
    sampled = compiled.apply(module, variables, ws, train=False, method='synthesize')
    np.testing.assert_allclose(make(variables, ws, rngs=jax.random.key(0)), sampled, atol=1e-6)
    noisy = make(strong(variables), ws, rngs=jax.random.key(0))
    assert np.abs(noisy[0] - noisy[1]).max() > 1e-2
    np.testing.assert_allclose(make(strong(variables), ws[:2], rngs=jax.random.key(0)), noisy[:2], atol=1e-6)


@families
def test_eight_devices_mix_average_and_draw_the_noise_of_one(family):
    latents = jax.random.normal(jax.random.key(0), (8, 4))
    variables = strong(compiled.init(family.Generator((8, 8, 1), **OPTIONS), jax.random.key(1), latents, train=False))

    def make(axis_name, latents):
        module = family.Generator((8, 8, 1), mixing=1.0, axis_name=axis_name, **OPTIONS)
        return module.apply(variables, latents, train=True, mutable=['styles'], rngs=jax.random.key(2))

    whole, after = jax.jit(functools.partial(make, None))(latents)
    parts, averages = jax.pmap(functools.partial(make, 'devices'), axis_name='devices')(latents[:, None])
    np.testing.assert_allclose(parts[:, 0], whole, atol=1e-5)
    np.testing.assert_allclose(averages['styles']['average'][3], after['styles']['average'], atol=1e-7)


@families
def test_styles_and_what_is_made_of_them_are_a_pass_in_training_mode(family):
    network = from_flax(family.Generator((8, 8, 1), **OPTIONS), (4,))
    latents, key = jnp.ones((3, 4)), jax.random.key(5)
    params, variables = jax.jit(network.init)(jax.random.key(1))
    styles = jax.jit(network.styles, static_argnums=4)(params, variables, latents, key, True)
    assert styles.shape == (3, 4, 6)
    images = jax.jit(network.synthesize, static_argnums=4)(params, variables, styles, key, True)
    whole, _ = jax.jit(network.apply, static_argnums=4)(params, variables, latents, key, True)
    np.testing.assert_allclose(images, whole, atol=1e-6)


@families
def test_a_conditional_mapping_tells_classes_apart(family):
    module = family.Generator((8, 8, 1), num_classes=3, conditioning='concatenate', **OPTIONS)
    latents, labels = jnp.ones((3, 4)), jnp.arange(3)
    variables = compiled.init(module, jax.random.key(1), latents, labels, train=False)
    styles = compiled.apply(module, variables, latents, labels, train=False, method='styles')[:, 0]
    assert np.abs(styles - styles[::-1])[[0, 2]].max() > 1e-2
    again = compiled.apply(module, variables, latents, jax.nn.one_hot(labels, 3), train=False, method='styles')[:, 0]
    np.testing.assert_allclose(again, styles, atol=1e-6)
