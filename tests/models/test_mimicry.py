"""The residual networks against torch_mimicry's, by way of the converter of its weights."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_jax import losses, terms
from gan_jax.augmentation.augment import quarter_turns
from gan_jax.errors import UserError
from gan_jax.models import resnet
from gan_jax.penalties import gradient_norms
from tests import golden_files
from tools.weights import mimicry

NAMES = [
    'sngan32',
    'sngan64',
    'cganpd32',
    'ssgan32',
    'sagan32',
    'wgangp32',
    pytest.param('sagan128', marks=pytest.mark.slow),
]
CONVERTERS = {'G': mimicry.convert_generator, 'D': mimicry.convert_discriminator}


class Golden:
    """A golden file, its networks in our terms, and golden values of parts of a network in the shape of the whole."""

    def __init__(self, name, net):
        self.arrays = golden_files.read(f'mimicry_{name}')
        self.net, self.size = net, self.arrays['in/real'].shape[-1]
        self.state = self.named(f'p/{net}/')
        self.network = self.convert(self.state)
        self.norms = {'normalization': 'none', 'spectral_iterations': 0} if net == 'D' else {'spectral_iterations': 0}
        real, fake = (golden_files.nhwc(self.arrays[f'in/{one}']) for one in ('real', 'fake'))
        told = 'in/y' in self.arrays
        labels = (self.arrays['in/y'], self.arrays['in/y_fake']) if told else (None, None)
        self.real, self.fake = (real, labels[0]), (fake, labels[1])
        self.latents = (self.arrays['in/z'], labels[0])

    def named(self, prefix):
        return {key.removeprefix(prefix): array for key, array in self.arrays.items() if key.startswith(prefix)}

    def convert(self, state):
        return CONVERTERS[self.net](state, *([self.size] if self.net == 'D' else []))

    def module(self, **more):
        family = resnet.Generator if self.net == 'G' else resnet.Discriminator
        given = {'shape': (self.size, self.size, 3)} if self.net == 'G' else {}
        return family(num_classes=self.network.num_classes, **given, **(self.network.options | more))

    def known(self, prefix):
        """The variables where some arrays are those behind the prefix, and all others NaN."""
        found = self.named(prefix)
        state = {key: found.get(key, np.full(np.shape(array), np.nan)) for key, array in self.state.items()}
        return self.convert(state).variables

    def evaluating(self):
        """The module and variables of evaluation, where PyTorch divides by the singular value of the kept vectors."""
        state = dict(self.state)
        for key in self.state:
            layer, _, leaf = key.rpartition('.')
            if leaf in ('weight_u', 'sn_u'):
                kind = 'weight_orig' if leaf == 'weight_u' else 'weight'
                weight = state.pop(f'{layer}.{kind}')
                matrix, left = weight.reshape(len(weight), -1), state.pop(key).reshape(-1)
                right = state.pop(f'{layer}.weight_v', None)
                if right is None:  # the layers of mimicry's own iterate in evaluation, too
                    del state[f'{layer}.sn_sigma']
                    right = unit(left @ matrix)
                    left = unit(matrix @ right)
                state[f'{layer}.weight'] = weight / (left @ matrix @ right)
        return self.module(**self.norms), self.convert(state).variables


def unit(vector):
    return vector / np.linalg.norm(vector)


def assert_known(ours, golden, tolerance, least=1):
    """Equal where the golden values are known, of which there are at least so many arrays."""
    count = 0
    for path, wanted in jax.tree_util.tree_leaves_with_path(golden):
        if (where := ~np.isnan(wanted)).any():
            got = functools.reduce(lambda tree, key: tree[key.key], path, ours)
            golden_files.assert_close(np.asarray(got)[where], wanted[where], tolerance)
            count += 1
    assert count >= least


def assert_logits(ours, golden):
    np.testing.assert_allclose(ours, golden[:, 0], rtol=0, atol=1e-4 + 2e-5 * np.abs(golden).max())


def counts(golden, module):
    """How many values each batch normalisation takes its statistics of, in the shape of the statistics."""
    batch = len(golden.latents[0])
    stages = len(golden.network.options['widths']) - 1
    sides = {'BatchNorm_0': golden.size}
    for stage in range(stages):
        sides |= {f'UpBlock_{stage}': {f'BatchNorm_{norm}': golden.size >> (stages - stage - norm) for norm in (0, 1)}}
    return jax.tree.map(lambda side: batch * side**2, sides)


@pytest.mark.parametrize('name', NAMES)
def test_generators(name):
    golden = Golden(name, 'G')
    stages = len(golden.network.options['widths']) - 1
    module, variables = golden.evaluating()
    raw = f'c{stages + 2}'
    images = jax.jit(functools.partial(module.apply, train=False))(variables, *golden.latents)
    golden_files.assert_close(images, np.tanh(golden_files.nhwc(golden.arrays[f'out/G/eval/{raw}'])), 3e-5)

    module, variables = golden.module(), golden.network.variables
    cotangent = golden_files.nhwc(golden.arrays['in/cotangent'])

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def step(params, kept):
        changing = {'train': True, 'mutable': list(kept)}
        images, after = module.apply({'params': params, **kept}, *golden.latents, **changing)
        return jnp.mean(images * cotangent), (images, after)

    kept = {collection: values for collection, values in variables.items() if collection != 'params'}
    start = kept['batch_stats']
    passes = 2 if f'out/G/train2/{raw}' in golden.arrays else 1
    for number in range(1, passes + 1):
        gradients, (images, kept) = step(variables['params'], kept)
        if number == 1:
            assert_known({'params': gradients}, golden.known('out/G/vjp_grad/'), 2e-4, least=5)
        if f'out/G/train{number}/{raw}' in golden.arrays:
            wanted = golden_files.nhwc(golden.arrays[f'out/G/train{number}/{raw}'])
            golden_files.assert_close(images, np.tanh(wanted), 5e-5)
        else:
            wanted = golden_files.nhwc(golden.arrays[f'out/G/train{number}/{raw}[::4,::4]'])
            golden_files.assert_close(images[:, ::4, ::4], np.tanh(wanted), 5e-5)

    # PyTorch keeps the unbiased variance; what the passes have added to the old one differs by n / (n - 1).
    for place, ratio in jax.tree_util.tree_leaves_with_path(counts(golden, module)):
        here, there = (
            functools.reduce(lambda tree, key: tree[key.key], place, tree) for tree in (kept['batch_stats'], start)
        )
        remains = 0.9**passes * there['var']
        here['var'] = remains + (here['var'] - remains) * ratio / (ratio - 1)
    assert_known(kept, golden.known('out/G/train_after/'), 2e-5, least=4 * stages + 2)


@pytest.mark.parametrize('name', NAMES)
def test_discriminators(name):
    golden = Golden(name, 'D')
    module, variables = golden.evaluating()
    discriminate = jax.jit(functools.partial(module.apply, train=False))
    judged = discriminate(variables, *golden.real)
    assert_logits(judged.logits, golden.arrays['out/D/eval/logits_real'])
    assert_logits(discriminate(variables, *golden.fake).logits, golden.arrays['out/D/eval/logits_fake'])
    if module.rotations:
        np.testing.assert_allclose(judged.rotations, golden.arrays['out/D/eval/rot_logits_real'], atol=1e-4)
    blocks = golden.named('out/D/eval/block')
    attending = 1 if module.attention else None  # in both networks that have attention
    for number, features in enumerate(judged.features.values()):
        wanted = golden.arrays['out/D/eval/attn_block'] if number == attending else blocks.get(str(number + 1))
        if wanted is None:  # too large a map, of which there is a summary
            summary = [features.mean(), features.std(), features.min(), features.max()]
            golden_files.assert_close(np.array(summary), blocks[f'{number + 1}[stats]'], 1e-4)
            continue
        golden_files.assert_close(features, golden_files.nhwc(wanted), 2e-5)

    module, variables = golden.module(), golden.network.variables
    params, kept = variables['params'], {'spectral': variables.get('spectral', {})}
    loss = losses.LOSSES['wasserstein' if name == 'wgangp32' else 'hinge']()

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def step(params, kept):
        def discriminate(kept, examples):
            judged, after = module.apply({'params': params, **kept}, *examples, train=True, mutable=['spectral'])
            return judged.logits, after

        real, between = discriminate(kept, golden.real)
        again, after = discriminate(between, golden.real)
        fake, _ = discriminate(between, golden.fake)
        return loss.discriminator(real, fake), (real, again, between, after, loss.generator(fake, real))

    (value, (real, again, between, after, of_generator)), gradients = step(params, kept)
    assert_logits(real, golden.arrays['out/D/train1/logits_real'])
    np.testing.assert_allclose(value, golden.arrays['out/D/loss'], atol=1e-4)
    np.testing.assert_allclose(of_generator, golden.arrays['out/G/loss'], atol=1e-4)
    assert_known({'params': gradients}, golden.known('out/D/grad/'), 3e-4, least=5)
    twice = 'out/D/train2/logits_real' in golden.arrays
    if twice:
        assert_logits(again, golden.arrays['out/D/train2/logits_real'])
    if 'spectral' in variables:
        wanted = {'spectral': golden.known('out/D/train_after/')['spectral']}
        assert_known(after if twice else between, wanted, 2e-5, least=len(jax.tree.leaves(after)))


def test_gradient_penalty():
    golden = Golden('wgangp32', 'D')
    module, variables = golden.module(), golden.network.variables
    (real, _), (fake, _), share = golden.real, golden.fake, golden_files.nhwc(golden.arrays['in/gp_alpha'])

    @jax.jit
    @jax.value_and_grad
    def penalty(params):
        def critic(images):
            return module.apply({'params': params}, images, train=True).logits

        return 10 * jnp.mean((gradient_norms(critic, share * real + (1 - share) * fake) - 1) ** 2)

    value, gradients = penalty(variables['params'])
    np.testing.assert_allclose(value, golden.arrays['out/D/gp_loss'], rtol=1e-5)
    assert_known({'params': gradients}, golden.known('out/D/gp_grad/'), 2e-4, least=4)


def test_rotation_loss():
    golden = Golden('ssgan32', 'D')
    module, variables = golden.evaluating()
    turns, images = golden.arrays['out/D/rot_labels'], golden_files.nhwc(golden.arrays['out/D/rot_images'])
    np.testing.assert_array_equal(quarter_turns(jnp.asarray(golden.real[0]), jnp.asarray(turns)), images)
    discriminate = functools.partial(module.apply, variables, train=False)
    (term,) = terms.rotation().discriminator
    value, _ = term.value(types.SimpleNamespace(discriminate=discriminate, real=golden.real[0], positions=turns), None)
    np.testing.assert_allclose(value, golden.arrays['out/D/ss_loss_eval'], rtol=1e-5)


def test_weights_of_other_networks_are_refused():
    golden = Golden('cganpd32', 'G')
    other = {key: array for key, array in golden.state.items() if not key.startswith('c5.')}
    with pytest.raises(UserError, match=r'generator have no c5\.weight: they belong to another'):
        mimicry.networks(other, None)
    with pytest.raises(UserError, match=r'have extra\.bias, which the network does not have:'):
        mimicry.networks(golden.state | {'extra.bias': np.zeros(1)}, None)
    alone = golden_files.read('mimicry_wgangp32')
    judging = {key.removeprefix('p/D/'): array for key, array in alone.items() if key.startswith('p/D/')}
    with pytest.raises(UserError, match='has 5 classes, but the discriminator no'):
        mimicry.networks(golden.state, judging)
