"""Values of options: the sentence that each impossible one gets, from the layers and from both families."""

import jax
import jax.numpy as jnp
import pytest

from gan_jax.errors import UserError
from gan_jax.layers.choices import nearest
from gan_jax.layers.dropout import Dropout
from gan_jax.models import dcgan, mlp

SHAPE = (16, 16, 1)


def shapes(network, inputs):
    return jax.eval_shape(lambda: network.init(jax.random.key(0), jnp.zeros((2, *inputs)), train=False))


@pytest.mark.parametrize('player', ['generator', 'discriminator'])
@pytest.mark.parametrize(
    ('option', 'value'),
    [('width', 0), ('width', -4), ('max_width', 0), ('kernel_size', 0), ('kernel_size', -1), ('kernel_size', (3, 3))],
    ids=str,
)
def test_sizes_are_positive(player, option, value):
    network = dcgan.Generator(SHAPE, **{option: value})
    if player == 'discriminator':
        network = dcgan.Discriminator(**{option: value})
    with pytest.raises(UserError) as error:
        shapes(network, (10,) if player == 'generator' else SHAPE)
    assert str(error.value) == f'{player}.{option} is {value!r}; it must be a whole number of at least 1.'


@pytest.mark.parametrize('family', [dcgan, mlp])
@pytest.mark.parametrize('player', ['generator', 'discriminator'])
@pytest.mark.parametrize('widths', [64, (64, 0), (-1, 4), (64, 1.5), (64, 'a'), (True, 8), 'ab'], ids=str)
def test_widths_are_positive(family, player, widths):
    generates = player == 'generator'
    network = family.Generator(SHAPE, widths=widths) if generates else family.Discriminator(widths=widths)
    with pytest.raises(UserError) as error:
        shapes(network, (10,) if generates else SHAPE)
    assert str(error.value) == f'{player}.widths is {widths!r}; it must be a tuple of whole numbers of at least 1.'


@pytest.mark.parametrize('rate', [1.5, 1.0, -0.5])
@pytest.mark.parametrize('network', [Dropout, dcgan.Discriminator, mlp.Discriminator])
def test_dropout_leaves_something(network, rate):
    network = network(rate) if network is Dropout else network(dropout=rate)
    with pytest.raises(UserError) as error:
        shapes(network, SHAPE)
    assert str(error.value) == f'dropout is {rate}; it must be at least 0 and below 1.'


@pytest.mark.parametrize('momentum', [2.0, -0.1])
@pytest.mark.parametrize('family', [dcgan, mlp])
def test_momentum_is_a_share(family, momentum):
    for network, inputs in (
        (family.Generator(SHAPE, momentum=momentum), (10,)),
        (family.Discriminator(momentum=momentum), SHAPE),
    ):
        with pytest.raises(UserError) as error:
            shapes(network, inputs)
        assert str(error.value) == f'momentum is {momentum}; it must be between 0 and 1.'


@pytest.mark.parametrize(
    ('wanted', 'meant'),
    [
        ('lr', 'learning_rate'),
        ('g.lr', 'g.learning_rate'),
        ('LEARNING_RATE', 'learning_rate'),
        ('learn', 'learning_rate'),
        ('d.b', 'd.beta'),
        ('g.bta', 'g.beta'),
        ('lerning', 'learning_rate'),
        ('', 'b2'),
    ],
)
def test_the_nearest_name_is_first_one_that_is_abbreviated(wanted, meant):
    names = ['b2', 'beta', 'learning_rate', 'd.beta', 'g.beta', 'g.learning_rate']
    assert nearest(wanted, names) == meant
