"""The game of captions: StackGAN, and its first phase, in which texts and images are matched."""

import operator
from collections.abc import Callable
from typing import Annotated, Any

from gan_jax import captions as common
from gan_jax.game import Array, Game, PyTree
from gan_jax.layers.choices import require
from gan_jax.losses import Loss
from gan_jax.networks import Network
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT, COUNT, DECAY
from gan_jax.readers import Reader

sentence = operator.attrgetter('sentence')


def stackgan(
    generator: Network,
    discriminator: Network,
    loss: Loss,
    reader: Reader,
    latents: int,
    *,
    begin: Callable[..., Array] | None = None,
    divergence: float = 2.0,
    **options: Any,
) -> Game:
    """The game of one stage (Zhang et al. 2017, "StackGAN", sections 3.2 to 3.4), see `gan_jax.captions.of_captions`.

    Args:
        generator: latents [B, latents] and sentences [B, d] -> images [B, H, W, C].
        discriminator: images and sentences -> a `Judgement` with one logit, or two in the second stage.
        loss: the loss of each player, with a part for real and one for generated examples.
        reader: what makes sentences of captions; its parameters do not move.
        latents: size of the standard normal latents.
        begin: (the generator's parameters, variables, latents, sentences) -> the images of the first stage, which are
            shown; None: this is the first stage.
        divergence: weight of the divergence of the codes' distribution from the normal one.
        **options: `captions`, `moments`, `terms` and options of `gan_jax.adversarial.adversarial`, as in `of_captions`.

    Returns:
        The game of `of_captions`.

    Raises:
        UserError: as `of_captions`.
    """
    if begin is not None:
        options['stages'] = lambda *given: {'first stage': begin(*given)}
    return common.of_captions(
        generator,
        discriminator,
        loss,
        reader,
        latents,
        kinds=1 if begin is None else 2,
        to_condition=sentence,
        divergence=divergence,
        **options,
    )


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
    captions, shape, size = common.find_captions(parts), parts.shape('real'), parts.config.latents.size
    reader = common.make_reader(parts, shape[0], sentence_width, word_width, image_width, dropout)
    condition = sentence(reader.shapes(captions))
    generator = common.make_generator(parts, condition)
    if pretrain:
        return common.text_matching(generator, reader, size, sentence)
    if reader.compare is not None:
        parts.refuse_decay('the text encoder')
    module = parts.module('generator', shape)
    stages = module.stages, parts.module('discriminator', shape).stages
    require(stages[0] == stages[1], 'discriminator.stages', stages[1], f'{stages[0]}, as generator.stages')

    def moments(params: PyTree, sentences: Array) -> Array:
        return module.apply({'params': params}, sentences, method='moments')

    def begin(params: PyTree, variables: PyTree, latents: Array, sentences: Array) -> Array:
        return module.apply({'params': params, **variables}, latents, sentences, method='begin')

    return stackgan(
        generator,
        loss=parts.loss,
        reader=reader,
        latents=size,
        captions=captions,
        moments=moments,
        begin=begin if module.stages == 2 else None,
        divergence=divergence,
        **common.make_discriminators(parts, condition),
        **parts.options,
    )
