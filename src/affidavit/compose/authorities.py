"""The configured time-stamp authorities, with the certificates that their tokens are verified with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from affidavit.config import AuthorityConfig, Config
from affidavit.durable import Disk
from affidavit.errors import AffidavitError, InvalidInput
from affidavit.ledger.timestamping import AuthoritySite
from affidavit.limits import AUTHORITY_FILE_BYTES_MAX

if TYPE_CHECKING:
    from affidavit.timeproof.token import Authority


def authority_sites(config: Config, disk: Disk) -> tuple[AuthoritySite, ...]:
    """Each configured authority. Raises `InvalidInput` where its certificates cannot be read."""
    return tuple(
        AuthoritySite(
            item.name,
            item.url,
            _authority(_certificates(item, disk), str(item.certificates)),
            item.interval_s,
        )
        for item in config.authorities
    )


def trusted(config: Config, disk: Disk) -> Authority | None:
    """Whoever one of the configured certificates stands for; None where there are none, or one cannot be read: the log
    can be read without them, and then no token counts."""
    if not config.authorities:
        return None
    try:
        data = b"\n".join(_certificates(item, disk) for item in config.authorities)
        return _authority(data, "the certificates of the time-stamp authorities")
    except AffidavitError:
        return None


def _authority(pem: bytes, where: str) -> Authority:
    from affidavit.timeproof.token import Authority  # noqa: PLC0415  a fifth of a second to load; most logs have none

    return Authority.of_pem(pem, where)


def _certificates(item: AuthorityConfig, disk: Disk) -> bytes:
    data = disk.read(item.certificates, AUTHORITY_FILE_BYTES_MAX)
    if data is None:
        raise InvalidInput(
            "timestamp.certificates",
            f"{item.certificates}, the certificates of the time-stamp authority {item.name}, is not there.",
            "Save its root certificate there as PEM.",
        )
    return data
