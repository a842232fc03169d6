"""A run, finished or in progress, read from its directory."""

import importlib.util
import os
import pathlib
import sys
import warnings
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from gan_jax import build, open_sets
from gan_jax.config import json_values
from gan_jax.errors import UserError, blaming
from gan_jax.examples.kinds import Kind, kind_of
from gan_jax.game import Game, Player, named_key
from gan_jax.layers.choices import choose
from gan_jax.ranges import STANDING
from gan_jax.records import description, provenance
from gan_jax.runtime import checkpoint
from gan_jax.sampling.latents import require_psi
from gan_jax.sampling.standing import with_standing_statistics
from gan_jax.sampling.styles import with_random_noise
from gan_jax.sampling.wanted_classes import choose_classes

NOISE = ('none', 'fixed', 'random')


class TrainedRun(NamedTuple):
    """A run at one of its checkpoints.

    Attributes:
        config: the run's.
        step: step of the checkpoint.
        game: the game.
        generator: its player.
        shape: shape of one example.
        num_classes: number of classes of the data's labels, or None.
        class_names: their names in order as they were when the run was trained, or None if they had none.
        shapes: shapes of one example in each field of its batches.
        discriminator: the player of a game that classifies, scores or is private, or None.
        encoder: the player 'encoder' of a game that has one, or None.
        passes: number of passes of the generator's standing statistics; 0: it has running averages.
        label_sets: the classes of each labelled part of the data, as `gan_jax.data.Dataset.label_sets`.
    """

    config: ConfigDict
    step: int
    game: Game
    generator: Player
    shape: tuple[int, ...]
    num_classes: int | None
    class_names: tuple[str, ...] | None = None
    shapes: Mapping[str, tuple[int, ...]] = MappingProxyType({})
    discriminator: Player | None = None
    encoder: Player | None = None
    passes: int = 0
    label_sets: Mapping[str, Sequence[str | int]] = MappingProxyType({})

    def __repr__(self) -> str:
        shape = 'x'.join(map(str, self.shape))
        return f'<Run: {self.config.model} on {self.config.data.name}, {shape}, at step {self.step}>'

    @property
    def kind(self) -> Kind:
        """The kind of its examples."""
        return kind_of(self.shape)

    @property
    def is_conditional(self) -> bool:
        """Whether the generator is conditional."""
        return self.game.given == 'label'

    def classes(self, wanted: Sequence[int | str] | None) -> tuple[int, ...] | None:
        """The numbers of the given classes (None: of all), or None if the generator is unconditional.

        Raises:
            UserError: a class does not exist, or classes are given for an unconditional generator.
        """
        if not self.is_conditional:
            if wanted is not None:
                raise UserError('The generator of this run is unconditional; remove --classes.')
            return None
        if wanted is None:
            return tuple(range(self.num_classes))
        return choose_classes(wanted, self.num_classes, self.class_names)

    def standing(self, passes: int | None, threshold: float | None = None) -> 'TrainedRun':
        """The run with standing statistics of a number of passes in its generator; None: as in its config, 0: none.

        Raises:
            UserError: as `gan_jax.sampling.standing.with_standing_statistics`.
        """
        passes = self.config.standing_statistics if passes is None else passes
        STANDING.check('--standing_statistics', passes)
        if not passes:
            return self
        classes = self.num_classes if self.is_conditional else None
        options = {'num_classes': classes, 'threshold': threshold, 'seed': self.config.seed}
        made = with_standing_statistics(self.game, self.generator, passes, self.config.batch_size, **options)
        return self._replace(generator=made, passes=passes)

    def truncated(self, psi: float) -> tuple['TrainedRun', float]:
        """The run with styles truncated by psi, and the remaining factor for its latents.

        A generator with styles gets psi as its option, so that each style goes towards their mean, and that factor is
        1. Other generators do not change, and the factor is psi; see `gan_jax.sampling.latents.towards_mean`.

        Raises:
            UserError: psi is not from -1 to 1.
        """
        if psi == 1 or 'styles' not in self.generator.variables:
            return self, psi
        require_psi(psi)
        return self.with_generator(psi=psi), 1.0

    def with_generator(self, **options: Any) -> 'TrainedRun':
        """The run with other options of the generator, such as psi, and the same parameters."""
        config = self.config.copy_and_resolve_references()
        config.generator.update(options)
        return self._replace(config=config, game=build.make_game(config, self.shape, **self._of_data))

    def float32_game(self) -> Game | None:
        """The game in float32 arithmetic; None: it is in float32 already."""
        return build.make_float32_game(self.config, self.shape, **self._of_data)

    @property
    def _of_data(self) -> dict[str, Any]:
        return {'num_classes': self.num_classes, 'shapes': self.shapes, 'label_sets': self.label_sets}

    def styled(self, flag: str) -> 'TrainedRun':
        """Returns the run itself.

        Raises:
            UserError: its generator has no styles, which the flag needs.
        """
        if self.game.styles is None:
            raise UserError(
                f'{flag} needs a style generator, but the model of this run, {self.config.model}, has no styles: use a '
                'run of another config, such as stylegan2.'
            )
        return self

    def noisy(self, noise: str | None) -> 'TrainedRun':
        """The run with 'none', 'fixed' or 'random' noise inputs in its style generator.

        Fixed noise is the same for all images. Random noise is drawn for each place in a batch, as in training, from
        the run's seed. None: as the run's config has it.

        Raises:
            UserError: the value is unknown, or the generator has no styles or no noise inputs.
        """
        if noise is None:
            return self
        choose(dict.fromkeys(NOISE), noise, 'noise')
        game = self.styled('--noise').game
        if 'noise' not in self.generator.variables:
            raise UserError('The style generator of this run has no noise inputs: omit --noise.')
        if noise != 'random':
            return self.with_generator(noise=noise == 'fixed')
        return self._replace(game=with_random_noise(game, named_key(self.config.seed, 'noise')))

    @property
    def weights(self) -> tuple[Any, Any]:
        """The parameters and variables for samples: the averages, if there are some."""
        return self.generator.weights


def is_run(path: str | os.PathLike) -> bool:
    """Whether a path is the directory of a run."""
    return (pathlib.Path(path) / 'run.json').is_file()


def import_model(workdir: str | os.PathLike) -> None:
    """Imports the modules of a run's networks, game and losses, for `load_run`; this executes their code.

    They are searched on Python's path, and then at the paths recorded by the run.

    Raises:
        UserError: the directory is not a run, or a module is missing or fails.
    """
    workdir = pathlib.Path(workdir)
    _data_facts(workdir)
    origins = description.read_origins(workdir)
    phases = [_peek(workdir, None)['config'], *(phase['config'] for phase in description.read_phases(workdir))]
    for name in dict.fromkeys(name for values in phases for name in json_values.foreign_modules(values)):
        if name in sys.modules:
            continue
        top, origin = name.partition('.')[0], origins.get(name, {})
        if importlib.util.find_spec(top) is None:
            root = pathlib.Path(origin.get('root', ''))
            if not origin or not any((root / one).exists() for one in (top, f'{top}.py')):
                raise UserError(
                    f'The module {name} of the run {workdir} is missing{_trained_with(origin)}: put it on PYTHONPATH.'
                )
            sys.path.append(str(root))
        with blaming(f'The module {name}'):
            importlib.import_module(name)
    for name in {name for values in phases for name in json_values.foreign_functions(values)}:
        open_sets.trust(name)


def warn_of_divergence(workdir: pathlib.Path, step: int) -> None:
    """Warns where the run in a directory diverged: a checkpoint's step is then its last good one, or an earlier one."""
    if (workdir / description.DIVERGED).exists():
        warnings.warn(f'{workdir} diverged in training; this is its checkpoint of step {step}.', stacklevel=3)


def _not_asked_for(values: dict[str, Any]) -> str:
    """The foreign code that a config names and that has not been allowed in this process; '' if there is none."""
    modules = [f'the module {name}' for name in json_values.foreign_modules(values) if name not in sys.modules]
    functions = [
        f'the function {name}' for name in json_values.foreign_functions(values) if not open_sets.is_trusted(name)
    ]
    return next(iter([*modules, *functions]), '')


def load_run(workdir: pathlib.Path, step: int | None = None) -> TrainedRun:
    """Reads a run from its directory; needs no data set.

    Args:
        workdir: a directory that `gan_jax.train.train` wrote.
        step: which checkpoint; the latest by default.

    Raises:
        UserError: the directory is not a run or does not have the checkpoint; or it needs a foreign module that has not
            been imported (see `import_model`).
    """
    workdir = pathlib.Path(workdir)
    _data_facts(workdir)
    about = _peek(workdir, step)
    if missing := _not_asked_for(about['config']):
        where = _trained_with(description.read_origins(workdir).get(missing.removeprefix('the module '), {}))
        raise UserError(
            f'The run {workdir} needs {missing}{where}, but reading a run only imports gan_jax: add '
            '--import_model if you trust it, which executes its code.'
        )
    config = json_values.from_json(about['config'])
    facts = _data_facts(workdir, config.phase.number)
    shapes = provenance.shapes(facts)
    shape, num_classes, label_sets = shapes['real'], provenance.num_classes(facts), provenance.label_sets(facts)
    game = build.make_game(config, shape, num_classes=num_classes, shapes=shapes, label_sets=label_sets)
    target = jax.eval_shape(build.initializer(config, game), jax.random.key(0))
    with checkpoint.Checkpoints(workdir / 'checkpoints') as checkpoints:
        step, state = checkpoints.restore(target, step)
    class_names = tuple(facts.get('class_names') or ()) or None
    discriminator = state.players[game.classifier] if game.is_judged else None
    encoder = state.players['encoder'] if game.encode else None
    players = {'generator': state.generator, 'discriminator': discriminator, 'encoder': encoder}
    known = {'num_classes': num_classes, 'class_names': class_names, 'shapes': shapes, 'label_sets': label_sets}
    return TrainedRun(config, step, game, shape=shape, **players, **known)


def _data_facts(workdir: pathlib.Path, phase: int | None = None) -> dict[str, Any]:
    try:
        return description.read_data_facts(workdir, phase)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f'{workdir} is not the directory of a run: its run.json cannot be read.') from error


def _peek(workdir: pathlib.Path, step: int | None) -> dict[str, Any]:
    about = checkpoint.peek(workdir / 'checkpoints', step)
    if about is None:
        raise UserError(f'{workdir} has no checkpoint yet; continue the run until it has saved one.')
    return about


def _trained_with(origin: dict[str, str]) -> str:
    return f' (trained with {origin["file"]})' if origin else ''
