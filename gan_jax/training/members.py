"""All members of a population, or a single run."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from gan_jax.errors import DivergedError, UserError
from gan_jax.game import GanState
from gan_jax.records import description
from gan_jax.runtime.pace import Stretch
from gan_jax.training import phases, run
from gan_jax.training.member import Member
from gan_jax.training.population import Program
from gan_jax.training.single import Single
from gan_jax.training.stage import Stage


class GoBackError(Exception):
    """A member has diverged; it and all others return to a common checkpoint, and it continues with other noise."""


class Members:
    """All members, including those that have diverged and are given up; a context manager.

    States and metrics are those of all members, in the form used by their program.

    Args:
        members: in the order of the program.
        course: the phases.

    Attributes:
        stage: the current phase.
    """

    def __init__(self, members: Sequence[Member], course: Sequence[Stage]):
        self._members, self._course = members, course
        self.stage = course[0]

    @property
    def _program(self) -> Single | Program:
        return self.stage.program

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for member in self._members:
                stack.enter_context(member.checkpoints)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *reason: Any) -> None:
        self._stack.__exit__(*reason)

    @property
    def living(self) -> dict[int, Member]:
        """The members that are still trained, by index."""
        return {i: member for i, member in enumerate(self._members) if member.given_up is None}

    @property
    def unfinished_steps(self) -> int:
        """The number of steps since the last line of the records."""
        return next(iter(self.living.values())).unfinished_steps

    def find_given_up(self, *, try_again: bool) -> None:
        """Excludes members that diverged in an earlier start; if all did, they only continue with `try_again`.

        Raises:
            DivergedError: all have diverged, and `try_again` is not set.
        """
        found = [member for member in self._members if (member.workdir / description.DIVERGED).exists()]
        if len(found) < len(self._members):
            for member in found:
                member.given_up = DivergedError(f'{member.name}it was given up before')
        elif not try_again:
            one = self._members[0]
            who = f'all members in {one.workdir.parent} have' if one.name else f'the run in {one.workdir} has'
            raise DivergedError(
                f'{who} diverged before: choose another --workdir, set on_nan=restore, or lower the learning rates and '
                'add --accept_config_changes.'
            )

    def restore(self) -> tuple[int, Any]:
        """The states, on the devices, at the last step that all living members have saved, or the initial states.

        They enter the phase that makes the next step. If the previous phase ends at that step, the new one starts from
        its last state. If a member was killed before its first checkpoint, all members start anew. Members that are
        given up get the state of another member.

        Raises:
            UserError: the checkpoints of a member cannot be read, or there is no step in common.
        """
        at_most, configs = None, [stage.config for stage in self._course]

        def target(step: int, saved: dict[str, Any]) -> GanState:
            stage = self._course[phases.trained_in(configs, step)]
            phases.check_place(step, saved, stage.config)
            return stage.program.target()

        while True:
            found = {i: member.restore(target, at_most) for i, member in self.living.items()}
            reached = {-1 if one is None else one[0] for one in found.values()}
            if len(reached) == 1:
                break
            if -1 in reached and at_most is not None:
                raise UserError(
                    f'The members in {self._members[0].workdir.parent} have no readable checkpoint of a common '
                    'step: continue them one by one, or choose another --workdir.'
                )
            at_most = min(reached)
        step = max(0, *reached)
        self.stage = self._course[phases.goes_on(configs, step)]
        for i, member in enumerate(self._members):
            member.enter(self.stage, i)
        if None in found.values():
            states = self._fresh(found)
        elif phases.trained_in(configs, step) == self.stage.config.phase.number:
            states = {i: state for i, (_, state) in found.items()}
        else:
            states = self._carried({i: state for i, (_, state) in found.items()})
        states = {i: member.resumed(step, states[i]) for i, member in self.living.items()}
        other = next(iter(states.values()))
        return step, self._program.place([states.get(i, other) for i in range(len(self._members))])

    def _fresh(self, places: Iterable[int]) -> dict[int, GanState]:
        """The states before the first step of the phase, of the members at these places."""
        start = self._program.start()
        return {i: self._program.member(start, i) for i in places}

    def _carried(self, states: Mapping[int, GanState]) -> dict[int, GanState]:
        """The states before the first step of the phase, made of the last ones of the phase before it."""
        fresh = self._fresh(states)
        first = next(iter(states))
        inherits = dict(self.stage.game.inherits)
        kept = phases.count_carried(states[first], fresh[first], inherits)
        run.say(f'Parameters kept from the previous phase: {kept}.')
        options = {'optimizers': not self.stage.config.fresh_optimizers, 'inherits': inherits}
        return {i: phases.carried(state, fresh[i], **options) for i, state in states.items()}

    def begin(self, step: int, states: Any) -> None:
        """Writes to each directory what is known before the next step."""
        for i, member in self.living.items():
            member.begin(step, self._program.member(states, i))

    @contextlib.contextmanager
    def recording(self, begin: int, total: int, every: int) -> Iterator[None]:
        """Opens the records of training from step `begin`; only the first member prints progress."""
        with contextlib.ExitStack() as stack:
            for i, member in self.living.items():
                stack.enter_context(member.recording(begin, total, every, quiet=i != min(self.living)))
            yield

    def read(self, stretch: Stretch) -> None:
        """Adds the metrics of a stretch, and writes a line of the records if the stretch ends a line.

        Raises:
            GoBackError: a member has diverged and restarts from a checkpoint.
            DivergedError: all members have diverged.
        """
        go_back = False
        for i, member in self.living.items():
            try:
                member.read(stretch._replace(metrics=self._program.member(stretch.metrics, i)))
            except DivergedError as error:
                if member.goes_back(error):
                    go_back = True
                else:
                    member.give_up(error)
        if go_back:
            raise GoBackError
        if not self.living:
            raise self._members[0].given_up

    def watch(self, step: int, states: Any) -> None:
        """Leaves the frames of a game in the plane."""
        for i, member in self.living.items():
            if member.view is not None:
                member.watch(step, self._program.member(states, i))

    def look(self, step: int, states: Any, *, sample: bool, evaluate: bool) -> None:
        """Writes pictures of samples and evaluations if they are due."""
        if sample:
            self.watch(step, states)
        if sample or evaluate:
            for i, member in self.living.items():
                players = run.players_of(self._program.game, self._program.member(states, i))
                member.look(step, players, sample=sample, evaluate=evaluate)

    def save(self, step: int, states: Any) -> None:
        """Saves a checkpoint of each; no old one is removed before all have the next."""
        self.wait()
        for i, member in self.living.items():
            member.save(step, self._program.member(states, i))

    def wait(self) -> None:
        """Waits until the checkpoints are on the disk."""
        for member in self.living.values():
            member.checkpoints.wait()

    def finish(self, step: int, states: Any) -> None:
        """Draws the final pictures of each that are missing or belong to another step, and updates the pages."""
        for i, member in enumerate(self._members):
            member.finish(
                step, lambda i=i: run.players_of(self._program.game, self._program.member(states, i))['generator']
            )
