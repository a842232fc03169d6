"""Optimisers: the sentence that each impossible option gets."""

import pytest

from gan_jax.errors import UserError
from gan_jax.optim import OPTIMIZERS


@pytest.mark.parametrize(
    ('name', 'option', 'value', 'wanted'),
    [
        *(
            (name, 'learning_rate', value, 'at least 0 and finite')
            for name in OPTIMIZERS
            for value in (-1.0, float('inf'))
        ),
        *((name, 'eps', value, 'above 0 and finite') for name in ('adam', 'rmsprop') for value in (-1e-8, 0.0)),
        *(
            (name, option, value, 'at least 0 and below 1')
            for name, option in (('adam', 'b1'), ('adam', 'b2'), ('rmsprop', 'decay'), ('sgd', 'momentum'))
            for value in (2.0, 1.0, -0.5)
        ),
    ],
)
def test_an_impossible_option_gets_one_sentence(name, option, value, wanted):
    with pytest.raises(UserError) as error:
        OPTIMIZERS[name](**{option: value})
    assert str(error.value) == f"An optimiser's {option} is {value!r}; it must be {wanted}."


@pytest.mark.parametrize('name', OPTIMIZERS)
def test_a_learning_rate_of_0_is_a_player_that_stands_still(name):
    optimizer = OPTIMIZERS[name](learning_rate=0.0)
    updates, _ = optimizer.update(2.0, optimizer.init(1.0))
    assert updates == 0.0
