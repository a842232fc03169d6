"""The game, an immutable tuple of pure functions over named players, and the training state.

A `Game` is to a GAN what `optax.GradientTransformation` is to an optimiser. It contains its players, their losses and
the order of their turns. It does not depend on devices, files, configs or optimisers. `gan_jax.adversarial.adversarial`
makes the usual game of a generator against a discriminator; any other game is a tuple of the same type.
"""

import functools
import numbers
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import global_batch
from gan_jax.anomaly import Anomaly
from gan_jax.encoding import Encoding
from gan_jax.errors import UserError

if TYPE_CHECKING:
    from gan_jax.codes import Codes

Array = jax.Array
Key = jax.Array
PyTree = Any
Batch = Mapping[str, Array]


class Pair(NamedTuple):
    """A value for each of the two players of an adversarial game."""

    generator: Any
    discriminator: Any


class Player(NamedTuple):
    """The state of one player.

    Attributes:
        params: float32 parameters, updated by its optimiser.
        variables: other variables of its network (batch statistics, spectral vectors); `{}` when stateless.
        opt_state: its optax state.
        ema: moving averages of (params, variables), or None.
    """

    params: PyTree
    variables: PyTree
    opt_state: PyTree
    ema: PyTree | None = None

    @property
    def weights(self) -> tuple[PyTree, PyTree]:
        """(params, variables) for samples and evaluations: the moving averages, if they are kept."""
        return self.ema or (self.params, self.variables)


@flax.struct.dataclass
class GanState:
    """The complete training state; saving it saves the run.

    Attributes:
        step: int32 scalar, the number of rounds played.
        key: the root key (typed). A round derives its randomness from `fold_in(key, step)`; the key never changes.
        players: each `Player` by name.
        memory: state of parts of the game between rounds, by name: a controller's setting, a replay buffer,
            running means. `{}` for most games.
    """

    step: Array
    key: Key
    players: dict[str, Player]
    memory: dict[str, PyTree] = flax.struct.field(default_factory=dict)

    @property
    def generator(self) -> Player:
        """The player 'generator'."""
        return self.players['generator']

    @property
    def discriminator(self) -> Player:
        """The player 'discriminator'."""
        return self.players['discriminator']

    def with_player(self, name: str, **changes: PyTree) -> 'GanState':
        """Returns the state with some fields of a player replaced."""
        return self.replace(players={**self.players, name: self.players[name]._replace(**changes)})

    def with_memory(self, changes: Mapping[str, PyTree]) -> 'GanState':
        """Returns the state with some entries of its memory replaced; the entries keep their dtypes."""
        changes = {
            name: jax.tree.map(_with_dtype, self.memory[name], new) if name in self.memory else new
            for name, new in changes.items()
        }
        return self.replace(memory={**self.memory, **changes})


class Outcome(NamedTuple):
    """The auxiliary outputs of a player's loss.

    Attributes:
        variables: the player's new variables.
        metrics: scalars by name.
        memory: new values of entries of the state's memory, the same on every device.
    """

    variables: PyTree
    metrics: dict[str, Array]
    memory: dict[str, PyTree] = {}  # noqa: RUF012 - a pytree, and never changed


PlayerLoss = Callable[..., tuple[Array, Outcome]]


class Turn(NamedTuple):
    """A player's turn in each round of a game: one or several gradient steps on a loss.

    Attributes:
        player: name of the player that moves.
        loss: (params, state, batch, key, positions) -> (scalar, `Outcome`). It is differentiated with respect to
            `params`, the parameters of that player; everything else is read from `state`. `positions` [B] are the
            places of the batch's examples in the global batch: noise drawn from them does not depend on the
            distribution of the batch over devices.
        name: name of the turn; '': that of the player. Each part between slashes names a stream of randomness.
        times: number of moves in a round.
        fresh: whether each move gets a separate batch. Otherwise all moves get the round's last batch.
        count: step -> number of the `times` moves that are made in that round, at least 1; None: all. The others cost
            nothing.
        every: the turn is played in every `every`-th round, starting with the first.
        gate: (metrics, kept, i) -> whether move number i of the round is made. `metrics` are those of its forward pass,
            `kept` is the memory's 'turns'. A skipped move does not change the player, and costs no
            backward pass (except with `accumulate`, where each part has its backward pass immediately).
        unrolled: (name of another turn, n): the loss gets that turn's player after n further moves,
            and the gradient passes through them (Metz et al. 2017, equations 7 to 10).
        keeps: names of metrics whose last values are kept in the memory, as `memory['turns'][name]`. A turn that is not
            played in every round reports only these.
    """

    player: str
    loss: PlayerLoss
    name: str = ''
    times: int = 1
    fresh: bool = False
    count: Callable[[Array], Array] | None = None
    every: int = 1
    gate: Callable[[dict[str, Array], dict[str, dict[str, Array]], Array], Array] | None = None
    unrolled: tuple[str, int] | None = None
    keeps: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The name of the turn, or that of its player."""
        return self.name or self.player

    def moves_at(self, step: Array) -> Array:
        """The number of moves in the rounds of these steps, with a `count`."""
        return jnp.clip(self.count(step), 1, self.times)

    def moves(self, rounds: int) -> int:
        """The number of moves in so many rounds, including those that the gate skips."""
        if self.count is None:
            return len(range(0, rounds, self.every)) * self.times
        with jax.ensure_compile_time_eval():
            return int(np.asarray(self.moves_at(jnp.arange(0, rounds, self.every))).sum(dtype=np.int64))

    def checked_loss(
        self, params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array
    ) -> tuple[Array, Outcome]:
        """`loss`; raises a UserError unless it returns a scalar and an `Outcome`."""
        returned = self.loss(params, state, batch, key, positions)
        if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], Outcome)):
            raise UserError(
                f'The loss of the turn {self.title!r} must return a scalar and a gan_jax.game.Outcome(variables, '
                'metrics), in a tuple.'
            )
        if shape := jnp.shape(returned[0]):
            raise UserError(
                f'The loss of the turn {self.title!r} has the shape {list(shape)}; it must be a scalar: take the mean '
                'over the batch.'
            )
        return returned

    def key(self, round_key: Key) -> Key:
        """The key of the turn in a round."""
        return functools.reduce(stream, self.title.split('/'), round_key)


class Game(NamedTuple):
    """A game as pure functions.

    Attributes:
        init: key -> (params, variables) of each player by name. A player without a turn never changes.
        turns: the turns of a round, in order.
        sample: (params, variables, latents [n, ...], condition=None) -> examples [n, ...], the generator in evaluation
            mode.
        latents: (key, positions [n]) -> latents [n, ...], one independent draw for each position.
        memory: (params, variables) of each player by name -> the state's memory before the first round.
        averaged: the players that can have a moving average of their parameters and variables.
        given: the field of a batch that `sample` takes as its condition, 'label' or images to translate; '': none.
        show: (params, variables, latents, batch) -> {name: images [n, ...]}, the images of examples of the
            data that a picture shows side by side, with the parameters of `sample`; None: a picture shows what is
            translated, or reconstructed by `encode`, or only samples.
        discriminate: (params, variables, examples [n, ...], condition=None) -> logits [n] of being real of the player
            'discriminator' in evaluation mode, the mean of several; None: not known.
        classify: (params, variables, examples [n, ...]) -> class logits [n, K] of the player `classifier` in evaluation
            mode; None: the game does not classify.
        classifier: the name of the player that classifies.
        encode: (params, variables, examples [n, ...]) -> a `gan_jax.encoding.Encoding` by the player 'encoder' in
            evaluation mode, whose codes [n, ...] `sample` takes as latents; None: there is no encoder.
        score: ((params, variables) of each player by name, examples [n, ...]) -> a `gan_jax.anomaly.Anomaly` in
            evaluation mode; None: the game scores no anomalies.
        at: step -> the game of that round, if numbers of it change during the run; None: always this game.
        training_pass: (params, variables, latents [n, ...], key, condition=None) -> the generator's variables after a
            pass in training mode, which updates running averages; None: not known.
        inherits: pairs (player, other): at the beginning of a phase the player continues from the last state of the
            other player in the phase before, not from its own.
        styles: (params, variables, latents [n, ...], condition=None) -> the styles [n, layers, w] from which
            `sample` makes its examples; None: the generator has no styles.
        synthesize: (params, variables, styles [n, layers, w], key=None) -> examples [n, ...], as `sample` makes them;
            with a key each example has its own noise, as in training.
        style_of: (params, variables, examples [n, ...]) -> latents [n, ...] with which `sample` translates in the style
            of examples of its target; None: not known.
        targets: latents [n, ...] -> int [n], the classes that translations with these latents should have, -1 for those
            that are not classes of the real images; None: no particular ones.
        maps: the number of classes in the label maps that `sample` takes as its condition, images [n, H, W, 1] with
            class k as 2 k / 255 - 1; None: it takes none.
        flow: the label maps of clips [n, T, H, W, 1], as `sample` takes them as its condition -> the flow to the frame
            before [n, T - 1, H, W, 2] in pixels, and which pixels were visible there, bool [n, T - 1, H, W, 1]; None:
            not known.
        hole: latents [n, ...] -> where `sample` fills the images of its condition, bool [n, H, W, 1]; None: it returns
            other images.
        captions: the number of words in the vocabulary of the captions that `sample` takes as its condition, [n, w]
            numbers of words with 0 after the end; None: it takes none, or embeddings.
        codes: the codes at the end of the latents, if there are any. The classes of `classify` are then the categories
            of the first categorical code, which have no labels.
        private: whether its training is differentially private. Evaluations then attack the discriminator.
        prepare: (batch, key, positions [n]) -> the batch that all turns of a round see, such as random crops of images;
            None: the batch itself.
        note: what the protocol of an evaluation must say of the training, such as the network of a perceptual loss.
    """

    init: Callable[[Key], dict[str, tuple[PyTree, PyTree]]]
    turns: tuple[Turn, ...]
    sample: Callable[..., Array]
    latents: Callable[[Key, Array], Array]
    memory: Callable[[dict[str, tuple[PyTree, PyTree]]], dict[str, PyTree]] = lambda networks: {}
    averaged: tuple[str, ...] = ('generator',)
    given: str = ''
    show: Callable[..., dict[str, Array]] | None = None
    discriminate: Callable[..., Array] | None = None
    classify: Callable[[PyTree, PyTree, Array], Array] | None = None
    classifier: str = 'discriminator'
    encode: Callable[[PyTree, PyTree, Array], Encoding] | None = None
    score: Callable[[Mapping[str, tuple[PyTree, PyTree]], Array], Anomaly] | None = None
    at: Callable[[Array], 'Game'] | None = None
    training_pass: Callable[..., PyTree] | None = None
    inherits: tuple[tuple[str, str], ...] = ()
    styles: Callable[..., Array] | None = None
    synthesize: Callable[..., Array] | None = None
    style_of: Callable[..., Array] | None = None
    targets: Callable[[Array], Array] | None = None
    maps: int | None = None
    flow: Callable[[Array], tuple[Array, Array]] | None = None
    hole: Callable[[Array], Array] | None = None
    captions: int | None = None
    codes: 'Codes | None' = None
    private: bool = False
    prepare: Callable[[Batch, Key, Array], Batch] | None = None
    note: str = ''

    def prepared(self, batch: Batch, key: Key, positions: Array) -> Batch:
        """What all turns see of a batch in a round with that key."""
        return batch if self.prepare is None else self.prepare(batch, stream(key, 'batch'), positions)

    def turn(self, name: str) -> Turn:
        """The turn with that name."""
        return next(turn for turn in self.turns if turn.title == name)

    @property
    def translates(self) -> bool:
        """Whether samples are generated from images of the data."""
        return self.given not in ('', 'label')

    @property
    def is_judged(self) -> bool:
        """Whether an evaluation needs the player `classifier`: it classifies, scores anomalies or is attacked."""
        return bool(self.classify or self.score or self.private)

    @property
    def shows_examples(self) -> bool:
        """Whether a picture shows examples of the data, and not only samples."""
        return self.show is not None or self.encode is not None or self.translates

    @property
    def batches(self) -> int:
        """The number of batches in a round. With several, every array of a batch has a leading axis of that length."""
        return max([turn.times for turn in self.turns if turn.fresh], default=1)


def _with_dtype(old: Array, new: Array) -> Array:
    """The new value in the dtype of the old one."""
    return new if new.dtype == old.dtype else new.astype(old.dtype)


def stream(key: Key, name: str) -> Key:
    """The key of a named stream of randomness, derived from a key: the same for the same key and name."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def batch_size(batch: Batch, batches: int = 1) -> int:
    """The number of examples in a batch.

    Raises:
        UserError: the batch is not a dict of arrays of equal size, or has no leading axis for several batches.
    """
    if not isinstance(batch, Mapping) or not batch:
        what = f'an array {list(batch.shape)}' if hasattr(batch, 'shape') else f'a {type(batch).__name__}'
        raise UserError(f"A batch is a dict of arrays by name, such as {{'real': examples}}, but this one is {what}.")
    for name, value in batch.items():
        for leaf in jax.tree.leaves(value):
            if not hasattr(leaf, 'shape'):
                raise UserError(f'A batch is a dict of arrays by name, but {name!r} has a {type(leaf).__name__}.')
    shapes = [leaf.shape for leaf in jax.tree.leaves(batch)]
    if batches > 1 and any(shape[:1] != (batches,) for shape in shapes):
        raise UserError(
            f'A round of this game uses {batches} batches, so every array needs the leading axis '
            f'[{batches}, batch, ...], but the shapes are {shapes}.'
        )
    axis = int(batches > 1)
    sizes = {shape[axis : axis + 1] for shape in shapes}
    if len(sizes) > 1 or sizes == {()}:
        raise UserError(f'All arrays of a batch must have the same batch size, but the shapes are {shapes}.')
    ((size,),) = sizes
    return size


def named_key(seed: int, name: str) -> Key:
    """The root key of one of a run's streams of randomness."""
    return stream(jax.random.key(seed), name)


def normal_latents(shape: tuple[int, ...] | int) -> Callable[[Key, Array], Array]:
    """Standard normal latents of the given shape, one draw for each position."""
    return _per_position(jax.random.normal, shape)


def as_latents(latents: Callable[[Key, Array], Array] | int) -> Callable[[Key, Array], Array]:
    """How latents are drawn; a number is the size of a standard normal vector.

    Raises:
        UserError: it is neither a number nor a function.
    """
    if isinstance(latents, numbers.Integral):
        return normal_latents(int(latents))
    if not callable(latents):
        raise UserError(
            f'latents is a {type(latents).__name__}; give the size of a standard normal vector, or a function such as '
            'gan_jax.game.normal_latents(shape).'
        )
    return latents


def uniform_latents(shape: tuple[int, ...] | int) -> Callable[[Key, Array], Array]:
    """Latents uniform in [-1, 1), as in the DCGAN paper, one draw for each position."""
    return _per_position(lambda key, shape: jax.random.uniform(key, shape, minval=-1.0), shape)


def _per_position(draw, shape):
    shape = (shape,) if isinstance(shape, int) else tuple(shape)

    def latents(key: Key, positions: Array) -> Array:
        return global_batch.draw(lambda key: draw(key, shape), key, positions)

    return latents


LATENTS = {'normal': normal_latents, 'uniform': uniform_latents}
