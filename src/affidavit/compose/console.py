"""The console of a running site, where the configuration asks for it, and the links that let people in."""

from __future__ import annotations

import contextlib
import os

from affidavit.capture.administration import Actor
from affidavit.compose.site import Site
from affidavit.config import Address, ConsoleConfig
from affidavit.errors import Denied
from affidavit.limits import CONSOLE_LINK_S
from affidavit.server.console.access import Access
from affidavit.server.console.app import make_console
from affidavit.server.console.guard import names_of
from affidavit.server.identity import actor_of_uid
from affidavit.server.inviting import Link
from affidavit.server.publicserver import bind_public, make_public_server
from affidavit.server.services import Services


class Console:
    """Serves the console on the configured address: bound once made, answering while `serve` runs."""

    def __init__(self, site: Site, config: ConsoleConfig, services: Services) -> None:
        """Raises `Unavailable` where the address cannot be had."""
        self._access = Access(site.clock, os.urandom)
        self._services = services
        self._listening = bind_public(config.listen.host, config.listen.port)
        port = self._listening.getsockname()[1]
        at = str(Address(config.listen.host, port))
        self.url = f"http://{at}"
        names = names_of(at.removesuffix(f":{port}"), port)
        self._server = make_public_server(make_console(services, self._access, names, port))

    def invite(self, actor: Actor) -> Link:
        """A link that lets `actor` in once."""
        return Link(f"{self.url}/login?link={self._access.link(actor)}", CONSOLE_LINK_S)

    def words(self) -> tuple[str, ...]:
        """What is said of it at a start, with a link for the user of this process, where that is somebody."""
        actor = None
        with contextlib.suppress(Denied):  # somebody whose credential has ended
            actor = actor_of_uid(os.getuid(), self._services)
        if actor is None:
            return (f"The console is served on {self.url}; `affidavit login` prints a link that lets you in.",)
        link = self.invite(actor)
        minutes = link.seconds // 60
        return f"The console, by a link that lets you in once, within {minutes} minutes:", f"  {link.url}"

    async def serve(self) -> None:
        """Answer until `stop`."""
        await self._server.serve(sockets=[self._listening])

    def stop(self) -> None:
        """Take no more requests; `serve` ends when those under way are answered."""
        self._server.should_exit = True
