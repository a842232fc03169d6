"""The error of warped frames and that of pairs of clips, by hand."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax.evaluation.psnr import psnr
from gan_jax.evaluation.warp_error import warp_error
from gan_jax.flow import flow_of_maps, was_visible

ROWS = ['1000', '0100', '0010']
MAPS = np.array([[[[int(name) for name in row]] for row in ROWS]] * 2, np.uint8)[..., None]  # [2, 3, 1, 4, 1]


def flow(maps):
    told = jnp.eye(2)[jnp.round((maps[..., 0] + 1) * 127.5).astype(int)]
    return flow_of_maps(told), was_visible(told, flow_of_maps(told))


def test_only_changes_along_the_flow_count():
    real = np.where(MAPS, 200, 50).astype(np.uint8)
    still = np.full_like(real, 7)
    flicker = still.copy()
    flicker[1, 1] += 51  # one clip is brighter by a fifth of white in its second frame
    game = SimpleNamespace(flow=flow)
    assert warp_error(real, real, MAPS, game).value == pytest.approx(0, abs=1e-6)
    assert warp_error(real, still, MAPS, game).value == pytest.approx(0, abs=1e-6)
    found = warp_error(real, flicker, MAPS, game)
    assert found.value == pytest.approx((0 + 0.2) / 2)
    assert found.error == pytest.approx(np.std([0, 0.2], ddof=1) / 2**0.5)
    assert found.rule.endswith('the real clips have 0')
    jumping = np.where(np.roll(MAPS, 1, axis=3), 200, 50).astype(np.uint8)
    assert warp_error(real, jumping, MAPS, game).value > 0.1  # the shape of its own moves elsewhere


def test_pairs_of_clips_are_compared_over_all_frames():
    from gan_jax.evaluation.of_sets import clip_error_of

    rng = np.random.default_rng(0)
    real, fake = rng.integers(0, 255, (2, 5, 3, 4, 6, 3)).astype(np.uint8)
    found = clip_error_of(SimpleNamespace(pairs=(real, fake)))
    errors = (real.astype(float) - fake) / 255
    assert found['clip_l1'].value == pytest.approx(abs(errors).mean())
    by_hand = -10 * np.log10((errors**2).mean((1, 2, 3, 4)))
    assert found['clip_psnr'].value == pytest.approx(by_hand.mean())
    assert psnr(real[:, 0], fake[:, 0]).mean() != pytest.approx(by_hand.mean())
