"""The imitation behind a socket of this machine, for clients in any language.

A thread a connection, which is kept open between requests; none of them ever waits for
a clock.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cacheplan.io.fake.exchange import Answer, Asked, Refusal, answered

__all__ = ["Listener"]


class _Server(ThreadingHTTPServer):
    """Takes connections as fast as they come."""

    daemon_threads = True
    #: A thousand threads of one test connect at once.
    request_queue_size = 1024
    #: Connections are closed from here; waiting for their threads would wait for clients.
    block_on_close = False

    def __init__(self, handle: Callable[[Asked], Answer]) -> None:
        self.handle = handle
        self.open: set[socket.socket] = set()
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing where a client went away in the middle, or speaks no HTTP."""
        if not isinstance(sys.exception(), OSError | ValueError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: _Server
    #: Small answers leave at once, whole.
    disable_nagle_algorithm = True

    def setup(self) -> None:
        """Note the connection, so that it can be closed."""
        super().setup()
        with self.server.lock:
            self.server.open.add(self.connection)

    def finish(self) -> None:
        """Forget the connection."""
        with self.server.lock:
            self.server.open.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def _serve(self) -> None:
        """Answer one request, of any method."""
        content = self._content()
        headers = dict(self.headers.items())
        origin = f"http://{self.headers.get('host', '')}"
        asked = Asked.of(self.command, self.path, headers, content, origin)
        answer = self._answer(asked)
        if answer.broken and not answer.pieces:
            self._break()
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if len(answer.pieces) == 1 and not answer.broken:
            self.send_header("content-length", str(len(answer.pieces[0])))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.pieces[0])
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in answer.pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if answer.broken:
            self._break()
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _answer(self, asked: Asked) -> Answer:
        """Ask the imitation; what goes wrong inside is told to the client, not to nobody."""
        try:
            return self.server.handle(asked)
        except Exception as error:  # noqa: BLE001 -- the test that asked is told all of it
            told = Refusal(500, f"the imitation itself failed: {error!r}")
            return answered(500, told.body(""), {"x-should-retry": "false"})

    do_GET = do_POST = do_DELETE = do_PUT = do_HEAD = _serve  # noqa: N815 -- http.server's names

    def _content(self) -> bytes:
        """Read a body, sent whole or in chunks."""
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = []
        while length := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(length))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _break(self) -> None:
        """Reset the connection, so that the client sees no orderly end."""
        self.close_connection = True
        self.wfile.flush()
        # Two ints, on Windows two shorts: linger, and not for a second.
        linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- http.server's name
        """Print nothing: what was received can be asked for."""


class Listener:
    """A server that answers until it is closed."""

    def __init__(self, handle: Callable[[Asked], Answer]) -> None:
        self._server = _Server(handle)
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="cacheplan-fake",
            daemon=True,
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop listening and close every connection."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        with self._server.lock:
            connections = list(self._server.open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
