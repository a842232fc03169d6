"""The game of captions whose words are attended to: AttnGAN."""

import math
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from gan_jax import captions as common
from gan_jax.errors import UserError
from gan_jax.game import Array, Game, Pair, PyTree
from gan_jax.layers.choices import require
from gan_jax.losses import Loss
from gan_jax.networks import Network
from gan_jax.parts import Parts
from gan_jax.ranges import AMOUNT, COUNT, DECAY
from gan_jax.readers import Reader, Text
from gan_jax.terms import NO_TERMS, View, joined
from gan_jax.translators import of_generator


def attngan(
    generator: Network,
    discriminator: Network,
    loss: Loss,
    reader: Reader,
    latents: int,
    *,
    branches: int,
    matching: float = 5.0,
    divergence: float = 1.0,
    terms: Pair = NO_TERMS,
    **options: Any,
) -> Game:
    """The game of all branches (Xu et al. 2018, "AttnGAN", sections 3.1 and 3.2), see `gan_jax.captions.of_captions`.

    Args:
        generator: latents [B, latents] and a `gan_jax.readers.Text` -> images [B, H, W, C], and in training those of
            all branches [B, branches, H, W, C].
        discriminator: such images and a text -> a `Judgement` with logits [B, 2 branches], of which the second of each
            branch does not see the text.
        loss: the loss of each player, with a part for real and one for generated examples.
        reader: what reads captions and compares images with them; its parameters do not move.
        latents: size of the standard normal latents.
        branches: number of branches.
        matching: weight (lambda) of the matching loss of the last branch's images and their texts by the reader
            (equation 3), among the texts of the batch.
        divergence: weight of the divergence of the codes' distribution from the normal one.
        terms: added to each player's loss; see `gan_jax.terms`.
        **options: `captions`, `moments`, `stages` and options of `gan_jax.adversarial.adversarial`, as in
            `of_captions`.

    Returns:
        The game of `of_captions`.

    Raises:
        UserError: there are embeddings of captions and no words, an option is impossible, or as `of_captions`.
    """
    if reader.compare is None:
        raise UserError(
            'AttnGAN attends to the words of captions, and these data have embeddings of captions instead: use '
            'captions.jsonl, or the config stackgan.'
        )
    if options.get('replay'):
        raise UserError('AttnGAN makes several images of each caption, of which replay stores one: set replay=0.')

    def of_last_branch(view: View) -> Array:
        params = jax.lax.stop_gradient(view.params['reader'])
        return reader.compare(params, view.fake[:, -1], view.condition)[0]

    return common.of_captions(
        generator,
        discriminator,
        loss,
        reader,
        latents,
        kinds=2,
        scales=branches,
        divergence=divergence,
        terms=joined([of_generator('matching', matching, of_last_branch), terms]),
        **options,
    )


def mosaic(maps: Array) -> Array:
    """Maps [B, h, w, n] of values from 0 to 1, side by side in an image of each example, float32 [B, H, W, 1].

    They are in rows from left to right, each in shares of its largest value, as many in a row as there are rows: the
    smallest even number into which they fit, so that maps of half an image's size fill a multiple of it.
    """
    number = maps.shape[-1]
    columns = 2 * math.ceil(math.sqrt(number) / 2)
    shares = maps / jnp.maximum(maps.max((1, 2), keepdims=True), jnp.finfo(jnp.float32).tiny)
    shares = jnp.pad(shares, [(0, 0)] * 3 + [(0, columns**2 - number)])
    batch, height, width, _ = shares.shape
    cells = shares.reshape(batch, height, width, columns, columns).transpose(0, 3, 1, 4, 2)
    return 2 * cells.reshape(batch, columns * height, columns * width, 1) - 1


def from_config(
    pretrain: bool = False,
    sentence_width: Annotated[int, COUNT] = 256,
    word_width: Annotated[int, COUNT] = 300,
    image_width: Annotated[int, COUNT] = 32,
    image_side: Annotated[int, COUNT] = 64,
    dropout: Annotated[float, DECAY] = 0.5,
    divergence: Annotated[float, AMOUNT] = 1.0,
    matching: Annotated[float, AMOUNT] = 5.0,
    *,
    parts: Parts,
) -> Game:
    """The game of a config, over images and their captions: batches {'input', 'real'}.

    Args:
        pretrain: whether only the encoders of texts and images are trained, by their matching loss: the first phase.
        sentence_width: size of sentences, words and regions; an even number.
        word_width: size of the embedding of a word.
        image_width: channels of the first layer of the image encoder.
        image_side: height and width to which larger images are reduced for the image encoder.
        dropout: rate of the words' embeddings in the first phase.
        divergence: weight of the divergence of the codes' distribution from the normal one.
        matching: weight of the matching loss of generated images and their texts.
        parts: parts of the game.

    Raises:
        UserError: the data have no captions or no words, or an option is impossible.
    """
    captions, shape, size = common.find_captions(parts), parts.shape('real'), parts.config.latents.size
    side = min(image_side, shape[0])
    require(shape[0] % side == 0, 'game.image_side', image_side, f'a divisor of {shape[0]}')
    reader = common.make_reader(parts, side, sentence_width, word_width, image_width, dropout)
    condition = reader.shapes(captions)
    if reader.compare is not None and pretrain:
        return common.text_matching(common.make_generator(parts, condition), reader, size)
    parts.refuse_decay('the text encoder')
    module = parts.module('generator', shape)
    branches = module.branches, parts.module('discriminator', shape).branches
    require(branches[0] == branches[1], 'discriminator.branches', branches[1], f'{branches[0]}, as generator.branches')

    def moments(params: PyTree, text: Text) -> Array:
        return module.apply({'params': params}, text.sentence, method='moments')

    def stages(params: PyTree, variables: PyTree, latents: Array, text: Text) -> dict[str, Array]:
        given = {'params': params, **variables}, latents, text
        images = {f'{each.shape[1]}x{each.shape[2]}': each for each in module.apply(*given, method='all_images')[:-1]}
        return {'attention': mosaic(module.apply(*given, method='attention')), **images} if images else {}

    return attngan(
        common.make_generator(parts, condition),
        loss=parts.loss,
        reader=reader,
        latents=size,
        branches=branches[0],
        captions=captions,
        moments=moments,
        stages=stages,
        divergence=divergence,
        matching=matching,
        **common.make_discriminators(parts, condition),
        **parts.options,
    )
