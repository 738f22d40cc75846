"""The options of ``edge-i2i serve`` that say where the page is found, and what the library calls them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_i2i.errors import UsageError
from edge_i2i.files.caches import cache_folder

if TYPE_CHECKING:
    from edge_i2i.hosting.reach import Reach

DEFAULT_PORT = 8080
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class ReachOptions:
    """Under which addresses the page is found."""

    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; any but this machine's own prints a URL with a token.")
    ] = _LOOPBACK
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The port to listen on; 0 takes a free one.")
    ] = DEFAULT_PORT
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host", metavar="NAME", help="Also answer under this host name, such as a proxy's; repeatable."
        ),
    ] = None
    base_path: Annotated[
        str, typer.Option("--base-path", metavar="PATH", help="The path under which a proxy shows the page: /i2i.")
    ] = "/"
    proxy: Annotated[
        list[str] | None,
        typer.Option("--proxy", metavar="ADDRESS", help="Trust X-Forwarded-… from this proxy or network; repeatable."),
    ] = None
    token: Annotated[
        str,
        typer.Option(
            "--token", envvar="EDGE_I2I_TOKEN", show_envvar=True, help="The token that visitors need in the address."
        ),
    ] = ""
    https: Annotated[
        bool,
        typer.Option("--https", help="HTTPS, which phones need; by default with a self-made certificate."),
    ] = False
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="FILE", help="The certificate for --https, PEM.")
    ] = None
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="The certificate's private key, PEM.")] = (
        None
    )

    @property
    def is_self_made(self) -> bool:
        """Whether the certificate is one that nobody vouches for."""
        return self.https and self.certificate is None

    def of_library(self) -> Reach:
        """The options as ``serve`` takes them. A certificate is made where one is asked for and none is given."""
        from dataclasses import replace

        from edge_i2i.hosting.reach import Reach

        reach = Reach(
            self.host,
            self.port,
            names=tuple(self.allow_host or ()),
            base=self.base_path,
            proxies=tuple(self.proxy or ()),
            token=self.token,
        )
        certificate, key = self._pair(reach)
        return replace(reach, certificate=certificate, key=key)

    def _pair(self, reach: Reach) -> tuple[Path | None, Path | None]:
        from edge_i2i.hosting.certificates import check_pair, self_made

        if (self.certificate is None) != (self.key is None):
            raise UsageError("A certificate needs its key.", remedy="Give both: --certificate FILE --key FILE.")
        if self.certificate is not None and self.key is not None:
            check_pair(self.certificate, self.key)
            return self.certificate, self.key
        if not self.https:
            return None, None
        return self_made(cache_folder("https"), reach.every_name())
