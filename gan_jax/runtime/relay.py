"""Relays the bytes of JAX's coordination service between the processes of a run, and ends a process whose peer is lost.

Without it, JAX aborts with a stack dump when another process is lost, up to 100 s later. It sees a connection close and
aborts before Python can print a reason. Here JAX connects to a relay in its own process, and the relays connect to each
other. JAX never sees that connection close. The operating system closes it at once when a process ends, and after about
30 s when a host does not answer. Then the relay prints one sentence and ends its process.
"""

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable

LOST = 75  # exit code of a process that ends because another was lost: EX_TEMPFAIL, 'try again', of sysexits.h
_SILENT_SECONDS = 30
_HELLO = b'gan_jax '
_HELLO_SIZE = len(_HELLO) + 8

left = threading.Event()  # set when this process leaves the run; after that, others may end
_ending = threading.Lock()


def listen(port: int) -> socket.socket:
    """Listens at a port of all of this host's addresses."""
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    return socket.create_server(('', port), family=family, dualstack_ipv6=both)


def serve(coordinator: str) -> str:
    """Lets the other processes reach the coordination service of this one.

    Args:
        coordinator: 'host:port' that the others know.

    Returns:
        'host:port', at which the service should listen.
    """
    with socket.create_server(('127.0.0.1', 0)) as free:
        service = free.getsockname()

    def admit(outside: socket.socket) -> None:
        _watch(outside)
        hello = outside.recv(_HELLO_SIZE, socket.MSG_WAITALL)
        if hello.startswith(_HELLO):  # else it is not of this run
            _join(_reach(service), outside, f'Process {int(hello[len(_HELLO) :])}')

    _accept(listen(int(coordinator.rpartition(':')[2])), admit)
    return f'{service[0]}:{service[1]}'


def reach(coordinator: str, process_id: int) -> str:
    """Waits for the first process, without a time limit, and lets JAX reach its coordination service.

    Args:
        coordinator: 'host:port' of the first process.
        process_id: number of this process.

    Returns:
        'host:port', at which JAX should connect.
    """
    host, _, port = coordinator.rpartition(':')
    address = host.strip('[]'), int(port)
    _reach(address).close()

    def forward(inside: socket.socket) -> None:
        outside = _reach(address)
        _watch(outside)
        outside.sendall(_HELLO + b'%8d' % process_id)
        _join(inside, outside, 'Process 0')

    listener = socket.create_server(('127.0.0.1', 0))
    _accept(listener, forward)
    return f'127.0.0.1:{listener.getsockname()[1]}'


def _watch(connection: socket.socket) -> None:
    """Lets the operating system close a connection whose other host is silent."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in (
        ('TCP_KEEPIDLE', _SILENT_SECONDS // 3),
        ('TCP_KEEPINTVL', _SILENT_SECONDS // 6),
        ('TCP_KEEPCNT', 4),
        ('TCP_USER_TIMEOUT', 1000 * _SILENT_SECONDS),
    ):
        if hasattr(socket, name):  # on Linux all of them
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _reach(address: tuple[str, int]) -> socket.socket:
    while True:
        try:
            return socket.create_connection(address)
        except OSError:
            time.sleep(0.1)


def _accept(listener: socket.socket, use: Callable[[socket.socket], None]) -> None:
    """Uses each connection that comes, in a thread of its own."""

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=use, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True, name='relay').start()


def _join(inside: socket.socket, outside: socket.socket, who: str) -> None:
    """Carries bytes both ways until the other process ends; JAX does not see that."""

    def send() -> None:
        _carry(inside, outside)
        with contextlib.suppress(OSError):
            outside.shutdown(socket.SHUT_WR)

    threading.Thread(target=send, daemon=True).start()
    _carry(outside, inside)
    if not left.is_set():
        _end(who)


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(2**16):
            target.sendall(data)


def _end(who: str) -> None:
    with _ending:  # for good
        print(
            f'gan_jax: {who} of this run has ended or cannot be reached, so this process ends too. Look at its last '
            'output, then start all processes again: the same command resumes from the last checkpoint.',
            file=sys.stderr,
            flush=True,
        )
        os._exit(LOST)
