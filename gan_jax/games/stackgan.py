"""The game of captions: StackGAN, and its first phase, in which texts and images are matched."""

from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from gan_jax.adversarial import adversarial
from gan_jax.errors import UserError
from gan_jax.game import (
    Array,
    Batch,
    Game,
    GanState,
    Key,
    Network,
    Outcome,
    Pair,
    PyTree,
    Turn,
    normal_latents,
    stream,
)
from gan_jax.games.spade import kullback_leibler
from gan_jax.layers.choices import is_traced, require
from gan_jax.layers.text import Matcher
from gan_jax.losses import Loss
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT, COUNT, DECAY
from gan_jax.readers import Reader, of_embeddings, of_words
from gan_jax.terms import NO_TERMS, View, joined, one_term
from gan_jax.translators import of_generator, over_batches, over_scales, renamed


def stackgan(
    generator: Network,
    discriminator: Network,
    loss: Loss,
    reader: Reader,
    latents: int,
    *,
    captions: tuple[int, ...],
    moments: Callable[[PyTree, Array], Array],
    begin: Callable[..., Array] | None = None,
    divergence: float = 2.0,
    terms: Pair = NO_TERMS,
    **options: Any,
) -> Game:
    """The game of one stage (Zhang et al. 2017, "StackGAN", sections 3.2 to 3.4).

    The discriminator tells real images with their sentences from generated images, and from real images with the
    sentences of other images. As in the authors' code its loss is the mean over its logits of that of the real images,
    plus the mean of those of all kinds that should be refused; the generator's is the sum over the logits.

    Args:
        generator: latents [B, latents] and sentences [B, d] -> images [B, H, W, C].
        discriminator: images and sentences -> a `Judgement` with logits [B, k], of which only the first see the
            sentence, and a feature 'wrong' [B], the first logit with the sentence of another image.
        loss: the loss of each player, with a part for real and one for generated examples.
        reader: what makes sentences of captions; its parameters do not move.
        latents: size of the standard normal latents.
        captions: shape of one caption.
        moments: (the generator's parameters, sentences) -> [B, 2, n], the means and logarithms of variances of the
            codes that it draws.
        begin: (the generator's parameters, variables, latents, sentences) -> the images of the first stage, which are
            shown; None: this is the first stage.
        divergence: weight of the Kullback-Leibler divergence of the codes' distribution from the normal one, a mean
            over all of them (equation 2).
        terms: added to each player's loss; see `gan_jax.terms`.
        **options: options of `gan_jax.adversarial.adversarial`.

    Returns:
        A game of the players 'generator' and 'discriminator' over batches `{'input': [B, *captions], 'real': [B, H, W,
        C]}`. The generator's parameters are a dict of 'generator' and 'reader'. `sample(params, variables, latents,
        captions)` makes images of captions.

    Raises:
        UserError: an option is impossible, including augmentation, which would change images without their captions.
    """
    require(is_traced(divergence) or divergence >= 0, 'divergence', divergence, 'at least 0')
    if options.get('augmentation') is not None:
        raise UserError(
            'StackGAN does not support augmentation, because images would change without their captions: unset augment.'
        )
    if loss.parts is None or loss.controller is not None:
        raise UserError(
            'StackGAN needs a loss that is a sum over real and over generated examples: choose loss.name=hinge, '
            'least_squares or non_saturating.'
        )
    size = reader.sentence_size(captions)
    told = jax.ShapeDtypeStruct((size,), jnp.float32)
    count = 1 if begin is None else 2

    def of_codes(view: View) -> Array:
        found = moments(view.params['generator'], view.condition)
        return kullback_leibler(found) / found.shape[-1]

    def of_wrong(view: View) -> Array:
        wrong = view.real_judgement.features['wrong']
        return loss.parts(wrong, wrong, view.key)[1]

    game = adversarial(
        _with_reader(generator, reader),
        discriminator,
        _over_kinds(loss, count),
        latents,
        condition=told,
        terms=joined(
            [
                of_generator('divergence', divergence, of_codes),
                Pair((), one_term('wrong_text', 1 / (count + 1), of_wrong)),
                terms,
            ]
        ),
        **options,
    )

    def with_sentences(batch: Batch, state: GanState, *_: Array) -> Batch:
        found = renamed(batch, {'real': 'real', 'label': 'input'})
        read = reader.read(state.generator.params['reader'], found['label'])
        return {**found, 'label': jax.lax.stop_gradient(read)}

    turns = over_batches(game.turns, with_sentences)
    made = game._replace(turns=turns, sample=_sample(generator, reader), discriminate=None, training_pass=None)
    return _of_captions(made, reader, begin)


def text_matching(generator: Network, reader: Reader, latents: int) -> Game:
    """The phase before: the reader learns which texts and images belong together; the generator does not move.

    Args:
        generator: as in `stackgan`.
        reader: one that learns.
        latents: as in `stackgan`.

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

    made = _sample(generator, reader)
    return _of_captions(Game(init, (Turn('generator', loss),), made, normal_latents(latents)), reader)


def from_config(
    pretrain: bool = False,
    sentence_width: Annotated[int, COUNT] = 256,
    word_width: Annotated[int, COUNT] = 300,
    image_width: Annotated[int, COUNT] = 32,
    dropout: Annotated[float, DECAY] = 0.5,
    divergence: Annotated[float, AMOUNT] = 2.0,
    *,
    parts: Parts,
) -> Game:
    """The game of a config, over images and their captions: batches {'input', 'real'}.

    Args:
        pretrain: whether only the text encoder is trained, by its matching loss: the first phase.
        sentence_width: size of sentences, words and regions; an even number.
        word_width: size of the embedding of a word.
        image_width: channels of the first layer of the image encoder of the first phase.
        dropout: rate of the words' embeddings in the first phase.
        divergence: weight of the divergence of the codes' distribution from the normal one.
        parts: parts of the game.

    Raises:
        UserError: the data have no captions, or an option is impossible.
    """
    config, shape = parts.config, parts.shape('real')
    captions = parts.shapes.get('input', ())
    if len(captions) != 1:
        raise UserError(
            f'The game stackgan needs captions, and {config.data.name!r} has none: choose captioned_shapes or '
            'captioned:/path/to/data.'
        )
    require(config.batch_size > 1, 'batch_size', config.batch_size, 'at least 2, since others have the wrong captions')
    reader = of_embeddings()
    if parts.num_classes is not None:
        require(sentence_width % 2 == 0, 'game.sentence_width', sentence_width, 'even')
        widths = sentence_width, word_width, image_width
        matcher = Matcher(parts.num_classes, *widths, dropout=dropout, axis_name=parts.axis_name)
        reader = of_words(matcher, shape, parts.axis_name)
    told = jax.ShapeDtypeStruct((reader.sentence_size(captions),), jnp.float32)
    module, size = parts.module('generator', shape), config.latents.size
    require(config.latents.distribution == 'normal', 'latents.distribution', config.latents.distribution, "'normal'")
    require(size > module.codes, 'latents.size', size, f'above {module.codes}, the number of components for codes')
    generator = parts.network('generator', (size,), shape, condition=told)
    if pretrain:
        return text_matching(generator, reader, size)
    stages = module.stages, parts.module('discriminator', shape).stages
    require(stages[0] == stages[1], 'discriminator.stages', stages[1], f'{stages[0]}, as generator.stages')

    def moments(params: PyTree, sentences: Array) -> Array:
        return module.apply({'params': params}, sentences, method='moments')

    def begin(params: PyTree, variables: PyTree, latents: Array, sentences: Array) -> Array:
        return module.apply({'params': params, **variables}, latents, sentences, method='begin')

    def critic(dtype: str | None = None) -> Network:
        return parts.network('discriminator', shape, shape, condition=told, dtype=dtype)

    return stackgan(
        generator,
        critic(),
        parts.loss,
        reader,
        size,
        captions=captions,
        moments=moments,
        begin=begin if module.stages == 2 else None,
        divergence=divergence,
        critic=None if config.dtype == 'float32' else critic('float32'),
        **parts.options,
    )


def _over_kinds(loss: Loss, count: int) -> Loss:
    """The loss of the logits [B, count], without that of real images with wrong sentences."""
    whole = over_scales(loss, (1,) * count)

    def parts(real: Array, fake: Array, key: Key | None = None) -> tuple[Array, Array]:
        of_real, of_fake = whole.parts(real, fake, key)
        return of_real / count, of_fake / (count + 1)

    return whole._replace(parts=parts, discriminator=lambda real, fake, key=None: sum(parts(real, fake, key)))


def _with_reader(generator: Network, reader: Reader) -> Network:
    """A generator of sentences that also holds the parameters of the reader, which it does not use."""

    def init(key: Key) -> tuple[PyTree, PyTree]:
        params, variables = generator.init(key)
        return {'generator': params, 'reader': reader.init(stream(key, 'reader'))}, {'generator': variables}

    def apply(params, variables, latents, key, train, condition=None):
        made, updated = generator.apply(params['generator'], variables['generator'], latents, key, train, condition)
        return made, {'generator': updated}

    return Network(init, apply)


def _of_captions(game: Game, reader: Reader, begin: Callable[..., Array] | None = None) -> Game:
    """The game with captions as the condition of samples, and with pictures of the stages; `begin` as in `stackgan`."""

    def show(params: PyTree, variables: PyTree, latents: Array, batch: Batch) -> dict[str, Array]:
        shown = {'output': game.sample(params, variables, latents, batch['input']), 'real': batch['real']}
        if begin is None:
            return shown
        read = reader.read(params['reader'], batch['input'])
        return {'first stage': begin(params['generator'], variables['generator'], latents, read), **shown}

    return game._replace(given='input', show=show, captions=reader.words)


def _sample(generator: Network, reader: Reader) -> Callable[..., Array]:
    """`Game.sample` of captions."""

    def sample(params: PyTree, variables: PyTree, latents: Array, captions: Array) -> Array:
        read = reader.read(params['reader'], captions)
        return generator.apply(params['generator'], variables['generator'], latents, None, False, read)[0]

    return sample
