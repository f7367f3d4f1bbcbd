"""Blind tags: what lets the holder of one key find the records that touch one table, resource or data subject.

k = HMAC-SHA256(tag key, name), the name being `SYSTEM|table|schema.name`, `SYSTEM|resource|…` or
`SYSTEM|subject|schema.table.column=value`. A record's tag for it is the first 4 bytes of HMAC-SHA256(k, record id), in
hex: the same name gives another tag in every record, so headers that are public say nothing without k. Who is given
one k finds that name's records, no other's.
"""

from __future__ import annotations

import hmac
from binascii import hexlify
from collections.abc import Iterable, Sequence
from functools import lru_cache

from affidavit.limits import TAGS_MAX
from affidavit.record.keyed import KeyedHash


class Tagger:
    """Computes tags under one tag key (32 bytes). The key is fixed for the log's life."""

    def __init__(self, tag_key: bytes, cache_max: int = 16_384) -> None:
        self._key = tag_key
        self._keyed = lru_cache(maxsize=cache_max)(self._derive)

    def key_of(self, name: str) -> bytes:
        """k for a name: what finds that name's records, and no other's."""
        return hmac.digest(self._key, name.encode(), "sha256")

    def _derive(self, name: str) -> KeyedHash:
        return KeyedHash(self.key_of(name))

    def tags(self, record_id: str, names: Iterable[str]) -> tuple[tuple[str, ...], bool]:
        """The sorted tags of a record, and whether some were left out because there were more than `TAGS_MAX`."""
        message = record_id.encode()
        found = sorted({self._keyed(name).digest(message)[:4].hex() for name in names})
        return tuple(found[:TAGS_MAX]), len(found) > TAGS_MAX

    def tags_text(self, record_id: bytes, names: Sequence[str]) -> bytes:
        """The tags of a record as they stand in its header, for at most `TAGS_MAX` names."""
        if len(names) == 1:
            return b'"%b"' % hexlify(self._keyed(names[0]).digest(record_id)[:4])
        found = sorted({hexlify(self._keyed(name).digest(record_id)[:4]) for name in names})
        return b'"%b"' % b'","'.join(found)


def tag_under(key: bytes, record_id: str) -> str:
    """The tag that a record with this id carries if it has the name that `key` was derived from."""
    return hmac.digest(key, record_id.encode(), "sha256")[:4].hex()
