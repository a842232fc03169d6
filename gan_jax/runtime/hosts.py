"""Joins the processes of a run on several hosts, and exchanges messages between them.

Messages use JAX's coordination service, not the devices. Collective operations of devices must start in
the same order on all hosts; a message as a collective could overtake a stretch of training and deadlock all hosts.
"""

import atexit
import itertools
import os
import re
import socket
import sys
import threading
from typing import Any

import jax
from jax._src import clusters, distributed  # JAX has no public access to these; orbax uses them too

from gan_jax.errors import UserError
from gan_jax.runtime import relay

_ANSWER_SECONDS = 3600  # the first process writes pictures and pages meanwhile
_GO_TOGETHER = '--coordinator, --num_processes and --process_id'
_rounds = itertools.count()
_FROZEN_SECONDS = 300  # after which JAX aborts if a process is frozen, though its host answers
_END_SECONDS = 10  # within which all processes reach an end that they have in common
_joined = threading.Event()


def join(
    coordinator: str | None,
    num_processes: int | None,
    process_id: int | None,
    *,
    by_environment: bool = False,
    seconds: float,
) -> None:
    """Joins several processes (hosts) into one run, before any device is touched.

    Args:
        coordinator: 'host:port' of the first process.
        num_processes: number of processes of all hosts together.
        process_id: number of this one, from 0.
        by_environment: let `jax.distributed` ask the cluster's environment (SLURM, Open MPI, Cloud TPU, Kubernetes,
            ...) for what is None.
        seconds: how long to wait for the other processes.

    Raises:
        UserError: when the processes cannot be joined, or not all join in time.
    """
    if not by_environment and None in (coordinator, num_processes, process_id):
        raise UserError(f'{_GO_TOGETHER} must be given together; or give only --distributed.')
    _check(coordinator, num_processes, process_id)
    if seconds <= 0:
        raise UserError(f'--join_seconds is {seconds:g}; it must be above 0.')
    failures = []

    def initialize() -> None:
        try:
            _initialize(coordinator, num_processes, process_id, seconds)
        except Exception as error:  # of the cluster's detection too, which has its own
            failures.append(error)

    thread = threading.Thread(target=initialize, daemon=True, name='join')
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        where = f' at {coordinator}' if coordinator else ''
        count = f'the {num_processes} processes' if num_processes else 'the processes'
        raise UserError(
            f'Not all of {count} have joined{where} within {seconds:g} s: start one process on each host, with the '
            'same --coordinator and --num_processes and its own --process_id, or wait longer by --join_seconds.'
        )
    if failures:
        raise UserError(
            f'The processes could not be joined ({_reason(failures[0])}): {"check" if coordinator else "give"} '
            f'{_GO_TOGETHER}.'
        ) from failures[0]


def _initialize(coordinator: str | None, num_processes: int | None, process_id: int | None, seconds: float) -> None:
    """Joins as `jax.distributed.initialize` does, but through a relay (`gan_jax.runtime.relay`)."""
    patience = int(seconds) + 600  # JAX's own time-outs end the process without a Python exception: ours come first
    coordinator, num_processes, process_id, devices = clusters.ClusterEnv.auto_detect_unset_distributed_params(
        coordinator or os.environ.get('JAX_COORDINATOR_ADDRESS'), num_processes, process_id, None, None, patience
    )
    address = coordinator
    if None not in (coordinator, num_processes, process_id):
        address = relay.reach(coordinator, process_id) if process_id else relay.serve(coordinator)
    jax.distributed.initialize(
        address,
        num_processes,
        process_id,
        None if 'JAX_LOCAL_DEVICE_IDS' in os.environ else devices,  # JAX reads the variable itself
        initialization_timeout=patience,
        heartbeat_timeout_seconds=_FROZEN_SECONDS,
        coordinator_bind_address=address,
    )
    _joined.set()
    sys.excepthook = _leave_after_traceback
    atexit.register(relay.left.set)  # before JAX's own shutdown, which waits for the others


def leave(code: int) -> int:
    """Leaves the run at the end of a command, and returns the exit code.

    All processes usually end together. If the others do not come within ten seconds, this process failed alone. It then
    ends here without JAX's own shutdown, which would wait for the others, and their relays notice that it is gone.
    """
    if _joined.is_set():
        try:
            _client().wait_at_barrier('gan_jax/end', 1000 * _END_SECONDS)
        except jax.errors.JaxRuntimeError:
            sys.stdout.flush()
            os._exit(code)
        relay.left.set()
    return code


def _leave_after_traceback(*error: Any) -> None:
    sys.__excepthook__(*error)
    leave(1)


def _check(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Raises a UserError for arguments that JAX would ignore or not understand."""
    if coordinator is not None:
        found = re.fullmatch(r'(?P<host>\[[0-9a-fA-F:.%\w]+\]|[^\s:/\[\]]+):(?P<port>\d{1,5})', coordinator)
        if not found or not 0 < int(found['port']) < 2**16:
            raise UserError(f'--coordinator is {coordinator!r}; write HOST:PORT, such as 10.0.0.1:1234.')
        try:
            socket.getaddrinfo(found['host'].strip('[]'), int(found['port']))
        except OSError as error:
            raise UserError(f'--coordinator names the unknown host {found["host"]}: {error}.') from error
        if process_id == 0:
            _check_free(int(found['port']))
    if num_processes is not None and num_processes < 1:
        raise UserError(f'--num_processes is {num_processes}; it must be at least 1.')
    if process_id is not None and not 0 <= process_id < (num_processes or float('inf')):
        last = '' if num_processes is None else f' to {num_processes - 1}'
        raise UserError(f'--process_id is {process_id}; processes are numbered from 0{last}.')


def _check_free(port: int) -> None:
    """Raises a UserError if the first process cannot listen at the port."""
    try:
        relay.listen(port).close()
    except OSError as error:
        raise UserError(
            f'--coordinator names port {port}, at which the first process cannot listen ({error.strerror}): choose '
            'another, and the same on each host.'
        ) from error


def gather(word: str) -> list[str]:
    """The values of all processes, in order.

    Every process must call it, and always in the same order with other calls. No device is involved.

    Raises:
        UserError: another process does not answer.
    """
    if jax.process_count() == 1:
        return [word]
    client, number = _client(), next(_rounds)

    def place(number: int, process: int) -> str:
        return f'gan_jax/words/{number}/{process}'

    try:
        client.key_value_set(place(number, jax.process_index()), word)
        words = [
            client.blocking_key_value_get(place(number, process), _ANSWER_SECONDS * 1000)
            for process in range(jax.process_count())
        ]
        if number:  # all have answered, and so read the words before
            client.key_value_delete(place(number - 1, jax.process_index()))
        return words
    except jax.errors.JaxRuntimeError as error:
        raise UserError(
            f'Another process of this run does not answer ({_reason(error)}): check its last output, then start '
            'all processes again.'
        ) from error


def meet() -> None:
    """Waits for all processes; every process must call it, as `gather`."""
    gather('')


def any_process(flag: bool) -> bool:
    """Whether the flag is set in any process; every process must call it, as `gather`."""
    return str(True) in gather(str(bool(flag)))


def largest(value: float) -> float:
    """The largest value of all processes; every process must call it, as `gather`."""
    return max(map(float, gather(repr(float(value)))))


def _client():
    return distributed.global_state.client


def _reason(error: Exception) -> str:
    return str(error).partition('\n')[0] or type(error).__name__
