"""A small web server for interactive pages."""

import http.server
import urllib.parse
from collections.abc import Callable, Mapping

from gan_jax.errors import UserError

_MOST_BYTES = 10**6  # of what is posted

Route = Callable[[Mapping[str, str], bytes], tuple[str, bytes]]
"""(query, what is posted) -> (content type, content)."""


def make_server(routes: Mapping[tuple[str, str], Route], host: str, port: int) -> http.server.ThreadingHTTPServer:
    """A server that listens and does not answer yet.

    Args:
        routes: (method, path) -> what answers, such as ('GET', '/'); a UserError becomes an answer 400.
        host: the address to listen on.
        port: 0 for any that is free.

    Raises:
        UserError: the port is in use or not allowed, or the address does not exist.
    """
    try:
        return http.server.ThreadingHTTPServer((host, port), _handler(routes))
    except (OSError, OverflowError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise UserError(
            f'Port {port} of {host} cannot be listened on ({reason}): give another --port, or 0 for any that is free.'
        ) from error


def serve(server: http.server.ThreadingHTTPServer) -> None:
    """Prints where the page is and answers until Ctrl-C."""
    host, port = server.server_address[:2]
    print(f'Open http://{host}:{port}/ in a browser. Ctrl-C ends it.', flush=True)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def _handler(routes: Mapping[tuple[str, str], Route]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            url = urllib.parse.urlsplit(self.path)
            route = routes.get((self.command, url.path))
            length = int(self.headers.get('Content-Length') or 0)
            if route is None or length > _MOST_BYTES:
                self.send_error(404 if route is None else 413)
                return
            status = 200
            try:
                kind, content = route(dict(urllib.parse.parse_qsl(url.query)), self.rfile.read(length))
            except UserError as error:
                status, kind, content = 400, 'text/plain; charset=utf-8', str(error).encode()
            self.send_response(status)
            self.send_header('Content-Type', kind)
            self.send_header('Content-Length', str(len(content)))
            self.send_header('Cache-Control', 'no-store')
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:  # the browser has gone on
                self.close_connection = True

        def log_message(self, *message: object) -> None:
            """Does not print single requests."""

    return Handler
