"""The passes of an adversarial game: the inputs of each player, and the losses of the turns.

Which pass updates what (batch statistics and all other variables; tested in tests/test_steps.py):

| step | differentiated | variables that change |
| --- | --- | --- |
| discriminator | its parameters | its own, by its pass over the real and then by its pass over the fake examples |
| generator | its parameters | its own, by its one pass |

The opponent always runs in training mode (batch norm normalises with the batch at hand) and what it would have
updated is discarded. A step therefore does not change the opponent. Passes for penalties update
nothing.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gan_jax import global_batch, losses, penalties
from gan_jax.augmentation import augment
from gan_jax.errors import UserError
from gan_jax.game import Array, Batch, GanState, Key, Outcome, Pair, PyTree, stream
from gan_jax.judgement import Judgement, judgement
from gan_jax.latent_step import LatentStep
from gan_jax.layers.choices import is_on
from gan_jax.losses import Loss
from gan_jax.networks import Network, check_network
from gan_jax.replay import exchange, start_replay
from gan_jax.terms import Term, View, total

_Networks = tuple[PyTree, PyTree]  # params and variables


class _DiscriminatorPass(NamedTuple):
    """The results of a discriminator's pass over the real and the fake examples.

    Attributes:
        loss: scalar.
        variables: its new variables.
        metrics: scalars by name.
        memory: new memory of its terms.
        controller: new number of the loss's controller, or None.
        sign: mean sign of its logits on the real examples of the global batch.
    """

    loss: Array
    variables: PyTree
    metrics: dict[str, Array]
    memory: dict[str, PyTree]
    controller: Array | None
    sign: Array


@dataclasses.dataclass(frozen=True)
class Passes:
    """The functions of the game; the fields are the arguments of `adversarial`, checked.

    `now` are the terms of every step, `later` those with a separate update after every `every`-th step.
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
    latent_step: LatentStep | None
    axis_name: str | None

    # Trees of several discriminators are dicts by name; that of a single discriminator has no such level.

    def members(self, tree: PyTree) -> list[PyTree]:
        """The parameters or variables of each discriminator."""
        return [tree] if self.discriminators == 1 else [tree[name] for name in self.names()]

    def together(self, trees: Sequence[PyTree]) -> PyTree:
        """The inverse of `members`."""
        return trees[0] if self.discriminators == 1 else dict(zip(self.names(), trees, strict=True))

    def names(self) -> list[str]:
        """The names of the discriminators, in order."""
        return [f'discriminator{i:02d}' for i in range(self.discriminators)]

    def init(self, key: Key) -> dict[str, _Networks]:
        """See `Game.init`."""
        generator_key, discriminator_key = jax.random.split(key)
        keys = [discriminator_key]
        if self.discriminators > 1:
            keys = jax.random.split(discriminator_key, self.discriminators)
        made = [self.discriminator.init(key) for key in keys]
        for one in made:
            check_network('discriminator', one)
        each = zip(*made, strict=True)
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
        if self.loss.controller:
            kept['loss'] = jnp.full(self.discriminators, self.loss.controller.start, jnp.float32)
        if self.replay:
            kept['replay'] = start_replay(self.replay, self._example_shape(networks['generator']), self.condition)
        return kept

    def _example_shape(self, generator: _Networks) -> tuple[int, ...]:
        """The shape of one generated example; a generator of random frames draws them in evaluation mode, too."""

        def one(key: Key) -> Array:
            label = None if self.condition is None else jnp.zeros((1, *self.condition.shape), self.condition.dtype)
            latents = self.latents(key, jnp.arange(1))
            return self.generator.apply(*generator, latents, key, False, label)[0][0]

        mapped = jax.vmap(one, axis_name=self.axis_name)  # the generator may need the axis
        return jax.eval_shape(mapped, jax.random.split(jax.random.key(0), 1)).shape[1:]

    def sample(self, params: PyTree, variables: PyTree, latents: Array, condition: Array | None = None) -> Array:
        """See `Game.sample`."""
        return self.generator.apply(params, variables, latents, None, False, condition)[0]

    def discriminate(self, params: PyTree, variables: PyTree, examples: Array, condition: Array | None = None) -> Array:
        """See `Game.discriminate`."""
        members = zip(self.members(params), self.members(variables), strict=True)
        return _mean(
            [
                judgement(self.discriminator.apply(*member, examples, None, False, condition)[0]).logits
                for member in members
            ]
        )

    def training_pass(
        self, params: PyTree, variables: PyTree, latents: Array, key: Key, condition: Array | None = None
    ) -> PyTree:
        """See `Game.training_pass`."""
        return self.generator.apply(params, variables, latents, key, True, condition)[1]

    def styles(self, params: PyTree, variables: PyTree, latents: Array, condition: Array | None = None) -> Array:
        """See `Game.styles`."""
        return self.generator.styles(params, variables, latents, None, False, condition)

    def synthesize(self, params: PyTree, variables: PyTree, styles: Array, key: Key | None = None) -> Array:
        """See `Game.synthesize`."""
        return self.generator.synthesize(params, variables, styles, key, key is not None)

    def gather(self, values: Array) -> Array:
        """[B, ...] of this device -> [B, ...] of the global batch."""
        return global_batch.gather(values, self.axis_name)

    def labels(self, batch: Batch) -> Array | None:
        """The conditions of a batch's real examples, which are also given to the fake ones."""
        if 'real' not in batch:
            raise UserError(f"The batch has {', '.join(sorted(batch))}, but this game needs 'real', the real examples.")
        if self.condition is None:
            return None
        if 'label' not in batch:
            raise UserError(
                "A conditional game needs the conditions of its examples: add 'label' [B, ...] to the batches."
            )
        return batch['label']

    def show(self, examples: Array, key: Key, positions: Array, state: GanState) -> Array:
        """The examples as inputs of the discriminator, augmented and with noise."""
        if self.augmentation is not None:
            strength = state.memory.get('augmentation', jnp.float32(self.augmentation.initial))
            examples = self.augmentation.apply(examples, stream(key, 'augmentation'), positions, strength)
        if self.noise is not None:
            examples = augment.instance_noise(examples, stream(key, 'noise'), positions, self.noise(state.step))
        return examples

    def generate(
        self, pair: Pair, state: GanState, key: Key, positions: Array, labels: Array | None
    ) -> tuple[Array, PyTree, Array]:
        """The fake examples of a step, the generator's new variables, and the latents.

        Args:
            pair: (params, variables) of the generator and of all discriminators.
            state: before the step.
            key: random key of the step.
            positions: positions of the examples in the global batch.
            labels: conditions of the examples.
        """

        def generate(latents: Array) -> tuple[Array, PyTree]:
            return self.generator.apply(*pair.generator, latents, stream(key, 'generator'), True, labels)

        def discriminate(latents: Array) -> Array:
            shown = self.show(generate(latents)[0], stream(key, 'show_fake'), positions, state)
            member_keys = (jax.random.fold_in(stream(key, 'fake'), i) for i in range(self.discriminators))
            members = zip(*map(self.members, pair.discriminator), member_keys, strict=True)
            return _mean(
                [
                    judgement(self.discriminator.apply(*member, shown, member_key, True, labels)[0]).logits
                    for *member, member_key in members
                ]
            )

        latents = self.latents(stream(key, 'latents'), positions)
        if self.latent_step is not None:
            latents = self.latent_step.moved(latents, discriminate)
        return *generate(latents), latents

    def view(
        self, params: PyTree, pair: Pair, state: GanState, batch: Batch, key: Key, positions: Array, i: int
    ) -> Callable[..., View]:
        """The partial `View` of a pass of discriminator i, without the fake examples.

        Args:
            params: parameters of the player that moves.
            pair: each network's (params, variables).
            state: before the step.
            batch: the real examples.
            key: random key of the step.
            positions: positions of the examples in the global batch.
            i: index of the discriminator.
        """
        labels, critic_key = self.labels(batch), stream(key, 'critic')

        def discriminate(examples: Array) -> Judgement:
            examples = self.show(examples, critic_key, positions, state).astype(jnp.float32)
            return judgement(self.critic.apply(*pair.discriminator, examples, critic_key, True, labels)[0])

        def critic(examples: Array) -> Array:
            return discriminate(examples).logits.astype(jnp.float32)

        def conditioned(latents: Array) -> tuple[Array, Key, Array | None]:
            """Latents [b, ...], the first of the batch, with the generator's key and their labels."""
            return latents, stream(key, 'generator'), jax.tree.map(lambda array: array[: len(latents)], labels)

        def generate(latents: Array) -> Array:
            latents, key, labels = conditioned(latents)
            return self.generator.apply(*pair.generator, latents, key, True, labels)[0]

        def styles(latents: Array) -> tuple[Array, Callable[[Array], Array]]:
            latents, key, labels = conditioned(latents)
            drawn = self.generator.styles(*pair.generator, latents, key, True, labels)
            return drawn, lambda styles: self.generator.synthesize(*pair.generator, styles, key, True)

        return functools.partial(
            View,
            params=params,
            discriminate=discriminate,
            critic=critic,
            generate=generate,
            draw=lambda key: self.latents(key, positions),
            real=batch['real'],
            condition=labels,
            key=jax.random.fold_in(stream(key, 'terms'), i),
            positions=positions,
            axis_name=self.axis_name,
            styles=self.generator.styles and styles,
            generator=pair.generator,
        )

    def discriminator_loss(
        self, params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array
    ) -> tuple[Array, Outcome]:
        """See `Game`."""
        labels, generator = self.labels(batch), state.generator[:2]
        opponents = Pair(generator, (params, state.discriminator.variables))
        generated, _, latents = self.generate(opponents, state, key, positions, labels)
        fake, fake_labels, memory = generated, labels, {}
        is_critic = self.critic is self.discriminator and not self.replay
        differentiated = {term.differentiates for term in self.now.discriminator} if is_critic else ()
        if self.replay:
            fake, fake_labels, memory['replay'] = exchange(
                state.memory['replay'], generated, labels, stream(key, 'replay'), self.axis_name
            )
        kept = state.memory.get('discriminator_terms', [{}] * self.discriminators)

        def one(i: int, params: PyTree, variables: PyTree) -> _DiscriminatorPass:
            flip_key, noise_key = (jax.random.fold_in(stream(key, name), i) for name in ('flip_labels', 'label_noise'))

            def discriminate(
                name: str, variables: PyTree, examples: Array, condition: Array | None
            ) -> tuple[Judgement, PyTree]:
                shown = self.show(examples, stream(key, f'show_{name}'), positions, state)
                member_key = jax.random.fold_in(stream(key, name), i)
                outputs, updated = self.discriminator.apply(params, variables, shown, member_key, True, condition)
                return judgement(outputs), updated

            def judge(
                name: str, variables: PyTree, examples: Array, condition: Array | None
            ) -> tuple[Judgement, PyTree]:
                if name not in differentiated:
                    return discriminate(name, variables, examples, condition)

                def critic(examples: Array) -> tuple[Array, tuple[Judgement, PyTree]]:
                    judged, updated = discriminate(name, variables, examples, condition)
                    return judged.logits, (judged, updated)

                gradients[name], judged = penalties.input_gradients(critic, examples, has_aux=True)
                return judged

            gradients = {}
            real_judgement, between = judge('real', variables, batch['real'], labels)
            fake_judgement, updated = judge('fake', between, fake, fake_labels)

            def discriminate_again(name: str, examples: Array) -> Array:
                return discriminate(name, {'real': variables, 'fake': between}[name], examples, labels)[0].logits

            real_logits, fake_logits = self.gather(real_judgement.logits), self.gather(fake_judgement.logits)
            metrics, sign = logit_metrics(real_logits, fake_logits), jnp.sign(real_logits).mean()
            loss, number = self.loss, None
            if loss.controller:
                before = state.memory['loss'][i]
                number, controller_metrics = loss.controller.update(before, real_logits, fake_logits)
                loss, metrics = loss.controller.at(before), metrics | controller_metrics
            if is_on(self.flip_labels):
                real_logits, fake_logits = losses.flip_labels(real_logits, fake_logits, flip_key, self.flip_labels)
            view = self.view(params, Pair(generator, (params, variables)), state, batch, key, positions, i)(
                latents=latents,
                fake=generated,
                fake_condition=fake_labels,
                discriminate_real=lambda: real_judgement,
                fake_judgement=fake_judgement,
                discriminate_again=discriminate_again if is_critic else None,
                gradients=gradients,
            )
            added, term_metrics, remembered = total(self.now.discriminator, view, kept[i])
            if loss.parts:
                names = ('real_loss', 'fake_loss')
                metrics |= dict(zip(names, loss.parts(real_logits, fake_logits, noise_key), strict=True))
            value = loss.discriminator(real_logits, fake_logits, noise_key) + added
            return _DiscriminatorPass(value, updated, metrics | term_metrics, kept[i] | remembered, number, sign)

        members = zip(self.members(params), self.members(state.discriminator.variables), strict=True)
        each = [one(i, *member) for i, member in enumerate(members)]
        metrics = _mean([member.metrics for member in each])
        if 'loss' in state.memory:
            memory['loss'] = jnp.stack([member.controller for member in each])
        if 'discriminator_terms' in state.memory:
            memory['discriminator_terms'] = [member.memory for member in each]
        if 'augmentation' in state.memory:
            metrics['augmentation'] = state.memory['augmentation']
            memory['augmentation'] = self.augmentation.controller(
                state.memory['augmentation'], _mean([member.sign for member in each]), len(self.gather(positions))
            )
        variables = self.together([member.variables for member in each])
        return sum(member.loss for member in each), Outcome(variables, metrics, memory)

    def opponents(
        self, params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array
    ) -> tuple[PyTree, list[View]]:
        """The generator's pass: its new variables, and one `View` for each discriminator."""
        labels, generator = self.labels(batch), (params, state.generator.variables)
        opponents = Pair(generator, state.discriminator[:2])
        fake, variables, latents = self.generate(opponents, state, key, positions, labels)
        fake_shown = self.show(fake, stream(key, 'show_fake'), positions, state)

        def one(i: int, *member: PyTree) -> View:
            def discriminate(examples: Array, name: str) -> Judgement:
                member_key = jax.random.fold_in(stream(key, name), i)
                return judgement(self.discriminator.apply(*member, examples, member_key, True, labels)[0])

            def discriminate_real() -> Judgement:
                return discriminate(self.show(batch['real'], stream(key, 'show_real'), positions, state), 'real')

            return self.view(params, Pair(generator, member), state, batch, key, positions, i)(
                latents=latents,
                fake=fake,
                fake_condition=labels,
                discriminate_real=discriminate_real,
                fake_judgement=discriminate(fake_shown, 'fake'),
            )

        members = zip(*map(self.members, state.discriminator[:2]), strict=True)
        return variables, [one(i, *member) for i, member in enumerate(members)]

    def generator_loss(
        self, params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array
    ) -> tuple[Array, Outcome]:
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

    def generator_terms(
        self, terms: tuple[Term, ...], views: Sequence[View], state: GanState, factor: float = 1.0
    ) -> tuple[Array, dict[str, Array], dict[str, PyTree]]:
        """The sum of terms, metrics and memory: means over the discriminators, but the memory is of the first view."""
        kept = state.memory.get('generator_terms', {})
        added, metrics, remembered = zip(*(total(terms, view, kept, factor) for view in views), strict=True)
        memory = {'generator_terms': kept | remembered[0]} if kept else {}
        return _mean(added), _mean(metrics), memory

    def lazy_discriminator_loss(
        self, params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array
    ) -> tuple[Array, Outcome]:
        """The terms of the discriminators with a separate update."""
        labels, generator = self.labels(batch), state.generator[:2]
        opponents = Pair(generator, (params, state.discriminator.variables))
        fake, _, latents = self.generate(opponents, state, key, positions, labels)
        kept = state.memory.get('discriminator_terms', [{}] * self.discriminators)
        members = zip(self.members(params), self.members(state.discriminator.variables), strict=True)
        each = []
        for i, member in enumerate(members):
            view = self.view(member[0], Pair(generator, member), state, batch, key, positions, i)(
                latents=latents, fake=fake, fake_condition=labels, discriminate_real=None, fake_judgement=None
            )
            each.append(total(self.later.discriminator, view, kept[i], self.every.discriminator))
        values, metrics, remembered = zip(*each, strict=True)
        memory = {}
        if 'discriminator_terms' in state.memory:
            memory['discriminator_terms'] = [old | new for old, new in zip(kept, remembered, strict=True)]
        return sum(values), Outcome(state.discriminator.variables, _mean(metrics), memory)

    def lazy_generator_loss(
        self, params: PyTree, state: GanState, batch: Batch, key: Key, positions: Array
    ) -> tuple[Array, Outcome]:
        """The terms of the generator with a separate update."""
        _, views = self.opponents(params, state, batch, key, positions)
        value, metrics, memory = self.generator_terms(self.later.generator, views, state, self.every.generator)
        return value, Outcome(state.generator.variables, metrics, memory)


def logit_metrics(real: Array, fake: Array) -> dict[str, Array]:
    """Metrics of how well logits [n] separate real from fake examples."""
    return {
        'real_probability': jax.nn.sigmoid(real).mean(),
        'fake_probability': jax.nn.sigmoid(fake).mean(),
        'accuracy': ((real > 0).mean() + (fake < 0).mean()) / 2,
    }


def _mean(trees: Sequence[PyTree]) -> PyTree:
    """The mean of trees of scalars."""
    return jax.tree.map(lambda *values: sum(values) / len(values), *trees)


def _starts(terms: Sequence[Term], network: _Networks) -> dict[str, PyTree]:
    """The initial memory of terms."""
    return {term.name: term.memory(network) for term in terms if term.memory is not None}


def learn_from_best(logits: Array, share: Array | float) -> Array:
    """The logits [B], with gradients only for the highest: top-k training.

    Sinha et al. 2020, "Top-k Training of GANs", algorithm 1. With k = ceil(share B) the gradient of a mean over the
    returned logits is that of the mean over the k best.
    """
    count = jnp.ceil(share * len(logits) - 1e-4)
    rank = jnp.sum(logits[None, :] > logits[:, None], axis=1)
    constant = jax.lax.stop_gradient(logits)
    return constant + jnp.where(rank < count, len(logits) / count, 0.0) * (logits - constant)
