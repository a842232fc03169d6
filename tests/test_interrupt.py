"""The first signal is noted, the second one acts."""

import os
import signal
import time

import pytest

from gan_jax.runtime.interrupt import StopSignals


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted_and_the_handlers_are_put_back(number):
    before = signal.getsignal(number)
    with StopSignals(lambda: 'after step 20') as signals:
        assert signals.received is None
        os.kill(os.getpid(), number)
        assert signals.received == number
        assert signal.getsignal(number) is before
    assert signal.getsignal(number) is before


def test_the_first_signal_is_answered_at_once(capsys):
    with StopSignals(lambda: 'after step 20, in about 3 s') as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + 5
        while not (answer := capsys.readouterr().err) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert answer == (
        'gan_jax: received SIGTERM: the run stops after step 20, in about 3 s and is saved; a second signal '
        'ends it without saving.\n'
    )
    assert signals.received == signal.SIGTERM


def test_a_second_ctrl_c_interrupts_at_once(request):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in a shell's background ignore it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with StopSignals(lambda: 'soon'):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
