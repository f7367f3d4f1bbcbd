"""The terms of a statement: its tokens without white space and comments, names as the server knows them, literals
as numbers.

A term never holds a literal's content, so whatever is decided over terms is the same for every statement of a shape.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from affidavit.wire.sql import lexer
from affidavit.wire.sql.keywords import KEYWORDS

_UNICODE_ESCAPE = re.compile(r"\\(?:\\|([0-9A-Fa-f]{4})|\+([0-9A-Fa-f]{6}))")


@dataclass(frozen=True, slots=True)
class Term:
    """One term. `kind` is one of: word (unquoted, `text` folded), quoted (`text` is a quotation
    mark and the name, so that it never equals a word or a mark), literal (`text` is
    its number among the statement's literals), parameter (`text` as `$1`), op, punct. `start` and `end` lie in the
    skeleton."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def name(self) -> str:
        """The name that a word or a quoted term says."""
        return self.text[1:] if self.kind == "quoted" else self.text

    @property
    def is_name(self) -> bool:
        """Whether this can only be a name: quoted, or a word that the grammar gives no meaning."""
        return self.kind == "quoted" or (self.kind == "word" and self.text not in KEYWORDS)


class Unreadable(Exception):
    """The text is outside of what this room reads. Inside the room only: becomes `UNPARSED`, never crosses it."""


def terms(bones: str) -> tuple[Term, ...]:
    """The terms of the skeleton of one statement. Raises `Unreadable`."""
    number = 0
    found: list[Term] = []
    for token in lexer.tokens(bones):
        kind = token.kind
        piece = bones[token.start : token.end]
        if kind in ("space", "comment"):
            continue
        if kind == "word":
            text = lexer.folded(piece)
        elif kind == "quoted":
            text = '"' + lexer.clipped(piece[1:-1].replace('""', '"'))
        elif kind == "unicode":
            kind, text = "quoted", '"' + lexer.clipped(unescape_unicode(piece[3:-1].replace('""', '"')))
        elif kind == "stand_in":
            kind, text = "literal", str(number)
            number += 1
        elif kind in ("op", "punct", "parameter"):
            text = piece
        else:
            raise Unreadable("not PostgreSQL tokens")
        if kind == "quoted" and len(text) == 1:
            raise Unreadable("an empty quoted name")
        if kind == "word" and text == "uescape":
            raise Unreadable("UESCAPE")
        found.append(Term(kind, text, token.start, token.end))
    return tuple(found)


def unescape_unicode(text: str) -> str:
    """The text of `U&'…'` or `U&"…"` with the default escape character. Raises `Unreadable`."""

    def character(match: re.Match[str]) -> str:
        digits = match.group(1) or match.group(2)
        if not digits:
            return "\\"
        code = int(digits, 16)
        if not 0 < code <= 0x10FFFF:
            raise Unreadable("a Unicode escape beyond the code space")
        return chr(code)

    out = _UNICODE_ESCAPE.sub(character, text)
    if "\\" in _UNICODE_ESCAPE.sub("", text):
        raise Unreadable("a malformed Unicode escape")
    # Surrogate pairs written as two escapes are one character; a lone one is no text.
    try:
        return out.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError as e:
        raise Unreadable("a lone surrogate") from e
