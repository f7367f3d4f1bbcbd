"""The public log of a running site, where the configuration asks for it."""

from __future__ import annotations

from affidavit.archive.folder import Folder
from affidavit.compose.site import Site
from affidavit.config import Address
from affidavit.server.publiclog import PublicLog
from affidavit.server.publicserver import bind_public, make_public_server


class Public:
    """Serves `DIR/log` on the configured address: bound once made, answering while `serve` runs."""

    def __init__(self, site: Site, listen: Address, prefix: str) -> None:
        """Raises `Unavailable` where the address cannot be had."""
        self._app = PublicLog(Folder(site.layout.log), prefix)
        self._server = make_public_server(self._app)
        self._listening = bind_public(listen.host, listen.port)
        self.url = f"http://{Address(listen.host, self._listening.getsockname()[1])}{prefix}"

    def words(self) -> tuple[str, ...]:
        """What is said of it at a start."""
        return (f"The public log is served on {self.url}.",)

    async def serve(self) -> None:
        """Answer until `stop`."""
        try:
            await self._server.serve(sockets=[self._listening])
        finally:
            self._app.close()

    def stop(self) -> None:
        """Take no more requests; `serve` ends when those under way are answered."""
        self._server.should_exit = True


def make_public(site: Site) -> Public | None:
    """The public log of `site`, or None where the configuration does not ask for it."""
    config = site.config.public
    return None if config is None else Public(site, config.listen, config.prefix)
