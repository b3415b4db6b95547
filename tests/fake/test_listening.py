"""The socket: whatever a client sends over it, and however it is closed."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from talk import body

from cacheplan.io.fake.exchange import Answer, Asked
from cacheplan.io.fake.listening import Listener
from cacheplan.testing import FakeAnthropic

HEADERS = {"X-Api-Key": "any", "Content-Type": "application/json"}


@pytest.fixture
def fake() -> Iterator[FakeAnthropic]:
    """Return a service that listens."""
    with FakeAnthropic() as fake:
        yield fake


@pytest.fixture
def line(fake: FakeAnthropic) -> Iterator[http.client.HTTPConnection]:
    """Return an open connection."""
    connection = http.client.HTTPConnection(urlsplit(fake.url).netloc, timeout=30)
    yield connection
    connection.close()


def test_a_connection_is_kept(line: http.client.HTTPConnection, fake: FakeAnthropic) -> None:
    """Several requests go over one connection, errors among them."""
    line.connect()
    used = line.sock
    for at in range(3):
        line.request("POST", "/v1/messages", json.dumps(body(f"Question {at}")), HEADERS)
        assert line.getresponse().read()
        line.request("GET", "/nowhere", headers=HEADERS)
        assert line.getresponse().read()
        line.request("HEAD", "/", headers=HEADERS)
        assert line.getresponse().read() == b""
    assert line.sock is used
    assert [one.status for one in fake.received] == [200, 404, 404] * 3


def test_a_body_in_chunks(line: http.client.HTTPConnection) -> None:
    """A body that is sent in chunks is read whole."""
    content = json.dumps(body("Hello")).encode()
    parts = iter([content[:100], content[100:]])
    line.request("POST", "/v1/messages", parts, HEADERS, encode_chunked=True)
    answer = line.getresponse()
    assert answer.status == 200
    assert json.loads(answer.read())["content"][0]["text"] == "You said: Hello"


def test_a_stream_comes_in_chunks(line: http.client.HTTPConnection) -> None:
    """A stream is sent event by event, and the connection is good for another request."""
    line.request("POST", "/v1/messages", json.dumps(body("Hello", stream=True)), HEADERS)
    answer = line.getresponse()
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.read().endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    line.request("GET", "/v1/models", headers=HEADERS)
    assert line.getresponse().status == 200


def test_garbage_hurts_nobody(fake: FakeAnthropic, line: http.client.HTTPConnection) -> None:
    """A client that speaks no HTTP, or goes away, leaves the others alone."""
    host, port = urlsplit(fake.url).netloc.split(":")
    for sent in (b"\x16\x03\x01\x00", b"POST /v1/messages HTTP/1.1\r\nContent-Length: 99\r\n\r\n{"):
        with socket.create_connection((host, int(port))) as other:
            other.sendall(sent)
    line.request("POST", "/v1/messages", json.dumps(body("Hello")), HEADERS)
    assert line.getresponse().status == 200


def test_leaving_closes_every_connection() -> None:
    """After the context, nobody listens, and what was received is still there."""
    with FakeAnthropic() as fake:
        connection = http.client.HTTPConnection(urlsplit(fake.url).netloc, timeout=30)
        connection.request("GET", "/v1/models", headers=HEADERS)
        assert connection.getresponse().read()
        where = urlsplit(fake.url).netloc.split(":")
    assert connection.sock.recv(1) == b""
    connection.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((where[0], int(where[1])))
    assert len(fake.received) == 1


def test_what_fails_inside_is_told() -> None:
    """A fault of the imitation itself is told to the client, and not tried again."""

    def broken(asked: Asked) -> Answer:
        raise RuntimeError(asked.path)

    listener = Listener(broken)
    connection = http.client.HTTPConnection(urlsplit(listener.url).netloc, timeout=30)
    connection.request("GET", "/here", headers=HEADERS)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["x-should-retry"]) == (500, "false")
    assert "RuntimeError('/here')" in json.loads(answer.read())["error"]["message"]
    connection.close()
    listener.close()
