"""Common parts of games of captions: sentences of others, codes, pictures, and the phase in which a reader learns."""

from collections.abc import Callable
from typing import Any

import jax

from gan_jax.adversarial import adversarial, refuse_augmentation
from gan_jax.encoding import kullback_leibler
from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, Game, GanState, Key, Outcome, Pair, PyTree, Turn, normal_latents, stream
from gan_jax.layers.choices import require, require_not_negative
from gan_jax.layers.text import Matcher
from gan_jax.losses import Loss
from gan_jax.networks import Network
from gan_jax.parts import Parts
from gan_jax.readers import Reader, Text, of_embeddings, of_words
from gan_jax.terms import NO_TERMS, View, joined, one_term
from gan_jax.translators import of_generator, over_batches, over_scales, renamed


def _whole(text: Text) -> Text:
    return text


def of_captions(
    generator: Network,
    discriminator: Network,
    loss: Loss,
    reader: Reader,
    latents: int,
    *,
    captions: tuple[int, ...],
    moments: Callable[[PyTree, Array], Array],
    kinds: int,
    scales: int = 1,
    to_condition: Callable[[Text], PyTree] = _whole,
    stages: Callable[..., dict[str, Array]] = lambda *_: {},
    divergence: float,
    terms: Pair = NO_TERMS,
    **options: Any,
) -> Game:
    """The game of images and captions of Zhang et al. 2017 ("StackGAN", sections 3.2 to 3.4), at one or more sizes.

    The discriminator tells real images with their sentences from generated images, and from real images with the
    sentences of other images. As in the authors' code its loss at one size is the mean over its logits of that of the
    real images, plus the mean of those of all kinds that should be refused; the generator's is the sum over the logits.
    Losses are added over the sizes.

    Args:
        generator: latents [B, latents] and the condition -> images, as `gan_jax.adversarial.adversarial` takes them.
        discriminator: images and the condition -> a `Judgement` with logits [B, scales kinds], ordered by size, and a
            feature 'wrong' [B, scales]. Only the first logit of each size sees the sentence; 'wrong' are these logits
            with the sentence of another image.
        loss: the loss of each player, with a part for real and one for generated examples.
        reader: what reads captions; its parameters do not move.
        latents: size of the standard normal latents.
        captions: shape of one caption.
        moments: (the generator's parameters, condition) -> [B, 2, n], the means and logarithms of variances of the
            codes that it draws.
        kinds: number of logits at one size: 1, or 2 with one that does not see the sentence.
        scales: number of sizes.
        to_condition: a text that was read -> the condition of both networks.
        stages: (the generator's parameters, variables, latents, condition) -> other images of the generator by name,
            which are shown.
        divergence: weight of the Kullback-Leibler divergence of the codes' distribution from the normal one, a mean
            over all of them (equation 2).
        terms: added to each player's loss; see `gan_jax.terms`. They see the same condition.
        **options: options of `gan_jax.adversarial.adversarial`.

    Returns:
        A game of the players 'generator' and 'discriminator' over batches `{'input': [B, *captions], 'real': [B, H, W,
        C]}`. The generator's parameters are a dict of 'generator' and 'reader'. `sample(params, variables, latents,
        captions)` makes images of captions.

    Raises:
        UserError: an option is impossible, including augmentation, which would change images without their captions.
    """
    require_not_negative('divergence', divergence)
    refuse_augmentation(options, 'A game of captions', 'images would change without their captions')
    if loss.parts is None or loss.controller is not None:
        raise UserError(
            'A game of captions needs a loss that is a sum over real and over generated examples: choose '
            'loss.name=hinge, least_squares or non_saturating.'
        )

    def of_codes(view: View) -> Array:
        found = moments(view.params['generator'], view.condition)
        return kullback_leibler(found) / found.shape[-1]

    def of_wrong(view: View) -> Array:
        wrong = view.real_judgement.features['wrong']
        return scales * loss.parts(wrong, wrong, view.key)[1]

    game = adversarial(
        _with_reader(generator, reader),
        discriminator,
        _over_kinds(loss, kinds, scales),
        latents,
        condition=to_condition(reader.shapes(captions)),
        terms=joined(
            [
                of_generator('divergence', divergence, of_codes),
                Pair((), one_term('wrong_text', 1 / (kinds + 1), of_wrong)),
                terms,
            ]
        ),
        **options,
    )

    def with_condition(batch: Batch, state: GanState, *_: Array) -> Batch:
        found = renamed(batch, {'real': 'real', 'label': 'input'})
        text = reader.read(state.generator.params['reader'], found['label'])
        return {**found, 'label': jax.lax.stop_gradient(to_condition(text))}

    turns = over_batches(game.turns, with_condition)
    sample = _sample(generator, reader, to_condition)
    made = game._replace(turns=turns, sample=sample, discriminate=None, training_pass=None)

    def shown(params: PyTree, variables: PyTree, latents: Array, captions: Array) -> dict[str, Array]:
        condition = to_condition(reader.read(params['reader'], captions))
        return stages(params['generator'], variables['generator'], latents, condition)

    return _with_pictures(made, reader, shown)


def text_matching(
    generator: Network, reader: Reader, latents: int, to_condition: Callable[[Text], PyTree] = _whole
) -> Game:
    """The phase before: the reader learns which texts and images belong together; the generator does not move.

    Args:
        generator: as in `of_captions`.
        reader: one that learns.
        latents: as in `of_captions`.
        to_condition: likewise.

    Returns:
        A game of the player 'generator' over batches `{'input': captions, 'real': images}`. Its metrics have the loss
        of either similarity, and `matched`, the share of images whose own sentence is the most similar of the batch.

    Raises:
        UserError: the reader has nothing to learn.
    """
    if reader.match is None:
        raise UserError('Embeddings of captions need no first phase: write the data as DATA,embeddings in --config.')
    network = _with_reader(generator, reader)

    def loss(params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array) -> tuple[Array, Outcome]:
        del positions
        found = renamed(batch, {'real': 'real', 'input': 'input'})
        value, metrics = reader.match(params['reader'], found['real'], found['input'], stream(key, 'words'))
        return value, Outcome(state.generator.variables, metrics)

    def init(key: Key) -> dict[str, tuple[PyTree, PyTree]]:
        return {'generator': network.init(key)}

    sample = _sample(generator, reader, to_condition)
    return _with_pictures(Game(init, (Turn('generator', loss),), sample, normal_latents(latents)), reader)


def find_captions(parts: Parts) -> tuple[int, ...]:
    """The shape of one caption of a config's data.

    Raises:
        UserError: the data have no captions, or a batch has no other ones.
    """
    config, captions = parts.config, parts.shapes.get('input', ())
    if len(captions) != 1:
        raise UserError(
            f'The game {config.game.name} needs captions, and {config.data.name!r} has none: choose captioned_shapes '
            'or captioned:/path/to/data.'
        )
    require(config.batch_size > 1, 'batch_size', config.batch_size, 'at least 2, since others have the wrong captions')
    return captions


def make_reader(
    parts: Parts, side: int, sentence_width: int, word_width: int, image_width: int, dropout: float
) -> Reader:
    """The reader of a config's captions, for images of that side; the rest as in `gan_jax.layers.text.Matcher`.

    Raises:
        UserError: an option is impossible.
    """
    if parts.num_classes is None:
        return of_embeddings()
    require(sentence_width % 2 == 0, 'game.sentence_width', sentence_width, 'even')
    widths = sentence_width, word_width, image_width
    matcher = Matcher(parts.num_classes, *widths, dropout=dropout, axis_name=parts.axis_name)
    return of_words(matcher, (side, side, parts.shape('real')[-1]), parts.axis_name)


def make_generator(parts: Parts, condition: PyTree) -> Network:
    """The generator of a config, whose latents end with those of its codes.

    Args:
        parts: parts of the game.
        condition: shapes and dtypes of its condition.

    Raises:
        UserError: the latents have another distribution, or no component beside the codes.
    """
    latents, shape = parts.config.latents, parts.shape('real')
    least = parts.module('generator', shape).codes
    require(latents.distribution == 'normal', 'latents.distribution', latents.distribution, "'normal'")
    require(latents.size > least, 'latents.size', latents.size, f'above {least}, the number of components for codes')
    return parts.network('generator', (latents.size,), shape, condition=condition)


def make_discriminators(parts: Parts, condition: PyTree) -> dict[str, Network | None]:
    """The 'discriminator' of a config, and the 'critic' where its arithmetic is not float32; as `make_generator`."""
    shape = parts.shape('real')

    def made(dtype: str | None = None) -> Network:
        return parts.network('discriminator', shape, shape, condition=condition, dtype=dtype)

    return {'discriminator': made(), 'critic': parts.critic(made)}


def _over_kinds(loss: Loss, kinds: int, scales: int) -> Loss:
    """The loss of the logits [B, scales kinds], without that of real images with wrong sentences."""
    whole = over_scales(loss, (1,) * (scales * kinds))

    def parts(real: Array, fake: Array, key: Key | None = None) -> tuple[Array, Array]:
        of_real, of_fake = whole.parts(real, fake, key)
        return of_real / kinds, of_fake / (kinds + 1)

    return whole._replace(parts=parts, discriminator=lambda real, fake, key=None: sum(parts(real, fake, key)))


def _with_reader(generator: Network, reader: Reader) -> Network:
    """A generator that also holds the parameters of the reader, which it does not use."""

    def init(key: Key) -> tuple[PyTree, PyTree]:
        params, variables = generator.init(key)
        return {'generator': params, 'reader': reader.init(stream(key, 'reader'))}, {'generator': variables}

    def apply(params, variables, latents, key, train, condition=None):
        made, updated = generator.apply(params['generator'], variables['generator'], latents, key, train, condition)
        return made, {'generator': updated}

    return Network(init, apply)


def _with_pictures(game: Game, reader: Reader, stages: Callable[..., dict[str, Array]] = lambda *_: {}) -> Game:
    """The game with captions as the condition of samples, and with pictures; `stages` from its arguments to images."""

    def show(params: PyTree, variables: PyTree, latents: Array, batch: Batch) -> dict[str, Array]:
        given = params, variables, latents, batch['input']
        return {**stages(*given), 'output': game.sample(*given), 'real': batch['real']}

    return game._replace(given='input', show=show, captions=reader.words)


def _sample(generator: Network, reader: Reader, to_condition: Callable[[Text], PyTree]) -> Callable[..., Array]:
    """`Game.sample` of captions."""

    def sample(params: PyTree, variables: PyTree, latents: Array, captions: Array) -> Array:
        condition = to_condition(reader.read(params['reader'], captions))
        return generator.apply(params['generator'], variables['generator'], latents, None, False, condition)[0]

    return sample
