"""A member of a population, or a single run: its files, its restoration after divergence, and its end."""

import contextlib
import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import numpy as np
from ml_collections import ConfigDict

from gan_jax import config as configs
from gan_jax import data, privacy
from gan_jax.config import json_values
from gan_jax.errors import DivergedError
from gan_jax.examples.kinds import kind_of
from gan_jax.game import Game, GanState, Player
from gan_jax.pages import pictures, run_page
from gan_jax.records import description, report, starts
from gan_jax.records.plane import Frame
from gan_jax.records.writers import Writers
from gan_jax.runtime import checkpoint, parallel
from gan_jax.runtime.checkpoint import Checkpoints
from gan_jax.runtime.pace import Metrics, Stretch
from gan_jax.sampling import plane, shown
from gan_jax.sampling import samples as sampling
from gan_jax.training import run
from gan_jax.training.stage import Stage

_MAX_RESTORES = 3  # of on_nan='restore', in one start


@dataclasses.dataclass
class Member:
    """A run in its directory: records, pictures, evaluations and checkpoints.

    Attributes:
        name: prefix of its messages: 'member-1: ', or '' for a single run.
        whole: the config of the complete run.
        workdir: its directory.
        checkpoints: its checkpoints.
        phases: the config and the data of each phase.
        stage: its current phase, once it has entered one.
        config: the config of that phase.
        samples: the samples of its pictures in that phase.
        view: makes the frame of a state, in a game in the plane; else None.
        evaluate: evaluates the players and records the values; see `gan_jax.training.run.make_evaluation`.
        standing: gives the generator the statistics for samples; see `gan_jax.training.run.make_standing`.
        given_up: the reason why it is no longer trained, or None.
        out: its records during training.
        means: means of the metrics of the last line, and its evaluation; empty inside a line.
        unfinished: the metrics of the stretches since the last line.
    """

    name: str
    whole: ConfigDict
    workdir: pathlib.Path
    checkpoints: Checkpoints
    phases: Sequence[tuple[ConfigDict, data.Dataset]]
    stage: Stage | None = None
    config: ConfigDict | None = None
    samples: sampling.Samples | shown.Shown | None = None
    view: Callable[[GanState], Frame] | None = None
    evaluate: Callable[[int, Mapping[str, Player], Writers, int], dict[str, float]] | None = None
    standing: Callable[[Player], Player] | None = None
    given_up: DivergedError | None = None
    out: Writers | None = None
    means: dict[str, float] = dataclasses.field(default_factory=dict)
    unfinished: list[Metrics] = dataclasses.field(default_factory=list)
    _has_begun: bool = False
    _restores: int = 0
    _noise: tuple[int | None, int] = (None, 0)  # (step from which the noise is changed, number of the change)

    @property
    def dataset(self) -> data.Dataset:
        """The training data of the current phase."""
        return self.stage.dataset

    @property
    def game(self) -> Game:
        """The game that samples."""
        return self.stage.game

    def enter(self, stage: Stage, place: int) -> None:
        """Enters a phase, as the member with this index in its population."""
        if stage is not self.stage:
            self.stage, self.config = stage, stage.recipe.member(place)
            number, seed = self.config.samples, self.config.seed
            self.samples = sampling.of_run(stage.game, number, seed, stage.dataset, stage.classes)
            self.view = plane.make_view(self.config, stage.game, stage.dataset, self.samples.latents)
            self.evaluate = stage.evaluate
            self.standing = run.make_standing(self.config, stage.dataset, stage.classes)

    def begin(self, step: int, state: GanState) -> None:
        """Writes to the directory what is known before the next step: config, facts and a grid of real images."""
        layout = self.stage.program.layout
        if not self._has_begun and parallel.is_main_process():
            starts.add(self.workdir, step, description.read_divergence(self.workdir))
        self._has_begun = True
        run.begin_directory(self.workdir, self.whole, self.phases, layout, step, state)
        if parallel.is_main_process():
            pictures.save_reals(self.workdir / 'real.png', self.dataset, self.samples, self.config.seed)

    @contextlib.contextmanager
    def recording(self, begin: int, total: int, every: int, *, quiet: bool) -> Iterator[None]:
        """Opens the records of training from step `begin`, in the main process only."""
        options = {'begin': begin, 'total': total, 'every': every, 'quiet': quiet}
        options |= {'writers': self.whole.writers, 'config': json_values.to_json(self.whole)}
        with Writers(self.workdir, **options, enabled=parallel.is_main_process()) as self.out:
            yield

    def read(self, stretch: Stretch) -> None:
        """Adds the metrics of a stretch; writes a line of the records if the stretch ends a line.

        Raises:
            DivergedError: a metric of the line is not finite.
        """
        self.unfinished.append(stretch.metrics)
        self.means = {}
        if stretch.is_line:
            first, whole = stretch.last - self.unfinished_steps, _joined(self.unfinished)
            self.unfinished = []
            kimg = configs.kimg(self.config, stretch.last - self.stage.begin)
            spent = self._spent(stretch.last)
            self.means = run.record(first, stretch.last, whole, self.out, kimg, stretch.seconds, spent)

    @property
    def unfinished_steps(self) -> int:
        """The number of steps since the last line."""
        return sum(len(next(iter(metrics.values()))) for metrics in self.unfinished)

    def watch(self, step: int, state: GanState) -> None:
        """Leaves the frame of a game in the plane."""
        if self.out.enabled:
            self.out.frame(step, self.view(state))

    def look(self, step: int, players: Mapping[str, Player], *, sample: bool, evaluate: bool) -> None:
        """Writes a picture of samples and an evaluation if they are due, and updates the page."""
        players = {**players, 'generator': self.standing(players['generator'])}
        if sample:
            examples = self.samples.draw(self.game, players['generator'], players.get('encoder'))
            picture = sampling.picture(examples, self.dataset.examples, columns=self.samples.columns)
            self.out.samples(step, picture, self.samples.caption)
        if evaluate:
            self.means |= self.evaluate(step, players, self.out, self.config.seed)
        run.refresh_page(self.workdir)

    def save(self, step: int, state: GanState) -> None:
        """Saves a checkpoint, with the metrics of the incomplete line."""
        unfinished = {name: values.tolist() for name, values in _joined(self.unfinished).items()}
        best = self.whole.checkpoints.best_metric  # not of earlier phases, which have other data or networks
        metrics = {name: value for name, value in self.means.items() if self.stage.is_last or name != best}
        metrics |= self._spent(step)
        self.checkpoints.save(
            step, state, config=json_values.to_json(self.config), metrics=metrics, unfinished=unfinished
        )

    def _spent(self, step: int) -> dict[str, float]:
        """The epsilon and delta of a private game after a step."""
        promise = privacy.of_config(self.config)
        if promise is None or not promise.is_private:
            return {}
        return dict(zip(('privacy/epsilon', 'privacy/delta'), promise.spent(step), strict=True))

    def restore(self, target: Callable[[int, dict], GanState], at_most: int | None) -> tuple[int, GanState] | None:
        """Restores the latest checkpoint, at most that of a given step; as `Checkpoints.restore`."""
        found = self.checkpoints.restore(target, at_most=at_most)
        self.unfinished = []
        if found and (metrics := checkpoint.peek(self.checkpoints.directory, found[0])['unfinished']):
            self.unfinished = [{name: np.asarray(values, np.float32) for name, values in metrics.items()}]
        return found

    def goes_back(self, error: DivergedError) -> bool:
        """Whether the config allows another restart from its last checkpoint with other noise, which is announced."""
        if self.config.on_nan == 'stop' or self._restores == _MAX_RESTORES:
            return False
        last, back = self._last_good()
        run.say(f'{self.name}{error}; {last}: trying to {back} and continue with other noise.')
        if parallel.is_main_process():
            starts.add(self.workdir, self.checkpoints.latest_step() or 0, str(error))
        self._restores += 1
        self._noise = (None, self._restores)
        return True

    def resumed(self, step: int, state: GanState) -> GanState:
        """The state from which it continues at a step: with other noise, if it has returned to that step."""
        at, number = self._noise
        if number and at in (None, step):
            self._noise = (step, number)
            state = state.replace(key=jax.random.fold_in(state.key, number))
        return state

    def give_up(self, error: DivergedError) -> None:
        """Records in the directory and on the page that it diverged."""
        run.write_json(self.workdir / description.DIVERGED, {'reason': str(error)})
        run.refresh_page(self.workdir)
        last, back = self._last_good()
        self.given_up = DivergedError(
            f'{self.name}{error}; {last}: set on_nan=restore to {back} and continue with other noise, or lower the '
            'learning rates and add --accept_config_changes.'
        )
        if self.name:  # the other members are still trained
            run.say(f'{self.name}{error}; this member is given up, with its last good checkpoint.')

    def finish(self, step: int, generator: Callable[[], Player]) -> None:
        """Draws those final pictures that are missing or belong to another step, and updates the page."""
        if not parallel.is_main_process():
            return
        names = report.outdated(self.workdir)
        if self.given_up is None and kind_of(self.dataset.shape).view and not self.game.shows_examples:
            names += [
                name for name in ('neighbours.png', 'interpolation.png') if report.step_of(self.workdir / name) != step
            ]
        if not names and (self.workdir / run_page.NAME).exists():
            return
        drawing = functools.cache(lambda: self.standing(generator()))
        if 'neighbours.png' in names:
            fakes = self.samples.draw(self.game, drawing())
            path = self.workdir / 'neighbours.png'
            pictures.save_neighbours(path, fakes, self.dataset, self.config.seed, step)
        if 'interpolation.png' in names:
            self._draw_interpolation(step, drawing())
        run.refresh_page(self.workdir)
        report.write(self.workdir)  # last: after an earlier kill the outdated files are found again

    def _draw_interpolation(self, step: int, generator: Player) -> None:
        path, config = self.workdir / 'interpolation.png', self.config
        if self.samples.conditions is None:
            distribution, shape = config.latents.distribution, self.dataset.shape
            pictures.save_interpolation(path, self.game, generator, config.seed, distribution, shape, step)
        else:
            latents, classes = self.samples.latents[:1], self.dataset.num_classes
            sampling.save_interpolation(path, self.game, generator, latents, classes, step=step)

    def _last_good(self) -> tuple[str, str]:
        """The last good checkpoint in words, and what a restart does."""
        self.checkpoints.wait()
        good = self.checkpoints.latest_step()
        if good is None:
            return 'there is no checkpoint yet', 'begin again'
        return f'the last good checkpoint is step {good}', 'return to it'


def _joined(parts: Sequence[Metrics]) -> Metrics:
    """The metrics of consecutive steps, one after the other."""
    return {name: np.concatenate([part[name] for part in parts]) for name in (parts[0] if parts else ())}
