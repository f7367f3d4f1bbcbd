"""What the statements of a text say: the gate and the label of the PostgreSQL gateway, and of whoever checks it.

`understand` is a pure function. `Understanding` gives the same answers faster: all that is decided about a statement
is decided over its shape (see `lexer`), with every literal replaced by its number; only the text, the key values and
whether a literal is a credential differ between statements of a shape. So both run the same code, and the object
merely remembers the middle of it. It is for one thread.
"""

from __future__ import annotations

from dataclasses import dataclass

from affidavit.limits import SQL_CACHE_MAX, SQL_SHAPE_CHARS_MAX, SQL_STATEMENTS_MAX
from affidavit.wire.sql import lexer
from affidavit.wire.sql.commands import read_statement
from affidavit.wire.sql.credentials import MASK, holds_credential, mask_literals
from affidavit.wire.sql.literals import literal_text
from affidavit.wire.sql.reading import KeySlot, Names, Reading, unparsed
from affidavit.wire.sql.statement import KeyUse, Statement, TableUse
from affidavit.wire.sql.terms import Unreadable, terms

__all__ = ["KeyUse", "Statement", "TableUse", "Understanding", "not_understood", "understand"]

Found = list[tuple[str, int, int]]


@dataclass(frozen=True, slots=True)
class _Template:
    """One statement of a shape: its span in the skeleton, its literals as a range, what it says."""

    start: int
    end: int
    literals: tuple[int, int]
    normalized: str
    reading: Reading
    fixed_keys: tuple[KeyUse, ...] | None  # where no key is a literal


class Understanding:
    """Understands statements and remembers up to `cache_max` shapes, forgetting the one unused longest."""

    def __init__(self, cache_max: int = SQL_CACHE_MAX) -> None:
        self._cache_max = cache_max
        self._shapes: dict[tuple[str, tuple[str, ...]], tuple[_Template, ...]] = {}
        understand("SELECT 1")  # loads the parser now: no session waits for it

    def understand(self, text: str, search_path: tuple[str, ...] = ("public",)) -> tuple[Statement, ...]:
        """The same as the function `understand`."""
        if lexer.too_long(text):
            return (_too_long(text),)
        bones, found, accepted = lexer.skeleton(text)
        if not accepted:
            return (_refused(text, bones, found),)
        key = (bones, search_path)
        templates = self._shapes.pop(key, None)
        if templates is None:
            templates = _templates(bones, search_path)
        if len(bones) <= SQL_SHAPE_CHARS_MAX and self._cache_max > 0:
            if len(self._shapes) >= self._cache_max:
                del self._shapes[next(iter(self._shapes))]
            self._shapes[key] = templates  # now the most recently used
        return _filled(text, bones, found, templates)

    def __len__(self) -> int:
        return len(self._shapes)


def understand(text: str, search_path: tuple[str, ...] = ("public",)) -> tuple[Statement, ...]:
    """The statements of `text`, in order; none for an empty text.

    Never raises. What is not understood is `UNPARSED`, a write; a text that the server's scanner would refuse, or
    that is longer than `STATEMENT_PARSE_BYTES_MAX`, is one such statement. `search_path` resolves names without a
    schema: see `reading.Names`.
    """
    if lexer.too_long(text):
        return (_too_long(text),)
    bones, found, accepted = lexer.skeleton(text)
    if not accepted:
        return (_refused(text, bones, found),)
    return _filled(text, bones, found, _templates(bones, search_path))


def not_understood(text: str, why: str) -> Statement:
    """An `UNPARSED` statement for a text that the caller knows this room must not judge.

    For a session that reports `standard_conforming_strings = off` and a text that holds a backslash.
    """
    named = holds_credential(unparsed(why).credential, text, ())
    return _statement(text, "?", unparsed(why), (), named)


def _too_long(text: str) -> Statement:
    return not_understood(text, "longer than is looked at")


def _refused(text: str, bones: str, found: Found) -> Statement:
    reading = unparsed("the server's scanner refuses it")
    named = holds_credential(reading.credential, text, ())
    normalized = _normalized_without_credentials(text) if named else lexer.normalized(bones)
    return _statement(text, normalized, reading, (), named)


def _templates(bones: str, search_path: tuple[str, ...]) -> tuple[_Template, ...]:
    names = Names(search_path)
    spans = lexer.statement_spans(bones)
    known: dict[str, tuple[str, Reading]] = {}
    out: list[_Template] = []
    for start, end in spans:
        piece = bones[start:end]
        if piece not in known:
            many = len(spans) > SQL_STATEMENTS_MAX
            known[piece] = (lexer.normalized(piece), unparsed("too many statements") if many else _read(piece, names))
        normalized, reading = known[piece]
        fixed = None if any(k.kind == "literal" for k in reading.keys) else tuple(_key(k, "") for k in reading.keys)
        first = out[-1].literals[1] if out else 0
        out.append(_Template(start, end, (first, first + piece.count(lexer.STAND_IN)), normalized, reading, fixed))
    return tuple(out)


def _read(piece: str, names: Names) -> Reading:
    try:
        return read_statement(terms(piece), names)
    except Unreadable as e:
        return unparsed(str(e))


def _filled(text: str, bones: str, found: Found, templates: tuple[_Template, ...]) -> tuple[Statement, ...]:
    if not templates:
        return ()
    if len(templates) == 1 and templates[0].start == 0 and templates[0].literals[1] == len(found):
        template = templates[0]
        # The usual text is one statement: what follows it holds no literal, so its length is the same in the text.
        edges = [0, len(text) - (len(bones) - template.end)]
    else:
        edges = lexer.positions_in_text(bones, found, [edge for t in templates for edge in (t.start, t.end)])
    return tuple(
        _fill(text, text[edges[2 * n] : edges[2 * n + 1]], found, template) for n, template in enumerate(templates)
    )


def _fill(whole: str, text: str, found: Found, template: _Template) -> Statement:
    reading = template.reading
    first, last = template.literals
    credential = holds_credential(reading.credential, text, (whole[s:e] for _, s, e in found[first:last]))
    if credential:
        return _statement(text, _normalized_without_credentials(text), reading, (), True)
    keys = template.fixed_keys
    if keys is None:
        keys = tuple(
            _key(k, _literal(whole, found[first + k.number]) if k.kind == "literal" else "") for k in reading.keys
        )
    return _statement(text, template.normalized, reading, keys, False)


def _key(slot: KeySlot, text: str) -> KeyUse:
    value: tuple[str, int | str] = (slot.kind, slot.number)
    if slot.kind == "literal":
        value = ("literal", f"-{text}" if slot.negative else text)
    return KeyUse(slot.schema, slot.table, slot.column, value, slot.array)


def _literal(text: str, found: tuple[str, int, int]) -> str:
    kind, start, end = found
    return literal_text(kind, text[start:end])


def _normalized_without_credentials(text: str) -> str:
    return lexer.shape(mask_literals(text)).normalized.replace(MASK, "?")


def _statement(text: str, normalized: str, reading: Reading, keys: tuple[KeyUse, ...], credential: bool) -> Statement:
    return Statement(
        text,
        normalized,
        reading.verb,
        reading.action,
        reading.read_only,
        reading.why,
        reading.tables,
        reading.columns,
        reading.functions,
        reading.transaction,
        keys,
        credential,
        reading.parsed,
        reading.setting,
    )
