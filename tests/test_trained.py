"""A run as its directory holds it."""

import numpy as np
from PIL import Image

from gan_jax import build, parallel, run
from gan_jax import config as configs
from gan_jax.checkpoint import Checkpoints
from gan_jax.trained import load_run


def test_classes_are_those_that_the_run_was_trained_on(tmp_path):
    def write(name):
        (tmp_path / 'data' / name).mkdir(parents=True)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / 'data' / name / 'a.png')

    for name in ('1', '2', '3', '10'):
        write(name)
    options = {'data.cache': str(tmp_path), 'generator.width': '4', 'discriminator.width': '4', 'latents.size': '4'}
    config = configs.load(f'configs/cgan.py:folder:{tmp_path}/data', options)
    dataset = run.load_data(config.data)
    state = build.init_state(config, build.make_game(config, dataset.shape, num_classes=dataset.num_classes))
    workdir = tmp_path / 'run'
    run.write_json(workdir / 'run.json', run.facts(dataset, parallel.make_layout(1, num_devices=1), state))
    with Checkpoints(workdir / 'checkpoints') as checkpoints:
        checkpoints.save(1, state, config=configs.to_json(config), metrics={})

    write('0')  # would shift every class if names were looked up today
    loaded = load_run(workdir)
    assert loaded.class_names == ('1', '10', '2', '3')
    assert loaded.classes(('1', '10', '3')) == (0, 1, 3)
    assert loaded.classes(None) == (0, 1, 2, 3)
