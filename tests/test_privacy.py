"""What a private training promises and has spent, against the library, and what makes no promise."""

import math
import sys

import dp_accounting
import numpy as np
import pytest
from dp_accounting import pld, rdp
from scipy import stats

from gan_jax.errors import UserError
from gan_jax.pages.run_page import _privacy
from gan_jax.privacy import Privacy

MNIST = Privacy(60_000, 512, 0.5, rounds=400, moves=5, delta=1e-5, noise=1.1)


@pytest.mark.parametrize(('name', 'make'), [('pld', pld.PLDAccountant), ('rdp', rdp.RdpAccountant)])
def test_epsilon_is_the_librarys_for_the_true_steps_and_rate(name, make):
    promise = MNIST._replace(accountant=name)
    for rounds in (7, 400):
        accountant = make()
        noisy = dp_accounting.PoissonSampledDpEvent(promise.rate, dp_accounting.GaussianDpEvent(1.1))
        accountant.compose(noisy, 5 * rounds)
        epsilon, delta = promise.spent(rounds)
        assert epsilon == pytest.approx(accountant.get_epsilon(1e-5), rel=1e-9)
        assert delta == pytest.approx(1e-5, rel=1e-6)  # batches of 512 overflow never, in effect
    assert promise.rate == pytest.approx(256 / 60_000, rel=1e-6)
    assert promise.rate * 2**32 % 1 == 0
    assert promise.spent(0)[0] == 0


def test_loss_distributions_give_a_smaller_epsilon_than_moments():
    by_moments, by_distributions = (MNIST._replace(accountant=name).spent(400)[0] for name in ('rdp', 'pld'))
    assert 0.8 * by_moments < by_distributions < by_moments


def test_noise_is_found_for_an_epsilon():
    asked = MNIST._replace(noise=0.0, epsilon=2.0, accountant='rdp')
    epsilon, _ = asked.spent(400)
    assert 1.98 < epsilon <= 2
    given = asked._replace(epsilon=0.0, noise=asked.noise_multiplier)
    assert given.spent(400) == asked.spent(400)
    statement = asked.statement()
    assert statement['steps'] == 2000
    assert statement['epsilon'] == epsilon
    assert statement['noise_multiplier'] == given.noise
    assert f'epsilon {epsilon:.4g} at delta 1e-05 after all 2,000 steps' in _privacy(statement)


def test_batches_that_overflow_add_to_delta():
    narrow = MNIST._replace(batch_size=350, filling=256 / 350, accountant='rdp')
    epsilon, delta = narrow.spent(400)
    assert epsilon == MNIST._replace(accountant='rdp').spent(400)[0]
    tau = 2000 * stats.binom.sf(350, 60_000, narrow.rate)
    assert delta == pytest.approx(1e-5 + (1 + math.exp(epsilon)) * tau)
    with pytest.warns(UserWarning, match=r'delta is .* instead of 1e-05, because batches overflow'):
        narrow.statement()


def test_without_noise_there_is_no_privacy():
    open_ = MNIST._replace(noise=0.0)
    assert open_.spent(1)[0] == np.inf
    assert open_.statement()['epsilon'] is None
    assert _privacy(open_.statement()) == 'none: the gradients have no noise'
    assert not open_.is_private


@pytest.mark.parametrize(
    ('changes', 'sentence'),
    [
        ({'noise': 0.0, 'epsilon': 1.0, 'delta': 0.0}, r'game\.epsilon needs a game\.delta above 0'),
        ({'delta': 0.0}, r'game\.noise needs a game\.delta above 0'),
        ({'epsilon': 1.0}, r'game\.epsilon=1\.0 determines the noise'),
        ({'accountant': 'moments'}, "There is no accountant 'moments'"),
    ],
)
def test_numbers_that_make_no_promise_are_refused(changes, sentence):
    MNIST.check()
    with pytest.raises(UserError, match=sentence):
        MNIST._replace(**changes).check()


def test_the_library_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, 'dp_accounting', None)
    with pytest.raises(UserError, match=r"not installed: pip install 'gan_jax\[privacy\]'"):
        MNIST._replace(noise=1.2345).spent(3)


def test_the_rate_needs_the_number_of_examples():
    with pytest.raises(UserError, match=r'set data\.examples'):
        _ = MNIST._replace(examples=None).rate
