"""Random combinations of the parts: three steps, finite numbers, untouched opponents, exact resume, or a refusal."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from gan_jax import build
from gan_jax import config as configs
from gan_jax.errors import UserError
from gan_jax.game import Pair
from gan_jax.losses import LOSSES
from gan_jax.optim import OPTIMIZERS
from gan_jax.parts import is_conditional
from gan_jax.runtime import snapshot
from tests.slow import slow_but

CONFIGS = pathlib.Path(__file__).parents[1] / 'configs'
BATCH, CLASSES = 8, 3
SMALL = {
    'batch_size': BATCH,
    'duration': '10 steps',
    'latents.size': 2,
    'generator.embedding_size': 4,
    'discriminator.embedding_size': 4,
    'discriminator.minibatch_kernels': 3,
    'reference_batch': 4,
    'generator_optimizer.learning_rate': 1e-5,  # steps that a penalty at random weights does not blow up
    'discriminator_optimizer.learning_rate': 1e-5,
}
POINTS = {'generator.widths': (8,), 'discriminator.widths': (8, 6)}
IMAGES = {'generator.width': 4, 'discriminator.width': 4}

# Each axis of the toolbox is a deck of overrides, dealt out until it is empty and shuffled anew.
DECKS = {
    'loss': [{'loss.name': name} for name in LOSSES],
    'penalty': [
        {},
        {'penalties.gradient_penalty.weight': 10.0},
        {'penalties.r1.weight': 1.0, 'penalties.r2.weight': 1.0},
        {'penalties.zero_centered.weight': 1.0, 'penalties.drift.weight': 0.001},
        {'penalties.dragan.weight': 10.0, 'penalties.orthogonal.generator_weight': 1e-4},
        {'penalties.lecam.weight': 0.3, 'penalties.consistency.latent_weight': 5.0},
        {'penalties.historical.generator_weight': 0.1, 'penalties.historical.discriminator_weight': 0.1},
        {'penalties.r1.weight': 1.0, 'lazy.discriminator': 2},
    ],
    'conditioning': [
        {},
        {},
        {'generator.conditioning': 'concatenate', 'discriminator.conditioning': 'concatenate'},
        {'generator.conditioning': 'normalization', 'discriminator.conditioning': 'projection'},
        {'generator.conditioning': 'concatenate', 'discriminator.conditioning': 'auxiliary'},
        {'generator.conditioning': 'concatenate', 'discriminator.conditioning': 'planes'},
        {'generator.conditioning': 'concatenate', 'discriminator.conditioning': 'contrastive'},
        {'generator.conditioning': 'concatenate', 'discriminator.conditioning': 'data_to_data'},
    ],
    'generator normalization': [{'generator.normalization': name} for name in ('batch', 'layer', 'virtual', 'pixel')],
    'discriminator normalization': [
        {'discriminator.normalization': name} for name in ('none', 'spectral', 'layer', 'batch', 'virtual')
    ],
    'minibatch': [{'discriminator.minibatch': name} for name in ('none', 'none', 'deviation', 'discrimination')],
    'dropout': [{}, {'discriminator.dropout': 0.3}],
    'schedule': [
        {},
        {'schedule.name': 'linear', 'schedule.warm_up': 0.2},
        {'schedule.name': 'cosine'},
        {'schedule.name': 'exponential'},
        {'schedule.name': 'step'},
    ],
    'generator optimizer': [{'generator_optimizer.name': name} for name in OPTIMIZERS],
    'discriminator optimizer': [{'discriminator_optimizer.name': name} for name in OPTIMIZERS],
    'limit': [
        {},
        {'discriminator_optimizer.clip_weights': 0.1},
        {'discriminator_optimizer.clip_norm': 1.0, 'generator_optimizer.weight_decay': 0.01},
    ],
    'steps': [{}, {}, {'generator_steps': 2}, {'discriminator_steps': 2}, {'accumulate': 2}],
    'balance': [{}, {}, {'balance.measure': 'accuracy'}, {'balance.measure': 'loss_ratio', 'balance.threshold': 0.5}],
    'memory': [{}, {}, {'replay': 16}],
    'opponents': [{}, {}, {'unrolled_steps': 2}, {'discriminators.number': 2, 'discriminators.combine': 'softmax'}],
    'noise': [{}, {'instance_noise.deviation': 0.1}, {'flip_labels': 0.1}],
    'generator loss': [{}, {'top_k.share': 0.5}, {'feature_matching.weight': 1.0}],
    'average': [{}, {'ema.half_life_kimg': 0.0}],
    'arithmetic': [{}, {}, {'dtype': 'bfloat16'}, {'recompute': 'True'}],
    'play': [{}, {}, {'play.name': 'simultaneous'}],
}
SENSELESS = [
    {'lazy.discriminator': 4},
    {'lazy.generator': 4},
    {'generator.conditioning': 'none', 'discriminator.conditioning': 'projection'},
    {'generator.conditioning': 'concatenate', 'discriminator.conditioning': 'none'},
    {
        'generator.conditioning': 'normalization',
        'generator.normalization': 'none',
        'discriminator.conditioning': 'planes',
    },
    {'replay': 4},
    {'augment.name': 'diffaugment'},  # of points
    {'penalties.consistency.fake_weight': 1.0},
    {'balance.measure': 'loss_ratio', 'loss.name': 'hinge'},
    {'feature_matching.weight': 0.0, 'feature_matching.alone': 'True'},
    {'play.name': 'consensus', 'discriminator_steps': 2},
]
# On images, whose networks take long to compile, what does not run the networks many times over.
IMAGE_DECKS = {
    name: DECKS[name] for name in ('loss', 'conditioning', 'schedule', 'memory', 'generator loss', 'arithmetic')
}
IMAGE_DECKS |= {
    'augment': [{'augment.name': 'ada', 'augment.adjust_kimg': 0.1}, {'augment.name': 'diffaugment'}],
    'penalty': [
        {'penalties.consistency.real_weight': 1.0, 'penalties.consistency.fake_weight': 1.0},
        {'penalties.r1.weight': 1.0},
    ],
    'normalization': [{'discriminator.normalization': 'layer'}, {'discriminator.normalization': 'spectral'}],
}
QUICKLY = {'xla_backend_optimization_level': 0, 'xla_llvm_disable_expensive_passes': True}  # to compile


def deal(rng, decks, count):
    """`count` combinations, each with one card of every deck."""
    hands = [{} for _ in range(count)]
    for deck in decks.values():
        order = np.concatenate([rng.permutation(len(deck)) for _ in range(-(-count // len(deck)))])
        for hand, card in zip(hands, order, strict=False):
            hand.update(deck[card])
    return hands


HANDS = deal(np.random.default_rng(3), DECKS, 6)
IMAGE_HANDS = deal(np.random.default_rng(5), IMAGE_DECKS, 2)


def load(family, overrides):
    size = POINTS if family == 'toy' else IMAGES
    texts = {key: str(value) for key, value in (SMALL | size | overrides).items()}
    return configs.load(str(CONFIGS / f'{family}.py'), texts)


def make(config, shape, monkeypatch):
    """The state before the first step, `step(state, batch, moves)`, and a batch.

    `moves` has for each player what its updates are multiplied by: 1, or 0 for one that stands still. So one compiled
    step serves for all.
    """
    batch = {
        'real': jnp.tanh(jax.random.normal(jax.random.key(1), (BATCH, *shape))),
        'label': jnp.arange(BATCH, dtype=jnp.int32) % CLASSES,
    }
    reference = (batch['real'][:4], batch['label'][:4] if is_conditional(config) else None)
    game = build.make_game(config, shape, num_classes=CLASSES, reference=reference)
    if game.batches > 1:
        batch = jax.tree.map(lambda leaf: jnp.stack([leaf] * game.batches), batch)
    optimizers = build.make_optimizers(config, game)

    def use(moves):
        scaled = {name: optax.chain(one, optax.scale(getattr(moves, name))) for name, one in optimizers.items()}
        monkeypatch.setattr(build, 'make_optimizers', lambda config, game: scaled)

    def step(state, batch, moves):
        use(moves)
        return build.make_step(config, game)(state, batch)

    use(Pair(1.0, 1.0))
    return build.init_state(config, game), jax.jit(step, compiler_options=QUICKLY), batch


def keys(config, prefix=''):
    for key, value in config.items():
        yield from keys(value, f'{prefix}{key}.') if isinstance(value, ConfigDict) else [prefix + key]


def numbers(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree) if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)]


def identical(a, b):
    return all(np.array_equal(x, y) for x, y in zip(numbers(a), numbers(b), strict=True))


def check_names_a_key(refusal, config):
    assert any(key in refusal for key in [*keys(config), 'normalisation']), refusal
    return False


def play(family, shape, overrides):
    """Plays a combination; returns whether it was played, or else refused by name."""
    config = load(family, overrides)
    with pytest.MonkeyPatch.context() as monkeypatch:
        try:
            start, step, batch = make(config, shape, monkeypatch)
        except UserError as refusal:
            return check_names_a_key(str(refusal), config)
        both = Pair(jnp.ones(()), jnp.ones(()))

        states, metrics = [start], []
        for _ in range(3):
            state, values = step(states[-1], batch, both)
            states, metrics = [*states, state], [*metrics, values]
        assert all(np.all(np.isfinite(leaf)) for leaf in numbers((states[-1], metrics))), metrics
        assert not identical(start.generator.params, states[-1].generator.params)

        resumed = snapshot.unpack(states[1], *snapshot.pack(states[1]))
        for values in metrics[1:]:
            resumed, again = step(resumed, batch, both)
            assert identical(values, again)
        assert identical(states[-1], resumed)

        for still, moved in (('generator', 'discriminator'), ('discriminator', 'generator')):
            before = states[1]  # at step 0 a warm-up moves nobody
            after, values = step(before, batch, both._replace(**{still: jnp.zeros(())}))
            assert identical(getattr(before, still).params, getattr(after, still).params)
            rests = moved == 'discriminator' and values.get('discriminator/moved') == 0
            assert rests or not identical(getattr(before, moved).params, getattr(after, moved).params)
    return True


@pytest.mark.filterwarnings('ignore:loss.name=wasserstein')
@pytest.mark.parametrize('overrides', slow_but(HANDS[1:2], HANDS), ids=range(6))
def test_a_random_combination_on_points_is_played_or_refused_by_name(overrides):
    play('toy', (2,), overrides)


@pytest.mark.parametrize('overrides', slow_but(IMAGE_HANDS[:1], IMAGE_HANDS), ids=range(2))
def test_a_random_combination_on_images_is_played(overrides):
    assert play('dcgan', (8, 8, 1), overrides)


@pytest.mark.filterwarnings('ignore:loss.name=wasserstein')
def test_what_makes_no_sense_is_refused_by_name_in_any_combination():
    hands = deal(np.random.default_rng(11), DECKS, len(SENSELESS))
    for hand, card in zip(hands, SENSELESS, strict=True):
        without_penalties = {key: value for key, value in hand.items() if not key.startswith(('penalties', 'lazy'))}
        assert not play('toy', (2,), without_penalties | card), card


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore:loss.name=wasserstein')
def test_a_larger_draw_is_played():
    """Refused are only the losses of either sign that are to be balanced by their ratio."""
    hands = deal(np.random.default_rng(7), DECKS, 40)
    played = [play('toy', (2,), overrides) for overrides in hands]
    signed = ('wasserstein', 'hinge', 'minimax', 'f_divergence', 'equilibrium')
    refused = [hand.get('balance.measure') == 'loss_ratio' and hand['loss.name'] in signed for hand in hands]
    assert [not one for one in played] == refused
