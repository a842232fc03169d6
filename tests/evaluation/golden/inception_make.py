"""Makes the golden files of Inception with torch-fidelity 0.4.0, pytorch-fid 0.3.0, torch 2.13 and torchvision 0.28.

    python tests/evaluation/golden/inception_make.py TFDS_DIR

Real images of several sizes go through both networks, with the weights of ../features/random_inception.py:

- inception_images.npz: uint8 [H, W, C], from TFDS's mnist, cifar10 and tf_flowers (these resized by PIL);
- inception_statistics.npz: the batch norms' statistics in torch-fidelity's network in training mode over them, float16;
- inception_goldens.npz: torch-fidelity's taps of all, and pytorch-fid's of two, float32.
"""

import pathlib
import sys

import numpy as np
import pytorch_fid.inception
import torch
import torch_fidelity.feature_extractor_inceptionv3 as fidelity
from PIL import Image

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE.parent / 'features'), str(HERE.parents[2])]

import random_inception  # noqa: E402

TAPS = ['64', '192', '768', '2048', 'logits_unbiased', 'logits']


def fidelity_network(arrays, taps=TAPS):
    fidelity.load_state_dict_from_url = lambda *_, **__: as_tensors(arrays)
    return fidelity.FeatureExtractorInceptionV3('inception-v3-compat', taps)


def pytorch_fid_network(arrays):
    pytorch_fid.inception.load_state_dict_from_url = lambda *_, **__: as_tensors(arrays)
    return pytorch_fid.inception.InceptionV3((0, 1, 2, 3)).eval()


def as_tensors(arrays):
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    means = [name for name in arrays if name.endswith('running_mean')]
    return tensors | {name.replace('running_mean', 'num_batches_tracked'): torch.tensor(0) for name in means}


def as_batch(image):
    image = np.broadcast_to(image, (*image.shape[:2], 3))
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]


def real_images(directory):
    import tensorflow_datasets as tfds

    def images(name, split):
        return tfds.data_source(name, split=split, data_dir=directory)

    flower, other = (Image.fromarray(images('tf_flowers', 'train')[index]['image']) for index in (0, 1))
    return {
        'mnist': images('mnist', 'test')[0]['image'],
        'cifar10': images('cifar10', 'test')[0]['image'],
        'flower': np.asarray(flower.resize((128, 128), Image.BICUBIC)),
        'wide_flower': np.asarray(other.resize((96, 64), Image.BICUBIC)),
    }


def main():
    images = real_images(sys.argv[1])
    np.savez_compressed(HERE / 'inception_images.npz', **images)
    batches = {name: as_batch(image) for name, image in images.items()}

    network = fidelity_network(random_inception.random_arrays(), ['2048'])
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.train()
            module.momentum = 1.0
    resized = [
        fidelity.interpolate_bilinear_2d_like_tensorflow1x(batch.float(), (299, 299), align_corners=False)
        for batch in batches.values()
    ]
    network(torch.cat(resized).round().to(torch.uint8))
    state = network.state_dict()
    flat = {
        part: np.concatenate(
            [
                state[name.replace('running_mean', part)].numpy()
                for name in random_inception.published_shapes()
                if name.endswith('running_mean')
            ]
        ).astype(np.float16)
        for part in ('running_mean', 'running_var')
    }
    print({part: (values.min(), np.median(values), values.max()) for part, values in flat.items()})
    np.savez_compressed(HERE / 'inception_statistics.npz', **flat)

    arrays = random_inception.calibrated_arrays()
    network, goldens = fidelity_network(arrays), {}
    for name, batch in batches.items():
        for tap, values in zip(TAPS[:-1], network(batch), strict=False):
            goldens[f'torch-fidelity/{name}/{tap}'] = values[0].numpy()
    network = pytorch_fid_network(arrays)
    for name in ('mnist', 'wide_flower'):
        for tap, values in zip(TAPS, network(batches[name] / 255), strict=False):
            goldens[f'pytorch-fid/{name}/{tap}'] = values.mean(dim=(2, 3))[0].numpy()
    np.savez_compressed(HERE / 'inception_goldens.npz', **goldens)


if __name__ == '__main__':
    with torch.no_grad():
        main()
