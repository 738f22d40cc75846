"""Behind a reverse proxy: a real nginx with a certificate, under a name and a path of its own."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from edge_i2i.errors import BadInputError, UsageError
from edge_i2i.hosting.certificates import check_pair, self_made
from edge_i2i.hosting.forwarded import as_forwarded
from edge_i2i.hosting.reach import Reach, reachable
from edge_i2i.web.server import Server
from samples.web.tab_client import TabClient, encoded, photo

NAME = "i2i.example.org"
HANG = 60.0

# What docs/serve.md tells to write; the rest is what a machine's own nginx.conf has around it.
LOCATION = """
location {public} {{
    proxy_pass http://127.0.0.1:{port}{passed};
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $http_connection;
    {headers}
    client_max_body_size 20m;
}}
"""
AROUND = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 64; }}
http {{
    access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port} ssl; server_name {name};
        ssl_certificate {certificate}; ssl_certificate_key {key};
        {location}
    }}
}}
"""
PUBLIC_HOST = "proxy_set_header Host $host;"
FORWARDED = (
    "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; "
    "proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;"
)


@pytest.fixture
def proxied(plain_bundle: Path, run_server: Callable[..., Server], tmp_path: Path) -> Iterator[Callable[..., Proxied]]:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is not here: apt-get install nginx-light")
    processes: list[subprocess.Popen[bytes]] = []

    def start(*, public: str = "/", passed: str = "", headers: str = PUBLIC_HOST, **reach: Any) -> Proxied:
        server = run_server(plain_bundle, reach=Reach(**{"names": [NAME], **reach}))
        certificate, key = self_made(tmp_path / "tls", [NAME])
        port = free_port()
        location = LOCATION.format(public=public, port=server.port, passed=passed, headers=headers)
        around = {"folder": tmp_path, "port": port, "name": NAME, "certificate": certificate, "key": key}
        (tmp_path / "nginx.conf").write_text(AROUND.format(location=location, **around))
        processes.append(subprocess.Popen([nginx, "-c", tmp_path / "nginx.conf", "-e", tmp_path / "early.log"]))
        wait_for(port)
        return Proxied(server, port, certificate, public)

    yield start
    for process in processes:
        process.terminate()
        process.wait(HANG)


class Proxied:
    """A visitor's view of a server behind nginx."""

    def __init__(self, server: Server, port: int, certificate: Path, public: str) -> None:
        self.server, self.public = server, public
        self.trust = ssl.create_default_context(cafile=str(certificate))
        self._port = port
        self.client = httpx.Client(
            verify=self.trust, base_url=f"https://127.0.0.1:{port}{public}", headers={"Host": NAME}, timeout=HANG
        )

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, extensions={"sni_hostname": NAME}, **options)

    def translates(self, **headers: str) -> bool:
        async def talk() -> bool:
            address = f"wss://{NAME}{self.public}ws"
            reach = {"host": "127.0.0.1", "port": self._port, "proxy": None, "ssl": self.trust}
            origin: Any = f"https://{NAME}"
            async with connect(address, origin=origin, additional_headers=headers, close_timeout=1, **reach) as socket_:
                client = TabClient(socket_)
                await client.said("ready")
                return (await client.translate(1, encoded(photo()))).id == 1

        return asyncio.run(talk())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def wait_for(port: int) -> None:
    until = time.monotonic() + HANG
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.02)


@pytest.mark.parametrize("headers", [PUBLIC_HOST, "", FORWARDED], ids=["public Host", "nginx's default", "forwarded"])
def test_page_upload_socket_and_offer_go_through_a_proxy(proxied: Callable[..., Proxied], headers: str) -> None:
    visitor = proxied(headers=headers, proxies=["127.0.0.1"])
    assert "<title>" in visitor.get("").text
    assert visitor.get("page/main.js").status_code == visitor.get("bundle.json").status_code == 200
    origin = {"Origin": f"https://{NAME}"}
    offer = {"sdp": "v=0", "type": "offer", "tab": "none"}
    asked = {"headers": origin, "extensions": {"sni_hostname": NAME}}
    assert visitor.client.post("webrtc", json=offer, **asked).status_code == 422  # it is heard: no such tab
    assert visitor.client.post("exemplar", content=b"x", **asked).status_code == 422  # it takes none
    foreign = {**asked, "headers": {"Origin": "https://evil.example"}}
    assert visitor.client.post("webrtc", json=offer, **foreign).status_code == 403
    assert visitor.translates()


@pytest.mark.parametrize("passed", ["", "/"], ids=["with the path", "without"])
def test_under_a_path_whether_or_not_the_proxy_passes_it_on(proxied: Callable[..., Proxied], passed: str) -> None:
    visitor = proxied(public="/i2i/", passed=passed, base="/i2i", token="a-token-of-some-length")
    first = visitor.get("", params={"token": "a-token-of-some-length"})
    assert "<title>" in first.text and "Path=/i2i/;" in first.headers["set-cookie"]
    cookie = first.headers["set-cookie"].partition(";")[0]
    assert visitor.get("bundle.json", headers={"Cookie": cookie}).json()["bundles"][0]["path"] == "bundles/plain/"
    assert visitor.get("bundles/plain/page/main.js", headers={"Cookie": cookie}).status_code == 200
    assert visitor.translates(Cookie=cookie)
    with pytest.raises(InvalidStatus):
        visitor.translates()
    assert visitor.server.urls_elsewhere == (f"https://{NAME}/i2i/?token=a-token-of-some-length",)


def test_a_path_without_its_last_slash_leads_to_the_page(plain_bundle: Path, run_server: Callable[..., Server]) -> None:
    server = run_server(plain_bundle, reach=Reach(base="i2i"), ready=False)
    answer = httpx.get(server.url.removesuffix("/") + "?a=1")
    assert (answer.status_code, answer.headers["location"]) == (308, "/i2i/?a=1")


def test_without_its_name_a_proxy_gets_nowhere_but_to_health(
    plain_bundle: Path, run_server: Callable[..., Server]
) -> None:
    server = run_server(plain_bundle)
    said = {"Host": NAME, "X-Forwarded-Host": f"127.0.0.1:{server.port}"}
    assert httpx.get(server.url, headers=said).status_code == 403  # nobody said that a proxy is to be believed
    health = httpx.get(server.url + "healthz", headers={"Host": "edge-i2i:8080"})
    assert health.status_code == 200 and health.json() == {"state": "ready"}
    assert httpx.get(server.url + "healthz").json()["engine"] == "onnxruntime"


# What is believed of whom ---------------------------------------------------------------------------------------

PROXIES = Reach(proxies=["127.0.0.1", "172.18.0.0/16", "fd00::/8"]).proxy_networks


def forwarded(client: str, **said: str) -> tuple[str, str, str]:
    headers = [(b"host", b"own"), *((f"x-forwarded-{name}".encode(), value.encode()) for name, value in said.items())]
    scope = as_forwarded({"client": (client, 5), "scheme": "http", "headers": headers}, PROXIES)
    return scope["client"][0], scope["scheme"], dict(scope["headers"])[b"host"].decode()


@pytest.mark.parametrize(
    ("client", "said", "seen"),
    [
        ("127.0.0.1", {"for": "9.9.9.9", "proto": "https", "host": "a.org"}, ("9.9.9.9", "https", "a.org")),
        ("8.8.8.8", {"for": "9.9.9.9", "proto": "https", "host": "a.org"}, ("8.8.8.8", "http", "own")),
        ("172.18.3.4", {"for": "1.1.1.1, 9.9.9.9, 172.18.0.9"}, ("9.9.9.9", "http", "own")),
        ("::ffff:127.0.0.1", {"for": "[2001:db8::7]:443"}, ("2001:db8::7", "http", "own")),
        ("fd00::1", {"for": "9.9.9.9:1234", "host": "made.up, a.org"}, ("9.9.9.9", "http", "a.org")),
        ("127.0.0.1", {"for": "rubbish, more"}, ("127.0.0.1", "http", "own")),
        ("127.0.0.1", {"for": "127.0.0.1", "proto": "gopher"}, ("127.0.0.1", "http", "own")),
    ],
)
def test_only_named_proxies_are_believed(client: str, said: dict[str, str], seen: tuple[str, str, str]) -> None:
    assert forwarded(client, **said) == seen


@pytest.mark.parametrize(
    "wrong",
    [
        {"names": ["https://a.org"]},
        {"names": ["a b"]},
        {"names": [""]},
        {"base": "/a/../b"},
        {"base": "/a?b"},
        {"base": "/a//b"},
        {"proxies": ["nginx"]},
        {"token": "short"},
        {"token": "with spaces and & signs"},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Reach(**wrong)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "0:0::0"])
def test_an_address_that_means_all_is_never_what_others_are_told(host: str) -> None:
    assert reachable(host).strip("[]") not in ("0.0.0.0", "::", "")


def test_ipv6_is_shown_in_brackets_and_all_addresses_take_both_kinds(
    plain_bundle: Path, run_server: Callable[..., Server]
) -> None:
    assert reachable("2001:db8::1") == "[2001:db8::1]"
    server = run_server(plain_bundle, ready=False, host="::")
    for address in ("127.0.0.1", "[::1]"):
        assert httpx.get(f"http://{address}:{server.port}/healthz").status_code in (200, 503)


# HTTPS ----------------------------------------------------------------------------------------------------------


def test_https_with_a_certificate_of_its_own(
    plain_bundle: Path, run_server: Callable[..., Server], tmp_path: Path
) -> None:
    pair = certificate, key = self_made(tmp_path, [NAME])
    assert self_made(tmp_path, [NAME]) == pair and key.stat().st_mode & 0o77 == 0
    before = certificate.read_bytes()
    assert self_made(tmp_path, [NAME]) == pair and certificate.read_bytes() == before
    self_made(tmp_path, ["other.example.org"])
    assert certificate.read_bytes() != before  # it is for the names that are asked for
    server = run_server(plain_bundle, reach=Reach(certificate=certificate, key=key), ready=False)
    trust = ssl.create_default_context(cafile=str(certificate))
    assert server.url.startswith("https://")
    assert "<title>" in httpx.get(server.url, verify=trust).text
    with socket.create_connection(("127.0.0.1", server.port)) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert plain.recv(100) == b""


def test_a_certificate_that_is_none_is_said_so(tmp_path: Path) -> None:
    certificate, key = self_made(tmp_path / "a", [])
    _, other = self_made(tmp_path / "b", [])
    (tmp_path / "empty.pem").touch()
    for pair in ((certificate, other), (tmp_path / "none", key), (tmp_path / "empty.pem", key), (key, certificate)):
        with pytest.raises(BadInputError, match="certificate"):
            check_pair(*pair)
