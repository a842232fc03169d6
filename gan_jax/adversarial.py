"""The game of a generator against a discriminator, with everything that may be added to it.

Which pass updates what (batch statistics and all other variables; tested in tests/test_steps.py):

| step | differentiated | variables that change |
| --- | --- | --- |
| discriminator | its parameters | its own, by its pass over the real and then by its pass over the fake examples |
| generator | its parameters | its own, by its one pass |

The opponent always runs in training mode (batch norm normalises with the batch at hand) and what it would have
updated is thrown away. So a step leaves every bit of the opponent as it was. Passes that only a penalty asks for update
nothing.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from gan_jax import augment, losses
from gan_jax.balance import NO_BALANCE, Balance
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
    PlayerLoss,
    PyTree,
    Turn,
    normal_latents,
    stream,
)
from gan_jax.judgement import Judgement, judgement
from gan_jax.layers.choices import choose, is_on, require
from gan_jax.losses import Loss
from gan_jax.replay import exchange, start_replay
from gan_jax.terms import NO_TERMS, Term, View, total

_Networks = tuple[PyTree, PyTree]  # params and variables
COMBINATIONS: dict[str, Callable[[Array], Array]] = {
    'mean': jnp.mean,
    'max': jnp.max,  # against the one that does best: Durugkar et al. 2017, equation 3
    'softmax': lambda losses: jnp.sum(jax.nn.softmax(losses) * losses),  # section 4.1, lambda = 1
}


def adversarial(
    generator: Network,
    discriminator: Network,
    loss: Loss,
    latents: Callable[[Key, Array], Array] | int,
    *,
    condition: jax.ShapeDtypeStruct | None = None,
    terms: Pair = NO_TERMS,
    lazy: tuple[int, int] = (1, 1),
    critic: Network | None = None,
    augmentation: augment.Augmentation | None = None,
    noise: Callable[[Array], Array] | None = None,
    flip_labels: float = 0.0,
    replay: int = 0,
    top_share: Callable[[Array], Array] | None = None,
    discriminators: int = 1,
    combine: str = 'mean',
    discriminator_steps: int = 1,
    generator_steps: int = 1,
    discriminator_count: Callable[[Array], Array] | None = None,
    balance: Balance = NO_BALANCE,
    unrolled_steps: int = 0,
    axis_name: str | None = None,
) -> Game:
    """The game of one generator against one or several discriminators (Goodfellow et al. 2014, algorithm 1).

    Args:
        generator: latents [B, ...] -> examples [B, ...].
        discriminator: examples [B, ...] -> logits [B] or a `Judgement`.
        loss: what each minimises.
        latents: how latents are drawn, or the size of a standard normal latent vector.
        condition: shape and dtype of one example's condition (`jax.ShapeDtypeStruct((), jnp.int32)` for class labels);
            None: the game is unconditional. Fake examples have the conditions of the batch's real ones.
        terms: added to each player's loss; see `gan_jax.terms`.
        lazy: for generator and discriminator a k, so that its lazy terms are applied after every k-th step only, with
            k times the weight and an update of their own (Karras et al. 2020, StyleGAN2, appendix B).
        critic: the discriminator as gradient penalties and the like are to see it, of the same parameters; for
            arithmetic in float32 when the discriminator itself has less. None: the discriminator.
        augmentation: of all that the discriminator is shown, in both players' steps.
        noise: step -> standard deviation of Gaussian noise on all that the discriminator is shown, after augmentation.
        flip_labels: probability with which a real and a fake example change places in the discriminator's loss.
        replay: how many fake examples are remembered; half of those shown to the discriminator come from there
            (Shrivastava et al. 2017, section 2.3). 0: none.
        top_share: step -> share of the fake examples, those with the highest logits, from which the generator learns
            (Sinha et al. 2020); None: all.
        discriminators: how many there are, each with parameters and randomness of its own (Durugkar et al. 2017).
        combine: the generator's loss over several discriminators: 'mean', 'max' or 'softmax'.
        discriminator_steps: steps of the discriminator in each round, each on a fresh batch and fresh noise.
        generator_steps: steps of the generator in each round, each on fresh noise.
        discriminator_count: step -> how many of its steps the discriminator makes in that round; None: all.
        balance: when a player sits a step out.
        unrolled_steps: steps that a copy of the discriminator takes, as its optimiser would, before the generator's
            loss is computed against it; the gradient passes through them (Metz et al. 2017, "Unrolled Generative
            Adversarial Networks", equations 7 to 10). Adam needs `eps_root` above 0 for that.
        axis_name: the mapped axis over which the global batch lies, when the game is played under `pmap` or
            `shard_map`.

    Returns:
        A game of the players 'generator' and 'discriminator' over batches `{'real': [B, ...]}`, with
        `'label': [B, ...]` when there is a condition. Real and fake examples pass through the discriminator one after
        the other, each normalised by its own batch statistics (Ioffe and Szegedy 2015; the DCGAN practice). The losses
        see the logits of the whole global batch.

    Raises:
        UserError: an argument is of the wrong kind, or an option's value is impossible; when a step is traced, a batch
            without the examples or labels that the game needs.
    """
    _check_kinds(generator, discriminator, loss, terms)
    require(discriminators >= 1, 'The number of discriminators', discriminators, 'at least 1')
    require(0 <= flip_labels <= 1, 'flip_labels', flip_labels, 'a probability')
    balance.check()
    rules = _Rules(
        generator=generator,
        discriminator=discriminator,
        loss=loss,
        latents=normal_latents(latents) if isinstance(latents, int) else latents,
        condition=condition,
        now=Pair(*(_due(some, every, lazily=False) for some, every in zip(terms, lazy, strict=True))),
        later=Pair(*(_due(some, every, lazily=True) for some, every in zip(terms, lazy, strict=True))),
        every=Pair(*lazy),
        critic=critic or discriminator,
        augmentation=augmentation,
        noise=noise,
        flip_labels=flip_labels,
        replay=replay,
        top_share=top_share,
        discriminators=discriminators,
        combine=choose(COMBINATIONS, combine, 'way to combine discriminators'),
        reads_fooled=is_on(balance.fooling),
        axis_name=axis_name,
    )
    turns = [
        Turn(
            'discriminator',
            rules.discriminator_loss,
            times=discriminator_steps,
            fresh=True,
            count=discriminator_count,
            gate=None if balance.measure == 'none' else balance.discriminator_moves,
        ),
        _lazy_turn('discriminator', rules.lazy_discriminator_loss, lazy[1], rules.later.discriminator),
        Turn(
            'generator',
            rules.generator_loss,
            times=generator_steps,
            gate=balance.generator_moves if rules.reads_fooled else None,
            unrolled=('discriminator', unrolled_steps) if unrolled_steps else None,
            keeps=('loss',) if balance.measure == 'loss_ratio' else (),
        ),
        _lazy_turn('generator', rules.lazy_generator_loss, lazy[0], rules.later.generator),
    ]
    return Game(rules.init, tuple(filter(None, turns)), rules.sample, rules.latents, rules.memory)


def _check_kinds(generator: Network, discriminator: Network, loss: Loss, terms: Pair) -> None:
    """Raises a UserError for what is easily given in place of an argument of `adversarial`."""
    for what, network in (('generator', generator), ('discriminator', discriminator)):
        if not isinstance(network, Network):
            raise UserError(
                f'The {what} is a {type(network).__name__}: give a gan_jax.game.Network, as from_flax(module, '
                'input_shape) and pure(init, apply) make it.'
            )
    if not isinstance(loss, Loss):
        hint = f': call it, {loss.__name__}()' if inspect.isfunction(loss) else ''
        raise UserError(f'The loss is a {type(loss).__name__}, not a gan_jax.losses.Loss{hint}.')
    fits = isinstance(terms, Sequence) and len(terms) == len(Pair._fields)
    if not fits or not all(isinstance(term, Term) for some in terms for term in (some if _is_tuple(some) else [some])):
        raise UserError(
            'terms are the terms of the generator and those of the discriminator, as the functions of gan_jax.terms '
            'make them: terms.r1(weight=10), or terms.joined([...]) of several.'
        )


def _is_tuple(value: object) -> bool:
    return isinstance(value, tuple | list) and not isinstance(value, Term)


def _lazy_turn(player: str, loss: PlayerLoss, every: int, terms: Sequence[Term]) -> Turn | None:
    """The turn of a player's terms with an update of their own; None if it has none."""
    if not terms:
        return None
    return Turn(player, loss, name=f'{player}/lazy', every=every, keeps=tuple(term.name for term in terms))


def _due(terms: Sequence[Term], every: int, *, lazily: bool) -> tuple[Term, ...]:
    """The terms with an update of their own, or those without."""
    return tuple(term for term in terms if (term.lazy and every > 1) == lazily)


@dataclasses.dataclass(frozen=True)
class _Rules:
    """The functions of the game; the fields are the arguments of `adversarial`, checked.

    `now` are the terms of every step, `later` those with an update of their own after every `every`-th.
    """

    generator: Network
    discriminator: Network
    loss: Loss
    latents: Callable[[Key, Array], Array]
    condition: jax.ShapeDtypeStruct | None
    now: Pair
    later: Pair
    every: Pair
    critic: Network
    augmentation: augment.Augmentation | None
    noise: Callable[[Array], Array] | None
    flip_labels: float
    replay: int
    top_share: Callable[[Array], Array] | None
    discriminators: int
    combine: Callable[[Array], Array]
    reads_fooled: bool
    axis_name: str | None

    # Several discriminators have their parameters and variables in dicts, one alone has them bare.

    def members(self, tree: PyTree) -> list[PyTree]:
        """Each discriminator's share of the parameters or variables."""
        return [tree] if self.discriminators == 1 else [tree[name] for name in self.names()]

    def together(self, trees: Sequence[PyTree]) -> PyTree:
        """The inverse of `members`."""
        return trees[0] if self.discriminators == 1 else dict(zip(self.names(), trees, strict=True))

    def names(self) -> list[str]:
        """Of the discriminators, in order."""
        return [f'discriminator{i:02d}' for i in range(self.discriminators)]

    def init(self, key: Key) -> dict[str, _Networks]:
        """See `Game.init`."""
        generator_key, discriminator_key = jax.random.split(key)
        keys = [discriminator_key]
        if self.discriminators > 1:
            keys = jax.random.split(discriminator_key, self.discriminators)
        each = zip(*map(self.discriminator.init, keys), strict=True)
        discriminator = tuple(self.together(trees) for trees in each)
        return {'generator': self.generator.init(generator_key), 'discriminator': discriminator}

    def memory(self, networks: dict[str, _Networks]) -> dict[str, PyTree]:
        """See `Game.memory`."""
        kept = {}
        terms = Pair(*(now + later for now, later in zip(self.now, self.later, strict=True)))
        if starts := _starts(terms.generator, networks['generator']):
            kept['generator_terms'] = starts
        members = zip(*map(self.members, networks['discriminator']), strict=True)
        starts = [_starts(terms.discriminator, member) for member in members]
        if any(starts):
            kept['discriminator_terms'] = starts
        if self.augmentation is not None and self.augmentation.controller is not None:
            kept['augmentation'] = jnp.float32(self.augmentation.initial)
        if self.replay:
            kept['replay'] = start_replay(self.replay, self._example_shape(networks['generator']), self.condition)
        return kept

    def _example_shape(self, generator: _Networks) -> tuple[int, ...]:
        label = None if self.condition is None else jnp.zeros((1, *self.condition.shape), self.condition.dtype)
        latent = self.latents(jax.random.key(0), jnp.arange(1))
        return jax.eval_shape(self.sample, *generator, latent, label).shape[1:]

    def sample(self, params: PyTree, variables: PyTree, latents: Array, condition: Array | None = None) -> Array:
        """See `Game.sample`."""
        return self.generator.apply(params, variables, latents, None, False, condition)[0]

    def gather(self, values: Array) -> Array:
        """[B, ...] of this device -> [B, ...] of the whole global batch."""
        return values if self.axis_name is None else jax.lax.all_gather(values, self.axis_name, tiled=True)

    def labels(self, batch: Batch) -> Array | None:
        """The conditions of a batch's real examples, which are also given to the fake ones."""
        if 'real' not in batch:
            raise UserError(f"The batch has {', '.join(sorted(batch))}, but this game needs 'real': real examples.")
        if self.condition is None:
            return None
        if 'label' not in batch:
            raise UserError("A conditional game needs the conditions of its examples: give batches a 'label' [B, ...].")
        return batch['label']

    def show(self, examples: Array, key: Key, positions: Array, state: GanState) -> Array:
        """The examples as the discriminator is shown them."""
        if self.augmentation is not None:
            strength = state.memory.get('augmentation', jnp.float32(self.augmentation.initial))
            examples = self.augmentation.apply(examples, stream(key, 'augmentation'), positions, strength)
        if self.noise is not None:
            examples = augment.instance_noise(examples, stream(key, 'noise'), positions, self.noise(state.step))
        return examples

    def generate(self, player: _Networks, key: Key, positions: Array, labels: Array | None):
        """The fake examples of a step, the generator's new variables, and the latents."""
        latents = self.latents(stream(key, 'latents'), positions)
        made, variables = self.generator.apply(*player, latents, stream(key, 'generator'), True, labels)
        return made, variables, latents

    def view(self, params: PyTree, pair: Pair, state: GanState, batch: Batch, key: Key, positions: Array, i: int):
        """What discriminator number i and the terms see of a pass, but for the fake examples: a partial `View`.

        Args:
            params: of the player that moves.
            pair: each network's (params, variables).
            state: before the step.
            batch: the real examples.
            key: of the step.
            positions: of the examples in the global batch.
            i: which discriminator.
        """
        labels, critic_key = self.labels(batch), stream(key, 'critic')

        def critic(examples: Array) -> Array:
            examples = self.show(examples, critic_key, positions, state).astype(jnp.float32)
            outputs, _ = self.critic.apply(*pair.discriminator, examples, critic_key, True, labels)
            return judgement(outputs).logits.astype(jnp.float32)

        def generate(latents: Array) -> Array:
            return self.generator.apply(*pair.generator, latents, stream(key, 'generator'), True, labels)[0]

        return functools.partial(
            View,
            params=params,
            critic=critic,
            generate=generate,
            real=batch['real'],
            condition=labels,
            key=jax.random.fold_in(stream(key, 'terms'), i),
            positions=positions,
            axis_name=self.axis_name,
        )

    def discriminator_loss(self, params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
        """See `Game`."""
        labels, maker = self.labels(batch), state.generator[:2]
        made, _, latents = self.generate(maker, key, positions, labels)
        fake, fake_labels, memory = made, labels, {}
        if self.replay:
            fake, fake_labels, memory['replay'] = exchange(
                state.memory['replay'], made, labels, stream(key, 'replay'), self.axis_name
            )
        real_shown = self.show(batch['real'], stream(key, 'show_real'), positions, state)
        fake_shown = self.show(fake, stream(key, 'show_fake'), positions, state)
        kept = state.memory.get('discriminator_terms', [{}] * self.discriminators)

        def one(i: int, params: PyTree, variables: PyTree):
            """Discriminator number i: its loss, new variables, metrics, terms' memory and mean sign on real ones."""
            real_key, fake_key, flip_key, noise_key = (
                jax.random.fold_in(stream(key, name), i) for name in ('real', 'fake', 'flip_labels', 'label_noise')
            )
            outputs, updated = self.discriminator.apply(params, variables, real_shown, real_key, True, labels)
            real_judgement = judgement(outputs)
            outputs, updated = self.discriminator.apply(params, updated, fake_shown, fake_key, True, fake_labels)
            fake_judgement = judgement(outputs)
            real_logits, fake_logits = self.gather(real_judgement.logits), self.gather(fake_judgement.logits)
            metrics, sign = _reading(real_logits, fake_logits), jnp.sign(real_logits).mean()
            if self.flip_labels:
                real_logits, fake_logits = losses.flip_labels(real_logits, fake_logits, flip_key, self.flip_labels)
            view = self.view(params, Pair(maker, (params, variables)), state, batch, key, positions, i)(
                latents=latents,
                fake=made,
                fake_condition=fake_labels,
                judge_real=lambda: real_judgement,
                fake_judgement=fake_judgement,
            )
            added, term_metrics, remembered = total(self.now.discriminator, view, kept[i])
            value = self.loss.discriminator(real_logits, fake_logits, noise_key) + added
            return value, updated, metrics | term_metrics, kept[i] | remembered, sign

        members = zip(self.members(params), self.members(state.discriminator.variables), strict=True)
        each = [one(i, *member) for i, member in enumerate(members)]
        values, updated, metrics, remembered, signs = zip(*each, strict=True)
        metrics = _mean(metrics)
        if 'discriminator_terms' in state.memory:
            memory['discriminator_terms'] = list(remembered)
        if 'augmentation' in state.memory:
            metrics['augmentation'] = state.memory['augmentation']
            memory['augmentation'] = self.augmentation.controller(
                state.memory['augmentation'], _mean(signs), len(self.gather(positions))
            )
        return sum(values), Outcome(self.together(updated), metrics, memory)

    def opponents(self, params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
        """The generator's pass before each discriminator: its new variables and one `View` for each."""
        labels, maker = self.labels(batch), (params, state.generator.variables)
        fake, variables, latents = self.generate(maker, key, positions, labels)
        fake_shown = self.show(fake, stream(key, 'show_fake'), positions, state)

        def one(i: int, *member: PyTree) -> View:
            def judge(examples: Array, name: str) -> Judgement:
                judge_key = jax.random.fold_in(stream(key, name), i)
                return judgement(self.discriminator.apply(*member, examples, judge_key, True, labels)[0])

            def judge_real() -> Judgement:
                return judge(self.show(batch['real'], stream(key, 'show_real'), positions, state), 'real')

            return self.view(params, Pair(maker, member), state, batch, key, positions, i)(
                latents=latents,
                fake=fake,
                fake_condition=labels,
                judge_real=judge_real,
                fake_judgement=judge(fake_shown, 'fake'),
            )

        members = zip(*map(self.members, state.discriminator[:2]), strict=True)
        return variables, [one(i, *member) for i, member in enumerate(members)]

    def generator_loss(self, params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
        """See `Game`."""
        variables, views = self.opponents(params, state, batch, key, positions)
        values = []
        for view in views:
            logits = self.gather(view.fake_judgement.logits)
            if self.top_share is not None:
                logits = learn_from_best(logits, self.top_share(state.step))
            real = self.gather(view.real_judgement.logits) if self.loss.generator_sees_real else None
            values.append(self.loss.generator(logits, real))
        added, metrics, memory = self.generator_terms(self.now.generator, views, state)
        if self.reads_fooled:
            metrics['fooled'] = _mean([(view.fake_judgement.logits > 0).mean() for view in views])
        return self.combine(jnp.stack(values)) + added, Outcome(variables, metrics, memory)

    def generator_terms(self, terms: tuple[Term, ...], views: Sequence[View], state: GanState, factor: float = 1.0):
        """Their mean over the discriminators; a term's memory is that of the first one's view."""
        kept = state.memory.get('generator_terms', {})
        added, metrics, remembered = zip(*(total(terms, view, kept, factor) for view in views), strict=True)
        memory = {'generator_terms': kept | remembered[0]} if kept else {}
        return _mean(added), _mean(metrics), memory

    def lazy_discriminator_loss(self, params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
        """The terms of the discriminators with an update of their own."""
        labels, maker = self.labels(batch), state.generator[:2]
        fake, _, latents = self.generate(maker, key, positions, labels)
        members = zip(self.members(params), self.members(state.discriminator.variables), strict=True)
        values, metrics = [], []
        for i, member in enumerate(members):
            view = self.view(member[0], Pair(maker, member), state, batch, key, positions, i)(
                latents=latents, fake=fake, fake_condition=labels, judge_real=None, fake_judgement=None
            )
            value, named, _ = total(self.later.discriminator, view, {}, self.every.discriminator)
            values, metrics = [*values, value], [*metrics, named]
        return sum(values), Outcome(state.discriminator.variables, _mean(metrics))

    def lazy_generator_loss(self, params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array):
        """The terms of the generator with an update of their own."""
        _, views = self.opponents(params, state, batch, key, positions)
        value, metrics, memory = self.generator_terms(self.later.generator, views, state, self.every.generator)
        return value, Outcome(state.generator.variables, metrics, memory)


def _reading(real: Array, fake: Array) -> dict[str, Array]:
    """How well logits [n] tell real from fake examples."""
    return {
        'real_probability': jax.nn.sigmoid(real).mean(),
        'fake_probability': jax.nn.sigmoid(fake).mean(),
        'accuracy': ((real > 0).mean() + (fake < 0).mean()) / 2,
    }


def _mean(trees: Sequence[PyTree]) -> PyTree:
    """The mean of trees of scalars."""
    return jax.tree.map(lambda *values: sum(values) / len(values), *trees)


def _starts(terms: Sequence[Term], network: _Networks) -> dict[str, PyTree]:
    """What terms remember before the first step."""
    return {term.name: term.memory(network) for term in terms if term.memory is not None}


def learn_from_best(logits: Array, share: Array | float) -> Array:
    """The logits [B], of which only the highest pass gradients on: top-k training.

    Sinha et al. 2020, "Top-k Training of GANs", algorithm 1. With k = ceil(share B) the gradient of a mean over the
    returned logits is that of the mean over the k best.
    """
    count = jnp.ceil(share * len(logits) - 1e-4)
    rank = jnp.sum(logits[None, :] > logits[:, None], axis=1)
    constant = jax.lax.stop_gradient(logits)
    return constant + jnp.where(rank < count, len(logits) / count, 0.0) * (logits - constant)
