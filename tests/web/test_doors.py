"""Nobody locks others out: connections that say nothing, that trickle, flood, do not read, or take every descriptor."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import websockets
from websockets.exceptions import ConnectionClosed

from edge_i2i.clock import SystemClock
from edge_i2i.hosting.asgi import Receive, Scope, Send
from edge_i2i.hosting.certificates import self_made
from edge_i2i.hosting.doors import Patience
from edge_i2i.hosting.host import HostOptions, WebHost
from edge_i2i.hosting.reach import LOOPBACK, listen
from edge_i2i.hosting.shares import visitor_of, who_makes_room
from edge_i2i.web.server import Server
from edge_i2i.web.uploads import Limits
from samples.web.fake_model import FakeModel, loads, serve_model
from samples.web.tab_client import encoded, photo, tab

HANG = 60.0  # seconds; a deadline against hanging, nothing is measured
SHORT = Patience(head=0.3, body=0.3, stuck=0.3, closing=0.3)
LONG = Patience(head=600, body=600, stuck=600, closing=600)


class Site:
    """A server of a small application, on loopback."""

    def __init__(self, app: Any, **options: Any) -> None:
        listening = listen(LOOPBACK, 0)
        self.port = listening.getsockname()[1]
        self.scheme = "https" if "certificate" in options else "http"
        self.host = WebHost(app, listening, SystemClock(), HostOptions(**options))

    def connect(self, said: bytes = b"", source: str = LOOPBACK) -> socket.socket:
        connection = socket.create_connection((LOOPBACK, self.port), HANG, source_address=(source, 0))
        connection.sendall(said)
        return connection

    def get(self) -> str:
        # Nobody vouches for the certificate of a test.
        return httpx.get(f"{self.scheme}://{LOOPBACK}:{self.port}/", timeout=HANG, verify=False).text


@pytest.fixture
def site() -> Iterator[Callable[..., Site]]:
    sites: list[Site] = []

    def make(app: Any = None, **options: Any) -> Site:
        sites.append(Site(app or hello, **options))
        return sites[-1]

    yield make
    for made in sites:
        made.host.stop(2.0)


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Says hello after the whole body has come; `/large` has a long answer; a WebSocket echoes."""
    if scope["type"] == "websocket":
        return await echo(receive, send)
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(1000 if scope["path"] == "/large" else 0):
        await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
    await send({"type": "http.response.body", "body": b"hello"})


async def echo(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": str(message.get("text"))})


def ends(connection: socket.socket, keep_up: bytes = b"") -> bool:
    """Whether the server hangs up."""
    connection.settimeout(0.05)
    until = time.monotonic() + HANG
    while time.monotonic() < until:
        try:
            if keep_up:
                connection.send(keep_up)
            if not connection.recv(1 << 16):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "more"),
    [
        (b"", b""),
        (HEAD + b"X: ", b"a"),
        (POST, b"b"),
        (HEAD + b"\r\n", b"\r\n"),  # a whole request, and then nothing but empty lines
        (HEAD + b"Content-Length: 10\r\n\r\n", b""),  # a body that a GET never sends
        (b"\x16\x03\x01\x02\x00", b""),  # a TLS handshake, to a server without
    ],
    ids=["silent", "head by bytes", "body by bytes", "after a request", "GET with a body", "TLS"],
)
def test_a_connection_that_says_nothing_more_is_hung_up_on(site: Callable[..., Site], said: bytes, more: bytes) -> None:
    made = site(patience=SHORT)
    with closing(made.connect(said)) as connection:
        assert ends(connection, more)
    assert made.get() == "hello"


@pytest.mark.parametrize("said", [b"", HEAD, POST], ids=["silent", "half a head", "half a body"])
def test_those_that_owe_bytes_make_room_at_once(site: Callable[..., Site], said: bytes) -> None:
    """However patient the server is."""
    made = site(patience=LONG, connections=8)
    with ExitStack() as stack:
        owing = [stack.enter_context(closing(made.connect(said))) for _ in range(40)]
        assert made.get() == "hello"
        assert ends(owing[0])


@pytest.fixture(scope="module")
def own_certificate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    certificate, key = self_made(tmp_path_factory.mktemp("certificate"), [])
    return {"certificate": certificate, "key": key}


HELLO_TLS = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # how a client begins, and more would come


@pytest.mark.parametrize("said", [b"", HELLO_TLS], ids=["silent", "half a hello"])
def test_tls_handshakes_that_owe_bytes_make_room_at_once(
    site: Callable[..., Site], own_certificate: dict[str, Path], said: bytes
) -> None:
    made = site(patience=LONG, connections=8, **own_certificate)
    with ExitStack() as stack:
        owing = [stack.enter_context(closing(made.connect(said))) for _ in range(40)]
        assert made.get() == "hello"
        assert ends(owing[0])


@pytest.mark.parametrize("said", [b"", HELLO_TLS, HEAD + b"\r\n"], ids=["silent", "half a hello", "HTTP"])
def test_a_tls_handshake_that_does_not_come_to_its_end_is_hung_up_on(
    site: Callable[..., Site], own_certificate: dict[str, Path], said: bytes
) -> None:
    made = site(patience=SHORT, **own_certificate)
    with closing(made.connect(said)) as connection:
        assert ends(connection)
    assert made.get() == "hello"


def records(tls: ssl.SSLObject) -> Iterator[bytes]:
    with suppress(ssl.SSLError):
        while record := tls.read(1 << 16):
            yield record


def test_tls_requests_are_whole_whenever_they_come(site: Callable[..., Site], own_certificate: dict[str, Path]) -> None:
    """Also those whose first bytes come with the end of the handshake."""
    made = site(**own_certificate)
    context = ssl.create_default_context(cafile=own_certificate["certificate"])
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context.minimum_version = context.maximum_version = version
        for _ in range(20):
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context.wrap_bio(incoming, outgoing, server_hostname=LOOPBACK)
            with closing(made.connect()) as connection:
                while True:
                    try:
                        tls.do_handshake()
                        break
                    except ssl.SSLWantReadError:
                        connection.sendall(outgoing.read())
                        incoming.write(connection.recv(1 << 16))
                tls.write(HEAD + b"Connection: close\r\n\r\n")
                connection.sendall(outgoing.read())  # what is left of the handshake, and the request, in one
                told = b""
                while b"hello" not in told:
                    assert incoming.write(connection.recv(1 << 16)), told
                    told += b"".join(records(tls))


def test_those_that_do_not_read_make_room_at_once_and_go_by_themselves(site: Callable[..., Site]) -> None:
    full = HEAD.replace(b"/ ", b"/large ", 1) + b"\r\n"
    patient, short = site(patience=LONG, connections=8), site(patience=SHORT)
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(closing(patient.connect(full)))
        assert patient.get() == "hello"
        stuck = stack.enter_context(closing(short.connect(full)))
        time.sleep(0.5)
        assert ends(stuck)


def test_a_websocket_stays_when_silent_ones_come(site: Callable[..., Site]) -> None:
    made = site(patience=LONG, connections=8)

    async def talk() -> None:
        async with websockets.connect(f"ws://{LOOPBACK}:{made.port}/", compression=None) as used:
            with ExitStack() as stack:
                for _ in range(30):
                    stack.enter_context(closing(made.connect()))
                await used.send("still here")
                assert await used.recv() == "still here"

    asyncio.run(talk())


def test_many_requests_in_one_go_are_answered_in_turn_and_hold_up_nobody(site: Callable[..., Site]) -> None:
    made = site()
    with closing(made.connect((HEAD + b"\r\n") * 2000)):
        assert made.get() == "hello"


@pytest.mark.parametrize("head", [b"X: " + b"a" * 200_000, b"X: a\r\n" * 50_000], ids=["a long one", "many"])
def test_a_bomb_of_headers_is_refused(site: Callable[..., Site], head: bytes) -> None:
    with closing(site().connect()) as connection:
        try:
            connection.sendall(HEAD + head + b"\r\n\r\n")
        except OSError:
            return  # it hung up before all was sent
        assert connection.recv(100).split()[1].startswith(b"4")


@pytest.mark.parametrize("https", [False, True])
def test_when_descriptors_run_out_it_is_said_once_and_others_are_let_in(
    own_certificate: dict[str, Path], https: bool
) -> None:
    """In a process of its own, which has few."""
    scheme = "https" if https else "http"
    options = {name: str(path) for name, path in own_certificate.items()} if https else {}
    program = f"""
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))
sys.path[:0] = {[str(Path(__file__).parent), *map(str, Path(__file__).parents[1:2])]!r}
import logging; logging.basicConfig(level=logging.WARNING)
from test_doors import Site, hello, LONG
import edge_i2i.hosting.host as hosting
hosting.most_connections = lambda wanted: wanted  # else the doors would not let it come so far
made = Site(hello, patience=LONG, connections=1000, **{options!r})
print(made.port, flush=True)
sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    port = int(process.stdout.readline())
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(closing(socket.create_connection((LOOPBACK, port), HANG)))
        assert httpx.get(f"{scheme}://{LOOPBACK}:{port}/", timeout=HANG, verify=False).text == "hello"
        for _ in range(100):
            stack.enter_context(closing(socket.create_connection((LOOPBACK, port), HANG)))
        assert httpx.get(f"{scheme}://{LOOPBACK}:{port}/", timeout=HANG, verify=False).text == "hello"
    process.kill()
    said = process.communicate()[1]
    assert said.count("file descriptors") == 1 and "Traceback" not in said, said


def test_what_an_application_raises_is_one_line(site: Callable[..., Site], caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise OSError(24, "Too many open files")

    made = site(broken)
    with caplog.at_level(logging.WARNING):
        answers = [httpx.get(f"http://{LOOPBACK}:{made.port}/%1b[31m") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [500] * 3 and answers[0].json()["type"] == "error"
    assert [record.exc_info for record in caplog.records] == [None]
    assert "\x1b" not in caplog.text


# WebSockets -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flood", ["texts", "pings", "fragments", "empty fragments"])
def test_a_flood_is_shown_out(site: Callable[..., Site], flood: str) -> None:
    made = site()

    async def pour() -> int:
        async with websockets.connect(f"ws://{LOOPBACK}:{made.port}/", compression=None, ping_interval=None) as used:
            reading = asyncio.ensure_future(_read_all(used))
            try:
                if flood.endswith("fragments"):
                    await used.send([b"x" if flood == "fragments" else b""] * 5000)
                for number in range(5000):
                    await (used.send("x") if flood == "texts" else used.ping(str(number)))
            except ConnectionClosed:
                pass
            await asyncio.wait_for(reading, HANG)
            return used.close_code or 0

    assert asyncio.run(pour()) in (1008, 1006)
    assert made.get() == "hello"


async def _read_all(used: Any) -> None:
    with suppress(ConnectionClosed):
        async for _ in used:
            pass


def test_a_giant_message_is_refused_before_it_is_whole(site: Callable[..., Site]) -> None:
    made = site(message_bytes=1000)

    async def send() -> int:
        async with websockets.connect(f"ws://{LOOPBACK}:{made.port}/", compression=None) as used:
            try:
                await used.send(bytes(1 << 20))
                await used.recv()
            except ConnectionClosed:
                pass
            return used.close_code or 0

    assert asyncio.run(send()) in (1009, 1006)


@pytest.fixture
def fake_server(plain_bundle: Path) -> Iterator[Callable[..., Server]]:
    with ExitStack() as stack:

        def make(**limits: Any) -> Server:
            model = loads(FakeModel(SystemClock()))
            return stack.enter_context(serve_model(plain_bundle, model, Limits(**limits)))

        yield make


def test_a_tab_that_does_not_read_gets_no_further_pictures_made(fake_server: Callable[..., Server]) -> None:
    server = fake_server()
    large = encoded(np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8))

    async def starve() -> None:
        async with tab(server) as deaf, tab(server) as other:
            deaf.socket.transport.pause_reading()
            for number in range(60):
                await deaf.send(number, large)
                await asyncio.sleep(0.01)
            assert (await other.translate(1, encoded(photo()))).id == 1
            answered = int(_figure(server, "frames_total"))
            assert answered < 40  # what the sockets' buffers hold
            deaf.socket.transport.abort()

    asyncio.run(starve())


def test_one_visitor_may_have_all_tabs_until_another_one_comes(fake_server: Callable[..., Server]) -> None:
    server = fake_server(tabs=3)

    async def come() -> None:
        async with tab(server) as first, tab(server), tab(server):
            async with tab(server, ready=False) as too_many:
                assert "3 tabs" in (await too_many.said("error"))["what"]
            async with tab(server, local_addr=("127.0.0.2", 0)) as other:
                assert (await other.translate(1, encoded(photo()))).id == 1
                assert "Somebody else" in (await first.said("error"))["what"]
                async with tab(server, local_addr=("127.0.0.2", 0), ready=False) as greedy:
                    assert "tabs" in (await greedy.said("error"))["what"]

    asyncio.run(come())


def _figure(server: Server, name: str) -> str:
    text = httpx.get(server.url + "metrics").text
    return next(line.split()[-1] for line in text.splitlines() if line.startswith(f"edge_i2i_serve_{name}"))


# Uploads --------------------------------------------------------------------------------------------------------


def test_slow_uploads_of_one_visitor_leave_places_for_others(
    style_bundle: Path, run_server: Callable[..., Server]
) -> None:
    server = run_server(style_bundle, ready=False)
    head = f"POST /exemplar HTTP/1.1\r\nHost: {LOOPBACK}:{server.port}\r\nContent-Length: 5000\r\n\r\nabc".encode()
    with ExitStack() as stack:
        for _ in range(4):
            slow = stack.enter_context(closing(socket.create_connection((LOOPBACK, server.port), HANG)))
            slow.sendall(head)
        deadline = time.monotonic() + HANG
        while httpx.post(server.url + "exemplar", content=b"x").status_code != 429:
            assert time.monotonic() < deadline
        others = httpx.HTTPTransport(local_address="127.0.0.2")
        with httpx.Client(transport=others, timeout=HANG) as client:
            answer = client.post(server.url + "exemplar", content=encoded(photo(), ".png"))
        assert json.loads(answer.text)["id"]


# Shares ---------------------------------------------------------------------------------------------------------


class Held:
    def __init__(self, of: str, since: float) -> None:
        self.visitor, self.since = of, since


def test_shares_become_more_alike_and_never_less() -> None:
    held = [Held("a", 1), Held("a", 2), Held("a", 3), Held("b", 0)]
    assert who_makes_room(held, "c") is held[0]
    assert who_makes_room(held, "b") is held[0]
    assert who_makes_room(held, "a") is None
    assert who_makes_room(held[1:], "b") is None  # two and one: one each way is no better
    assert who_makes_room([], "a") is None


@pytest.mark.parametrize("address", ["", "testclient", "fe80::1%eth0", "/run/socket"])
def test_any_address_has_a_visitor(address: str) -> None:
    assert isinstance(visitor_of(address), str)
