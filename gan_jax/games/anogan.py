"""f-AnoGAN: an encoder is trained for a generator and a discriminator that no longer change."""

from collections.abc import Callable, Mapping
from typing import Annotated

import jax.numpy as jnp

from gan_jax.anomaly import Anomaly
from gan_jax.encoding import Encoding, encoding
from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, GanState, Key, Outcome, PyTree, Turn, as_latents, stream
from gan_jax.judgement import judgement
from gan_jax.layers.choices import require_not_negative
from gan_jax.layers.networks import flatten
from gan_jax.networks import Network, init_networks
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT

ROLES = ('generator', 'discriminator', 'encoder')


def anogan(
    generator: Network,
    discriminator: Network,
    encoder: Network,
    latents: Callable[[Key, Array], Array] | int,
    *,
    kappa: float = 1.0,
) -> Game:
    """The second phase of f-AnoGAN: the encoder learns to invert the generator on real images.

    Schlegl et al. 2019, "f-AnoGAN: Fast Unsupervised Anomaly Detection with Generative Adversarial Networks", the
    training called izi_f. With the reconstruction G(E(x)) of an image x and features f of the discriminator, the
    encoder minimises mean (x - G(E(x)))^2 + kappa mean (f(x) - f(G(E(x))))^2, and the same sum is the anomaly score of
    an image. The features are the discriminator's last. Generator and discriminator are in evaluation mode and never
    move: train them before, as a phase with the game `adversarial`.

    Args:
        generator: latents [B, n] -> images [B, ...].
        discriminator: images [B, ...] -> a `Judgement` with features.
        encoder: images [B, ...] -> codes [B, n] or an `Encoding`.
        latents: how latents of samples are drawn, or the size of a standard normal latent vector.
        kappa: weight of the features.

    Returns:
        A game of the players 'generator', 'discriminator' and 'encoder', of which only the encoder moves, over batches
        `{'real': [B, ...]}`. Its metrics have both means, `image_residual` and `feature_residual`.

    Raises:
        UserError: kappa is negative; when a step is traced, the discriminator has no features.
    """
    require_not_negative('kappa', kappa)

    def features(networks: Mapping[str, tuple[PyTree, PyTree]], images: Array) -> Array:
        judged = judgement(discriminator.apply(*networks['discriminator'], images, None, False)[0])
        if not judged.features:
            raise UserError('f-AnoGAN compares features, and this discriminator returns none: choose another family.')
        return list(judged.features.values())[-1].astype(jnp.float32)

    def compare(networks: Mapping[str, tuple[PyTree, PyTree]], images: Array, codes: Array) -> Anomaly:
        again, _ = generator.apply(*networks['generator'], codes, None, False)
        image = flatten(jnp.square(images - again)).mean(-1)
        feature = flatten(jnp.square(features(networks, images) - features(networks, again))).mean(-1)
        return Anomaly(again, image, feature, image + kappa * feature)

    def init(key: Key) -> dict[str, tuple[PyTree, PyTree]]:
        return init_networks({'generator': generator, 'discriminator': discriminator, 'encoder': encoder}, key)

    def loss(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array) -> tuple[Array, Outcome]:
        del positions
        images, before = batch['real'], state.players['encoder'].variables
        made, variables = encoder.apply(params, before, images, stream(key, 'encoder'), True)
        networks = {name: player[:2] for name, player in state.players.items()}
        found = compare(networks, images, encoding(made).codes)
        metrics = {'image_residual': found.image.mean(), 'feature_residual': found.feature.mean()}
        return found.score.mean(), Outcome(variables, metrics)

    def sample(params: PyTree, variables: PyTree, latents: Array, condition: Array | None = None) -> Array:
        del condition
        return generator.apply(params, variables, latents, None, False)[0]

    def encode(params: PyTree, variables: PyTree, images: Array) -> Encoding:
        return encoding(encoder.apply(params, variables, images, None, False)[0])

    def score(networks: Mapping[str, tuple[PyTree, PyTree]], images: Array) -> Anomaly:
        return compare(networks, images, encode(*networks['encoder'], images).codes)

    draw = as_latents(latents)
    return Game(init, (Turn('encoder', loss),), sample, draw, averaged=('encoder',), encode=encode, score=score)


def from_config(kappa: Annotated[float, AMOUNT] = 1.0, *, parts: Parts) -> Game:
    """The game of a config, over batches {'real'}.

    Args:
        kappa: weight of the discriminator's features in the encoder's loss and in the anomaly score.
        parts: parts of the game.

    Raises:
        UserError: an option has no effect.
    """
    parts.refuse_steps()
    shape, codes = parts.shape('real'), (parts.config.latents.size,)
    return anogan(
        parts.network('generator', codes, shape),
        parts.network('discriminator', shape, shape),
        parts.network('encoder', shape, codes),
        parts.latents,
        kappa=kappa,
    )
