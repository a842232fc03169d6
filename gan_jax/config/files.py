"""Config files: where a config is found, how its file is run, and absolute paths in place of relative ones."""

import importlib.util
import inspect
import os
import pathlib
import traceback

from ml_collections import ConfigDict

from gan_jax.config.overrides import phase_changes, phase_text, settle
from gan_jax.data import absolute_name
from gan_jax.errors import UserError, blaming
from gan_jax.layers.choices import nearest
from gan_jax.records import files

_RECIPES = pathlib.Path(__file__).parents[1] / 'configs'


def recipes() -> dict[str, pathlib.Path]:
    """The files of the package's recipes by name."""
    return {path.stem: path for path in sorted(_RECIPES.glob('*.py'))}


def located(spec: str) -> tuple[pathlib.Path, str]:
    """The file and the argument of `path/to/file.py:argument` or `recipe:argument`."""
    path, found, argument = spec.partition('.py:')
    if found or spec.endswith('.py'):
        return files.user_path(path + '.py' if found else path), argument
    name, _, argument = spec.partition(':')
    return recipes().get(name, files.user_path(name)), argument


def _load_file(path: pathlib.Path):
    if path.is_dir():
        raise UserError(f'{path} is a directory: give the config file itself, such as {path / "dcgan.py"}.')
    if not path.is_file():
        if path.stem in recipes():
            hint = f'gan_jax has a recipe of this name: --config {path.stem}.'
        else:
            beside = [str(file) for file in path.parent.glob('*.py') if path.suffix == '.py']
            hint = f'did you mean {nearest(str(path), sorted(beside) or recipes())}?'
        raise UserError(f'There is no config file {path}; {hint}')
    module_spec = importlib.util.spec_from_file_location(f'gan_jax_config_{path.stem}', path)
    module = importlib.util.module_from_spec(module_spec)
    with blaming(f'The config file {path}'):
        module_spec.loader.exec_module(module)
    if not hasattr(module, 'get_config'):
        raise UserError(f'The config file {path} defines no get_config(argument).')
    return module


def read(path: pathlib.Path, argument: str) -> ConfigDict:
    """What the `get_config` of a file returns.

    Raises:
        UserError: there is no such file, it defines no `get_config`, or that fails or returns no config.
    """
    get_config = _load_file(path).get_config
    try:
        inspect.signature(get_config).bind(argument)
    except TypeError as error:
        raise UserError(f'The get_config of {path} must take one argument, the text after the colon.') from error
    with blaming(f'The config file {path}'):
        try:
            config = get_config(argument)
        except (AttributeError, KeyError, TypeError) as error:  # a ConfigDict's refusal, or a mistake in the code
            frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
            if not frames[-1].f_globals['__name__'].startswith('ml_collections'):
                raise
            raise UserError(f'{path} uses the config incorrectly: {" ".join(str(error.args[0]).split())}') from error
    if not isinstance(config, ConfigDict):
        raise UserError(f'The get_config of {path} returns {config!r}; it must return a config made by base(model).')
    settle(config)
    return config


def make_absolute(config: ConfigDict) -> None:
    """Makes the paths in a config absolute, so that what a run records of it holds from every directory."""
    for key, absolute in _ABSOLUTE.items():
        section, _, name = key.partition('.')
        if config[section][name] is not None:
            config[section][name] = absolute(config[section][name])
    phases = map(phase_changes, config.earlier_phases)
    config.earlier_phases = tuple(
        phase_text({key: _ABSOLUTE.get(key, str)(value) for key, value in changes.items()}) for changes in phases
    )


def _absolute_path(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


def _absolute_extractor(spec: str) -> str:
    kind, _, file = spec.partition(':')
    return f'{kind}:{_absolute_path(file)}' if kind == 'classifier' and file.endswith('.npz') else spec


_ABSOLUTE = {
    'data.name': absolute_name,
    'data.directory': _absolute_path,
    'data.cache': _absolute_path,
    'evaluation.extractor': _absolute_extractor,
}
