"""Reading a run's directory calls nothing that nobody has asked for."""

import json
import pathlib

import pytest
from test_latent_pictures import save_untrained

from gan_jax import build, open_sets
from gan_jax import config as configs
from gan_jax.config import json_values
from gan_jax.errors import UserError
from gan_jax.main import main
from gan_jax.runtime.checkpoint import Checkpoints
from gan_jax.sampling import trained


@pytest.mark.parametrize(
    ('section', 'values'),
    [
        ('loss', {'name': 'os.mkdir', 'path': 'made'}),
        ('augment', {'name': 'os.mkdir', 'path': 'made'}),
        ('schedule', {'name': 'os.mkdir', 'path': 'made'}),
        ('generator_optimizer', {'name': 'os.mkdir', 'path': 'made'}),
        ('terms', ["os.mkdir(path='made')"]),
    ],
)
def test_no_function_named_by_a_strangers_run_is_called(tmp_path, monkeypatch, capsys, section, values):
    sizes = {'generator.widths': '(8,)', 'discriminator.widths': '(8,)'}
    workdir = save_untrained(tmp_path / 'run', 'configs/mlp.py', (8, 8, 1), None, **sizes)
    config = configs.load('configs/mlp.py', {'latents.size': '5', **sizes})
    state = build.init_state(config, build.make_game(config, (8, 8, 1)))
    changed = json_values.to_json(config) | {section: values}
    with Checkpoints(workdir / 'checkpoints') as checkpoints:
        checkpoints.save(4, state, config=changed, metrics={})
    (workdir / 'config.json').write_text(json.dumps(changed))
    monkeypatch.chdir(tmp_path)
    assert main(['--mode', 'sample', '--workdir', str(workdir)]) == 2
    assert 'needs the function ' in capsys.readouterr().err
    with pytest.raises(UserError, match='reading a run only imports gan_jax'):
        trained.load_run(pathlib.Path(workdir))
    assert not (tmp_path / 'made').exists()


def test_a_function_that_was_asked_for_is_trusted():
    assert not open_sets.is_trusted('math.hypot')
    functions = open_sets.OpenDict({}, 'loss')
    assert functions['math.hypot'](3, 4) == 5
    assert open_sets.is_trusted('math.hypot')
