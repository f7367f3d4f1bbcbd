"""The configured time-stamp authorities, with the certificates that their tokens are verified with."""

from __future__ import annotations

import asyncio
import os

from affidavit.compose.site import Site
from affidavit.errors import InvalidInput
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.timestamping import AuthoritySite, Timestamping
from affidavit.limits import AUTHORITY_FILE_BYTES_MAX
from affidavit.timeproof.token import Authority


def authority_sites(site: Site) -> tuple[AuthoritySite, ...]:
    """Each configured authority. Raises `InvalidInput` where its certificates cannot be read."""
    found = []
    for item in site.config.authorities:
        data = site.disk.read(item.certificates, AUTHORITY_FILE_BYTES_MAX)
        if data is None:
            raise InvalidInput(
                "timestamp.certificates",
                f"{item.certificates}, the certificates of the time-stamp authority {item.name}, is not there.",
                "Save its root certificate there as PEM.",
            )
        authority = Authority.of_pem(data, str(item.certificates))
        found.append(AuthoritySite(item.name, item.url, authority, item.interval_s))
    return tuple(found)


def make_timestamping(site: Site, ledger: Ledger, loop: asyncio.AbstractEventLoop) -> Timestamping:
    """What asks the authorities and records their tokens, to be run in `loop`. Raises as `authority_sites`."""
    return Timestamping(authority_sites(site), ledger, site.producer(ledger, loop), site.clock, os.urandom)
