"""A loopback address that stands for the API: for programs that can only be told one.

    cacheplan proxy --ledger calls.db          # and in the other shell
    ANTHROPIC_BASE_URL=http://127.0.0.1:8377 claude

Claude Code, the Agent SDK and programs in other languages take no middleware. What they
send here goes on through a ``Transport``, which marks and records it, and what comes back
goes back as it comes, event by event. It listens on this machine alone, keeps no header,
and prints nothing of what passes.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

from cacheplan.errors import InputError, UnsupportedError
from cacheplan.io.transport import Transport

__all__ = ["PORT", "UPSTREAM", "Proxy"]

#: Where the API is, and where its stand-in listens unless told otherwise.
UPSTREAM: Final = "https://api.anthropic.com"
PORT: Final = 8377
#: Headers of one connection, which say nothing on the next (RFC 9110, 7.6.1), and two that
#: the client writes itself. What is packed is left packed.
_HOPS: Final = frozenset(
    {"connection", "content-length", "host", "keep-alive", "proxy-authenticate"}
    | {"proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade"}
)
#: Seconds that an answer may take: as long as the SDK waits.
_PATIENCE: Final = 600.0


class Proxy:
    """Listens until it is closed; ``options`` are those of ``Transport``.

    ``upstream`` is what ``ANTHROPIC_BASE_URL`` names, or the API.
    """

    def __init__(self, upstream: str = "", *, port: int = PORT, **options: Any) -> None:
        library = _library()
        # Whoever has a gateway already keeps it.
        upstream = upstream or os.environ.get("ANTHROPIC_BASE_URL") or UPSTREAM
        if not upstream.startswith(("http://", "https://")):
            raise InputError(f'"{upstream}" is not an address that begins with http')
        self.transport = Transport(library.HTTPTransport(), **options)
        client = library.Client(
            transport=self.transport, base_url=upstream, timeout=_PATIENCE, trust_env=False
        )
        self._server = _server(client, port)
        if upstream.rstrip("/") == self.url:
            self._server.server_close()
            raise InputError(f"{upstream} is this proxy itself; --upstream names the API")
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._client = client

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> Self:
        """Begin to listen, on a thread of its own."""
        self._thread.start()
        return self

    def serve(self) -> None:
        """Listen until somebody interrupts."""
        try:
            self._server.serve_forever()
        finally:
            self._client.close()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._client.close()

    def __enter__(self) -> Self:
        """Listen for a block of code."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.close()


def _library() -> Any:
    """Return the HTTP client that is installed: the SDK brings the one or the other."""
    for name in ("httpx2", "httpx"):
        with contextlib.suppress(ImportError):
            return __import__(name)
    raise UnsupportedError("this needs an HTTP client; pip install 'cacheplan[client]'")


def _server(client: Any, port: int) -> ThreadingHTTPServer:
    """Bind the port."""
    try:
        return _Server(client, port)
    except OSError as error:
        raise InputError(f"port {port}: {(error.strerror or str(error)).lower()}") from error


class _Server(ThreadingHTTPServer):
    """Takes connections, a thread each."""

    daemon_threads = True
    request_queue_size = 128
    #: Ending the program must not wait for streams of others.
    block_on_close = False

    def __init__(self, client: Any, port: int) -> None:
        self.client = client
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing where a client went away."""


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True

    def _forward(self) -> None:
        """Send a request on, and its answer back while it comes."""
        length = int(self.headers.get("content-length") or 0)
        headers = [pair for pair in self.headers.items() if pair[0].lower() not in _HOPS]
        client = self.server.client
        asked = client.build_request(
            self.command, self.path, headers=headers, content=self.rfile.read(length)
        )
        try:
            response = client.send(asked, stream=True)
        except Exception as error:  # noqa: BLE001 -- whatever kept it from being sent
            self._unreachable(error)
            return
        with contextlib.closing(response):
            self._back(response)

    def _back(self, response: Any) -> None:
        """Hand an answer on, packed as it came."""
        self.send_response(response.status_code)
        # What was looked at on the way was unpacked.
        dropped = _HOPS | ({"content-encoding"} if response.is_stream_consumed else frozenset())
        for name, value in response.headers.multi_items():
            if name.lower() not in dropped:
                self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in _pieces(response):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def _unreachable(self, error: Exception) -> None:
        """Say in the API's own shape that nobody could be asked, so that clients try again."""
        kind = type(error).__name__
        content = (
            b'{"type":"error","error":{"type":"api_error",'
            b'"message":"the API could not be reached (%s)"}}' % kind.encode()
        )
        self.send_response(502)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = _forward  # noqa: N815 -- http.server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- http.server's name
        """Print nothing of what passes."""


def _pieces(response: Any) -> Iterator[bytes]:
    """Yield what comes as it comes; an answer that was read already has one piece."""
    if response.is_stream_consumed:
        yield response.content
        return
    yield from (piece for piece in response.iter_raw() if piece)
