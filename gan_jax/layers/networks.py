"""Common parts of the networks of all families: options, conditioning, the last layers of a discriminator."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gan_jax import global_batch
from gan_jax.errors import UserError
from gan_jax.judgement import Judgement
from gan_jax.layers.choices import choose, require, require_positive
from gan_jax.layers.conditioning import Embedding, as_vectors, planes
from gan_jax.layers.linear import Dense, weight_options
from gan_jax.layers.minibatch import MinibatchDiscrimination, minibatch_deviation
from gan_jax.ranges import COUNT, COUNT_OR_NONE, DECAY, SHARE, Range

CONTRASTIVE = ('contrastive', 'data_to_data')


class LayerOptions(nn.Module):
    """Options of the layers of every network.

    Attributes:
        normalization: normalization of the layers' activations, as in `gan_jax.layers.normalization.normalize`;
            'spectral': of all weights instead. A layer has a bias if no normalisation with a shift follows.
        spectral_iterations: power iterations of the spectral normalisation of all weights, beside any normalisation of
            activations; 0: none, or 1 where the normalization is 'spectral'.
        momentum: momentum of batch statistics: new = momentum old + (1 - momentum) batch.
        initializer: initializer of the weights: 'normal' (deviation 0.02), 'xavier', 'he', 'lecun' or 'orthogonal'.
        dtype: dtype of the arithmetic; parameters are float32.
        axis_name: the mapped axis over which batch statistics are global.
    """

    normalization: str = 'none'
    spectral_iterations: Annotated[int, Range(0, 100)] = 0
    momentum: Annotated[float, SHARE] = 0.9
    initializer: str = 'normal'
    dtype: Any = jnp.float32
    axis_name: str | None = None


class _Network(LayerOptions):
    """Options of both players.

    Attributes:
        num_classes: the number of classes of a condition, or the width of its vectors; None: there are none.
        conditioning: the kind of conditioning, or 'none'.
        embedding_size: size of a condition that is concatenated.
    """

    num_classes: int | None = None
    conditioning: str = 'none'
    embedding_size: Annotated[int, COUNT] = 50

    def _checked(self, condition: jax.Array | None, conditionings: tuple[str, ...]) -> jax.Array | None:
        choose(dict.fromkeys(conditionings), self.conditioning, 'conditioning')
        iterations = self.spectral_iterations
        require(isinstance(iterations, int) and iterations >= 0, 'spectral_iterations', iterations, '0 or more')
        if self.conditioning == 'none':
            return None
        require_positive(self, 'embedding_size')
        what = f'{type(self).__name__.lower()}.conditioning is {self.conditioning!r}, but '
        if self.num_classes is None:
            raise UserError(f"{what}num_classes is None: choose data with labels, or set the conditioning to 'none'.")
        if condition is None and self.conditioning != 'auxiliary':
            raise UserError(f"{what}the network got no condition: pass one, or set the conditioning to 'none'.")
        return condition

    def _embedded(self, condition: jax.Array, deviation: float, train: bool) -> jax.Array:
        """The condition's embedding [B, embedding_size], which starts with that standard deviation."""
        options = {
            'kernel_init': nn.initializers.normal(deviation),
            'spectral_iterations': weight_options(self)['spectral_iterations'],
        }
        return Embedding(self.num_classes, self.embedding_size, **options)(condition, train=train)


class _Maker(nn.Module):
    """A field without default, which dataclasses need before all others, and so in the last base."""

    shape: tuple[int, ...]


class EncoderNetwork(LayerOptions, _Maker):
    """An encoder of any family: examples [B, ...] -> codes [B, n] or an `Encoding`.

    Attributes:
        shape: (n,).
    """


class GeneratorNetwork(_Network, _Maker):
    """A generator of any family: latents [B, n] and a condition -> examples [B, *shape], float32.

    The conditioning is one of

    - 'concatenate': an embedding is concatenated to the latents (Mirza and Osindero 2014);
    - 'normalization': scale and shift of every normalised layer (de Vries et al. 2017; Miyato and Koyama 2018).

    Attributes:
        shape: shape of one example.
    """

    def take(
        self, latents: jax.Array, condition: jax.Array | None, *, train: bool, deviation: float = 0.05
    ) -> tuple[jax.Array, jax.Array | None]:
        """The input of the first layer, and the condition of the normalised layers or None.

        Latents have deviation 1, and class embeddings start small, so that the classes do not dominate at first.

        Args:
            latents: [B, n].
            condition: condition of the examples.
            train: whether spectral normalisation updates its vector.
            deviation: initial standard deviation of the embedding of a concatenated condition.

        Raises:
            UserError: the options or the condition are impossible.
        """
        condition = self._checked(condition, ('none', 'concatenate', 'normalization'))
        if self.conditioning != 'concatenate':
            return latents, condition
        embedding = self._embedded(condition, deviation, train)
        return jnp.concatenate([latents, embedding.astype(latents.dtype)], axis=-1), None


class DiscriminatorNetwork(_Network):
    """A discriminator of any family: examples [B, ...] and a condition -> `Judgement` with float32 logits.

    The conditioning is one of

    - 'planes': vectors (one-hot for classes) are appended as constant channels;
    - 'concatenate': an embedding of it behind the last features, once a dense layer has brought those to its scale, and
      a hidden layer over both (Mirza and Osindero 2014); without it the logit would be a sum over features and class;
    - 'projection': logit = final(features) + <embedding, features summed over space> (Miyato and Koyama 2018, "cGANs
      with Projection Discriminator", equation 3);
    - 'auxiliary': the condition does not enter, but there are logits of classes from the last features (AC-GAN; Odena
      et al. 2017);
    - 'label_logits': the last layer has a logit of each class, of which that of the example's class is taken (Mescheder
      et al. 2018, "Which Training Methods for GANs do actually Converge?"; StyleGAN);
    - 'contrastive' (ContraGAN; Kang and Park 2020) or 'data_to_data' (ReACGAN; Kang et al. 2021): the condition does
      not enter the logit, but there are unit vectors of the example, from its features summed over space, and of its
      class; see `gan_jax.terms.classes`.

    Attributes:
        rotations: whether there are four logits of quarter turns from the last features, for SSGAN's term of rotations
            (Chen et al. 2019, "Self-Supervised GANs via Auxiliary Rotation Loss").
        joint_width: units of the two layers around a concatenated embedding.
        contrast_width: width of the vectors of contrastive conditioning.
        dropout: rate after each layer or stage, in training.
        minibatch: 'none', 'deviation' or 'discrimination', which let the logit depend on the whole batch; see
            `gan_jax.layers.minibatch`. Projection and auxiliary classes see the features without them.
        minibatch_group: examples of a group for the deviation; 0: the whole global batch.
        minibatch_features: features of the deviation.
        minibatch_kernels: features of the discrimination.
        minibatch_dims: dimensions of each of these.
        slicing: whether the direction of the last layer has a separate loss (SAN); see `slice_features`.
    """

    rotations: bool = False
    joint_width: Annotated[int, COUNT] = 256
    contrast_width: Annotated[int, COUNT] = 512
    dropout: Annotated[float, DECAY] = 0.0
    minibatch: str = 'none'
    minibatch_group: Annotated[int, COUNT_OR_NONE] = 4
    minibatch_features: Annotated[int, COUNT] = 1
    minibatch_kernels: Annotated[int, COUNT] = 50
    minibatch_dims: Annotated[int, COUNT] = 5
    slicing: bool = False

    def see(self, examples: jax.Array, condition: jax.Array | None) -> jax.Array:
        """The examples [B, ..., C], with planes of the condition if that is the conditioning.

        Raises:
            UserError: the options or the condition are impossible.
        """
        kinds = 'none', 'concatenate', 'planes', 'projection', 'auxiliary', 'label_logits', *CONTRASTIVE
        condition = self._checked(condition, kinds)
        if self.conditioning != 'planes':
            return examples
        return planes(examples, self._one_hot(condition))

    def judgement(
        self,
        hidden: jax.Array,
        condition: jax.Array | None,
        features: Mapping[str, jax.Array],
        *,
        train: bool,
        final: Callable[[jax.Array, int, bool, dict[str, Any]], jax.Array] | None = None,
    ) -> Judgement:
        """The judgement from the last features.

        Args:
            hidden: the last features [B, ..., C].
            condition: condition of the examples; checked by `see`.
            features: those of all layers, for the judgement.
            train: whether spectral normalisation updates its vector.
            final: (last features, n, train, options of weights) -> logits [B, n]; None: `dense_logits`.

        Raises:
            UserError: the options cannot be combined, or the batch size does not fit the minibatch layer.
        """
        weights = weight_options(self) | {'dtype': jnp.float32}
        hidden = hidden.astype(jnp.float32)
        last = choose(MINIBATCHES, self.minibatch, 'minibatch layer')(self, hidden, train, weights)
        if self.conditioning == 'concatenate':
            require_positive(self, 'joint_width')
            options = weights | {'kernel_init': nn.initializers.he_normal()}
            last = nn.leaky_relu(Dense(self.joint_width, name='reduced', **options)(flatten(last), train=train), 0.2)
            last = jnp.concatenate([last, self._embedded(condition, 1.0, train)], axis=-1)
            last = nn.leaky_relu(Dense(self.joint_width, name='joint', **options)(last, train=train), 0.2)
        turns = Dense(4, name='rotations', **weights)(flatten(hidden), train=train) if self.rotations else None
        options = {name: weights[name] for name in ('kernel_init', 'spectral_iterations')}
        if self.slicing:
            judged = self._sliced_judgement(hidden, last, condition, features, train, weights)
        else:
            logits, classes = (final or dense_logits)(last, self._num_logits, train, weights), None
            logits = logits[:, 0] if self._num_logits == 1 else (logits * self._one_hot(condition)).sum(-1)
            if self.conditioning == 'projection':
                embedding = Embedding(self.num_classes, hidden.shape[-1], **options)(condition, train=train)
                logits += (embedding * _summed(hidden)).sum(-1)
            elif self.conditioning == 'auxiliary':
                classes = Dense(self.num_classes, name='classes', **weights)(flatten(hidden), train=train)
            judged = Judgement(logits, classes, features)
        if self.conditioning in CONTRASTIVE:
            require_positive(self, 'contrast_width')
            embeddings = Dense(self.contrast_width, name='embedding', **weights)(_summed(hidden), train=train)
            proxies = Embedding(self.num_classes, self.contrast_width, name='proxies', **options)
            vectors = {'embeddings': _unit(embeddings), 'proxies': _unit(proxies(condition, train=train))}
            judged = judged._replace(**vectors)
        return judged._replace(rotations=turns)

    @property
    def _num_logits(self) -> int:
        return self.num_classes if self.conditioning == 'label_logits' else 1

    def _one_hot(self, condition: jax.Array) -> jax.Array:
        return as_vectors(condition, self.num_classes)

    def _sliced_judgement(self, hidden, last, condition, features, train, weights) -> Judgement:
        """The judgement with a separate loss for the direction of the last layer, and of the class in a projection."""
        last, classes = flatten(last), None
        directions = self.param('direction', weights['kernel_init'], (last.shape[-1], self._num_logits)).T
        direction = directions[0] if self._num_logits == 1 else self._one_hot(condition) @ directions
        options = {name: weights[name] for name in ('kernel_init', 'spectral_iterations')}
        if self.conditioning == 'projection':
            require(self.minibatch == 'none', 'discriminator.minibatch', self.minibatch, "'none' under slicing")
            embedding = Embedding(self.num_classes, hidden.shape[-1], **options)(condition, train=train)
            direction = direction + jnp.tile(embedding, last.shape[-1] // hidden.shape[-1])
        elif self.conditioning == 'auxiliary':
            classes = Dense(self.num_classes, name='classes', **weights)(flatten(hidden), train=train)
        logits, along = slice_features(last, direction)
        return Judgement(logits, classes, features, along)


def slice_features(features: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The last layer of slicing adversarial networks: <features, weights> twice, with two gradients.

    Takida et al. 2024, "SAN: Inducing Metrizability of GAN with Discriminative Normalized Linear Layer", section 5. The
    weights are a length times a direction. The game's loss of the first result teaches features and length; the second
    teaches the direction alone, to tell apart the means of real and fake features as well as it can.

    Args:
        features: [B, n].
        weights: [n], or [B, n] where each example has its own.

    Returns:
        Two arrays [B] of the same values.
    """
    length = jnp.sqrt(jnp.sum(weights**2, axis=-1, keepdims=True) + 1e-24)
    direction, scaled = weights / length, features * length
    held = jax.lax.stop_gradient
    return (scaled * held(direction)).sum(-1), (held(scaled) * direction).sum(-1)


def _summed(hidden: jax.Array) -> jax.Array:
    """[B, ..., C] -> [B, C], summed over space."""
    return hidden.reshape(len(hidden), -1, hidden.shape[-1]).sum(1)


def _unit(vectors: jax.Array) -> jax.Array:
    return vectors * jax.lax.rsqrt((vectors**2).sum(-1, keepdims=True) + 1e-12)


def flatten(values: jax.Array) -> jax.Array:
    """[B, ...] -> [B, n]."""
    return values.reshape(len(values), -1)


def dense_logits(hidden: jax.Array, outputs: int, train: bool, weights: dict[str, Any]) -> jax.Array:
    """Logits [B, outputs] from features [B, ...] by a dense layer."""
    return Dense(outputs, **weights)(flatten(hidden), train=train)


def _no_minibatch(network, hidden, train, weights):
    return hidden


def _axis_of(network: DiscriminatorNetwork, train: bool) -> str | None:
    """The mapped axis of the batch, outside of which networks are initialised and evaluated."""
    return global_batch.axis_of(network) if train else None


def _deviation(network: DiscriminatorNetwork, hidden, train, weights):
    require_positive(network, 'minibatch_features')
    group = network.minibatch_group
    require(isinstance(group, int) and group >= 0, 'discriminator.minibatch_group', group, '0 or more')
    # Parameters do not depend on the batch. Initialisation has a single example, which is no group.
    group = 0 if network.is_initializing() else group
    return minibatch_deviation(hidden, group, network.minibatch_features, _axis_of(network, train))


def _discrimination(network: DiscriminatorNetwork, hidden, train, weights):
    require_positive(network, 'minibatch_kernels', 'minibatch_dims')
    options = {name: weights[name] for name in ('kernel_init', 'spectral_iterations')}
    axis_name = _axis_of(network, train)
    layer = MinibatchDiscrimination(network.minibatch_kernels, network.minibatch_dims, axis_name, **options)
    return layer(flatten(hidden), train=train)


MINIBATCHES = {'none': _no_minibatch, 'deviation': _deviation, 'discrimination': _discrimination}
