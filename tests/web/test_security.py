"""Other sites' pages, rebound names and strangers in the network are kept out; the page's own requests are not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from edge_i2i.errors import UsageError
from edge_i2i.web.security import Rules
from edge_i2i.web.server import Server, serve
from samples.web.tab_client import encoded, photo, tab

PORT = 8000


def refused(
    rules: Rules, *, host: str = "127.0.0.1:8000", path: str = "/", query: str = "", method: str = "GET", **headers: str
) -> int:
    """The status that a request is refused with; 0: it is not."""
    named = {"host": host, **headers}
    scope = {
        "type": "websocket" if method == "WS" else "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }
    refusal = rules.refusal(scope)
    return 0 if refusal is None else refusal.status


OPEN = Rules(frozenset({"myhost"}), None)
CLOSED = Rules(frozenset({"myhost"}), "s3cret")


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "localhost", "LOCALHOST:9", "[::1]:8000", "192.168.1.7", "myhost:1"]
)
def test_addresses_and_known_names_are_answered(host: str) -> None:
    assert refused(OPEN, host=host) == 0


@pytest.mark.parametrize(
    "host", ["", "evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost@evil.example", "a:b", "[::1"]
)
def test_other_names_are_not(host: str) -> None:
    """DNS rebinding: the attacker's own name points to this machine."""
    assert refused(OPEN, host=host) == 403


@pytest.mark.parametrize("method", ["POST", "WS", "PUT"])
@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:8001", "http://localhost:8000", "file://", "", "http://["],
)
def test_another_sites_page_may_not_do_anything(method: str, origin: str) -> None:
    assert refused(OPEN, method=method, origin=origin) == 403


@pytest.mark.parametrize("method", ["POST", "WS"])
def test_the_own_page_and_programs_may(method: str) -> None:
    assert refused(OPEN, method=method, origin="http://127.0.0.1:8000") == 0
    assert refused(OPEN, method=method, host="myhost:1", origin="https://myhost:1") == 0  # behind a TLS proxy
    assert refused(OPEN, method=method) == 0


@pytest.mark.parametrize("method", ["GET", "POST", "WS"])
def test_the_token_is_needed_for_everything(method: str) -> None:
    assert refused(CLOSED, method=method, path="/x") == 401
    assert refused(CLOSED, method=method, path="/x", query="token=s3cre") == 401
    assert refused(CLOSED, method=method, path="/x", cookie="edge_i2i_token=s3cret2; token=s3cret") == 401
    assert refused(CLOSED, method=method, path="/x", query="a=b&token=s3cret") == 0
    assert refused(CLOSED, method=method, path="/x", cookie="other=1; edge_i2i_token=s3cret") == 0


# Over the wire --------------------------------------------------------------------------------------------------


def test_every_answer_isolates_the_page(demo_server: Server) -> None:
    for path in ("/", "/page/main.js", "/bundle.json", "/nothing", "/page/../app.py", "/healthz"):
        headers = httpx.get(demo_server.url + path.removeprefix("/")).headers
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-embedder-policy"] == "require-corp"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe-inline" not in policy and "http" not in policy
        assert "server" not in headers


def test_what_shows_somebody_is_not_kept_by_the_browser(demo_server: Server) -> None:
    for path in ("bundle.json", "thumbs/plain.jpg", "metrics"):
        assert httpx.get(demo_server.url + path).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("headers", "status"), [({"Host": "evil.example"}, 403), ({"Origin": "http://evil.example"}, 403)]
)
def test_strange_requests_are_refused_in_words(demo_server: Server, headers: dict[str, str], status: int) -> None:
    answer = httpx.post(demo_server.url + "exemplar", content=b"x", headers=headers)
    assert answer.status_code == status
    assert answer.json()["what"] and answer.json()["remedy"]
    assert answer.headers["cross-origin-embedder-policy"] == "require-corp"


@pytest.mark.parametrize("options", [{"origin": "http://evil.example"}, {"called": "evil.example"}])
def test_a_strange_websocket_is_refused(demo_server: Server, options: dict[str, Any]) -> None:
    assert _handshake_status(demo_server, **options) == 403


def test_the_pages_own_websocket_is_not(demo_server: Server) -> None:
    async def use() -> None:
        async with tab(demo_server, origin=f"http://127.0.0.1:{demo_server.port}") as client:
            assert (await client.translate(1, encoded(photo()))).id == 1

    asyncio.run(use())


def test_beyond_loopback_the_first_address_opens_the_rest(demo_bundle: Path, run_server: Callable[..., Server]) -> None:
    server = run_server(demo_bundle, host="0.0.0.0")
    address = f"http://127.0.0.1:{server.port}"
    token = server.url.partition("?token=")[2]
    assert len(token) >= 32
    assert httpx.get(f"{address}/").status_code == 401
    assert httpx.get(f"{address}/healthz").status_code == 200
    assert _handshake_status(server) == 401
    with httpx.Client(base_url=address) as client:
        first = client.get("/", params={"token": token})
        cookie = first.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        assert client.get("/bundle.json").status_code == 200
        assert "set-cookie" not in client.get("/bundle.json").headers
    asyncio.run(_translates(server, additional_headers={"Cookie": cookie.partition(";")[0]}))


def test_tokens_differ_and_loopback_has_none(demo_bundle: Path, run_server: Callable[..., Server]) -> None:
    urls = {run_server(demo_bundle, ready=False, host="0.0.0.0").url.partition("=")[2] for _ in range(2)}
    assert len(urls) == 2
    assert "token" not in run_server(demo_bundle, ready=False, host="localhost").url


def test_a_port_that_is_taken_is_said_so(demo_bundle: Path, demo_server: Server) -> None:
    with pytest.raises(UsageError, match=str(demo_server.port)) as caught:
        serve(demo_bundle, port=demo_server.port)
    assert "port 0" in caught.value.remedy


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_an_address_that_is_not_ours_is_said_so(demo_bundle: Path, host: str) -> None:
    with pytest.raises(UsageError, match="cannot be listened on"):
        serve(demo_bundle, host=host)


async def _translates(server: Server, **options: Any) -> None:
    async with tab(server, **options) as client:
        assert (await client.translate(7, encoded(photo()))).id == 7


def _handshake_status(server: Server, **options: Any) -> int:
    async def knock() -> int:
        try:
            async with tab(server, ready=False, **options):
                return 101
        except InvalidStatus as refused_:
            assert refused_.response.status_code in (401, 403)
            assert json.loads(refused_.response.body or b"")["remedy"]
            return int(refused_.response.status_code)

    return asyncio.run(knock())
