"""Terms of the index: 64 bits of a keyed hash, so that its files hold no value of any record.

Who has the files without the key sees numbers: which records share a term, and how many do; not which field it is of,
nor what it says. A text is there as its runs of three characters, so that any part of it can be looked for; a value of
a field also as beginnings of a few lengths; a number also by its count of bits. What they let through beyond what was
asked, the predicate over the record itself refuses.
"""

from __future__ import annotations

import hashlib
from typing import Any

from affidavit.limits import SEARCH_TERMS_CACHED_MAX, SEARCH_TEXTS_CACHED_MAX

#: How many characters of a value are a term of their own: none, which all values share, and beginnings. Who asks for a
#: beginning asks for the longest of them that fits.
BEGINNINGS = (0, 1, 2, 4, 8, 16, 32, 64)
#: Parts of texts: shorter ones are not looked for in the index.
RUN_CHARS = 3
_TERM_BYTES = 8
_TEXT_CHARS_CACHED_MAX = 1_024  # longer ones hardly repeat
Terms = tuple[str, ...]


class Blinding:
    """The terms of one log's index, under one key: numbers below 2^64, as decimal text. Values are given as `fields`
    has them. Safe for any thread."""

    def __init__(self, key: bytes) -> None:
        self._keyed = hashlib.blake2b(digest_size=_TERM_BYTES, key=key)
        self._runs = _Runs(self)
        self._values: dict[tuple[str, str | int], Terms] = {}
        self._texts: dict[str, Terms] = {}

    def value(self, field: str, value: str | int) -> Terms:
        """All terms that a record has for a value of a field: itself and its beginnings, or its count of bits."""
        found = self._values.get((field, value))
        if found is None:
            if isinstance(value, int):
                found = (self.word(field, value), self.bits(field, value.bit_length()))
            else:
                beginnings = [self._beginning(field, value, chars) for chars in BEGINNINGS if chars <= len(value)]
                found = (self.word(field, value), *beginnings)
            _room(self._values, SEARCH_TERMS_CACHED_MAX)
            self._values[field, value] = found
        return found

    def text(self, text: str) -> Terms:
        """The terms for each run of three characters in a text: none for a shorter one."""
        found = self._texts.get(text)
        if found is None:
            parts = {text[at : at + RUN_CHARS] for at in range(len(text) - RUN_CHARS + 1)}
            found = tuple(map(self._runs.__getitem__, parts))
            if len(text) <= _TEXT_CHARS_CACHED_MAX:
                _room(self._texts, SEARCH_TEXTS_CACHED_MAX)
                self._texts[text] = found
        return found

    def word(self, field: str, value: str | int) -> str:
        """The term for a value of a field."""
        return self.hashed(f"={field}\0{value}")

    def beginning(self, field: str, start: str) -> str:
        """A term that all texts of a field have that begin with `start`; others may have it too. For an empty `start`:
        that there is any."""
        return self._beginning(field, start, max(chars for chars in BEGINNINGS if chars <= len(start)))

    def bits(self, field: str, count: int) -> str:
        """The term for the numbers of a field that have `count` binary digits."""
        return self.hashed(f"#{field}\0{count}")

    def hashed(self, spelled: str) -> str:
        """The term that is spelled so, with a sign in front for what kind of term it is."""
        keyed = self._keyed.copy()
        keyed.update(spelled.encode("utf-8", "surrogatepass"))
        return str(int.from_bytes(keyed.digest(), "big"))

    def _beginning(self, field: str, value: str, chars: int) -> str:
        return self.hashed(f"^{field}\0{value[:chars]}")


class _Runs(dict[str, str]):
    """The terms for runs of characters, made where they are asked for first: most repeat, and are looked up at once."""

    def __init__(self, blinding: Blinding) -> None:
        super().__init__()
        self._blinding = blinding

    def __missing__(self, part: str) -> str:
        _room(self, SEARCH_TERMS_CACHED_MAX)
        term = self[part] = self._blinding.hashed(f"~{part}")
        return term


def _room(cache: dict[Any, Any], most: int) -> None:
    """Empty a cache that is full: what repeats is there again soon."""
    if len(cache) >= most:
        cache.clear()
