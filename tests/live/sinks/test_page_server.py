"""Who is answered: this machine, its own page, and elsewhere only those who know the token."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from edge_i2i.clock import SystemClock
from edge_i2i.errors import EdgeI2IError
from edge_i2i.live.sinks.page_server import LARGEST_BODY, Address, PageServer, read_text
from samples.live.sinks import get, no_thread_left


async def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


async def echo(request: Request) -> Response:
    return PlainTextResponse(await read_text(request))


def serve(address: Address | None = None, *, token: bool = False) -> PageServer:
    routes = [Route("/", hello), Route("/echo", echo, methods=["POST"])]
    server = PageServer(SystemClock(), address or Address(), routes, token=token)
    server.start()
    return server


@pytest.fixture
def server() -> Iterator[PageServer]:
    with no_thread_left():
        opened = serve()
        yield opened
        opened.close()


def ask(
    server: PageServer, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def test_the_page_and_nothing_else(server: PageServer) -> None:
    assert ask(server, "/") == (200, b"hello")
    assert ask(server, "/?some=thing") == (200, b"hello")
    assert ask(server, "/other")[0] == 404
    assert ask(server, "/echo")[0] == 405
    assert ask(server, "/../..")[0] == 404


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1", "[::1]:80"])
def test_this_machine_under_its_names(server: PageServer, host: str) -> None:
    assert ask(server, "/", Host=host)[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8090", "192.168.1.7", "", "127.0.0.1.evil.example"])
def test_other_names_are_refused(server: PageServer, host: str) -> None:
    assert ask(server, "/", Host=host)[0] == 403


def test_other_pages_may_not_post(server: PageServer) -> None:
    own = f"127.0.0.1:{server.port}"
    assert ask(server, "/echo", method="POST", body=b"x", Origin=f"http://{own}") == (200, b"x")
    assert ask(server, "/echo", method="POST", body=b"x") == (200, b"x")
    assert ask(server, "/echo", method="POST", body=b"x", Origin="http://evil.example")[0] == 403
    assert ask(server, "/echo", method="POST", body=b"x", Origin="null")[0] == 403


def test_a_body_has_a_limit(server: PageServer) -> None:
    assert ask(server, "/echo", method="POST", body=b"x" * LARGEST_BODY)[1] == b"x" * LARGEST_BODY
    headers = {"Content-Length": str(LARGEST_BODY + 1)}
    assert ask(server, "/echo", method="POST", body=b"", **headers)[0] == 413
    assert ask(server, "/echo", method="POST", body=b"", **{"Content-Length": "9" * 5000})[0] in (400, 413)


def test_what_is_odd_is_refused_in_a_line_and_nothing_is_logged(
    server: PageServer, caplog: pytest.LogCaptureFixture
) -> None:
    own = f"127.0.0.1:{server.port}"
    assert ask(server, "/", Host="[::1")[0] == 403
    assert ask(server, "/echo", method="POST", body=b"x", Origin="http://[", Host=own)[0] == 403
    assert ask(server, "/echo", method="POST", body=b"\xff\xfe", Host=own) == (200, "\ufffd\ufffd".encode())
    assert ask(server, "/%ff%fe")[0] == 404
    assert not caplog.records


@pytest.mark.parametrize("address", [Address("0.0.0.0", 0), Address()])
def test_a_token_is_needed(address: Address) -> None:
    with no_thread_left():
        server = serve(address, token=address.is_loopback)
        path = "/" + server.url.split("/", 3)[3]
        assert len(path) > 20
        assert ask(server, path) == (200, b"hello")
        assert ask(server, path, Host="tunnel.example")[0] == 200
        assert ask(server, "/")[0] == 404
        assert ask(server, path[:-2] + "A/")[0] in (404,) or path[-2] == "A"
        server.close()


def test_two_tokens_differ() -> None:
    servers = [serve(token=True) for _ in range(2)]
    assert servers[0].url.rsplit("/", 2)[1] != servers[1].url.rsplit("/", 2)[1]
    for server in servers:
        server.close()


def test_closing_frees_the_port_and_ends_who_says_nothing() -> None:
    with no_thread_left():
        server = serve()
        silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
        assert ask(server, "/")[0] == 200
        server.close()
        server.close()
        for connection in silent:
            assert connection.recv(1) == b""
            connection.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))
    again = PageServer(SystemClock(), Address(port=server.port), [])
    again.close()


def test_a_server_that_never_started_can_be_closed() -> None:
    server = PageServer(SystemClock(), Address(), [])
    server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


def test_an_address_of_another_machine() -> None:
    with pytest.raises(EdgeI2IError, match=r"cannot be served at 203\.0\.113\.7"):
        PageServer(SystemClock(), Address("203.0.113.7", 0), [])


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_what_is_shown_can_be_opened(host: str) -> None:
    server = serve(Address(host, 0))
    assert "0.0.0.0" not in server.url and "[::]" not in server.url
    path = server.url.split("/", 3)[3]
    assert get(f"http://127.0.0.1:{server.port}/{path}") == b"hello"
    server.close()


def test_silent_connections_lock_nobody_out(server: PageServer) -> None:
    with ExitStack() as stack:
        for said in (b"", b"GET / HTTP/1.1\r\nX: "):
            for _ in range(100):
                connection = socket.create_connection(("127.0.0.1", server.port))
                stack.enter_context(closing(connection))
                connection.sendall(said)
        assert ask(server, "/") == (200, b"hello")
