"""What a literal says: its text without quotes, escapes and continuations."""

from __future__ import annotations

import re

from affidavit.wire.sql.terms import Unreadable, unescape_unicode

_PLAIN = re.compile(r"'([^']*(?:''[^']*)*)'")
_ESCAPED = re.compile(r"'((?:[^'\\]|''|\\.)*)'", re.DOTALL)
_GAP = re.compile(r"(?:[ \t\n\r\f\v]|--[^\n\r]*)*")
_ESCAPE = re.compile(r"''|\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def literal_text(kind: str, piece: str) -> str:
    """The text of a literal as it stands (`piece`, quotes included); the piece itself where it says nothing sound."""
    if kind == "number":
        return piece
    if kind == "dollar":
        width = piece.index("$", 1) + 1
        return piece[width:-width]
    prefix = piece[: piece.index("'")].lower()
    try:
        if prefix == "e":
            return "".join(map(_unescaped, _bodies(_ESCAPED, piece)))
        text = "".join(_bodies(_PLAIN, piece)).replace("''", "'")
        return unescape_unicode(text) if prefix == "u&" else text
    except (Unreadable, ValueError, OverflowError):
        return piece


def _bodies(pattern: re.Pattern[str], piece: str) -> list[str]:
    found: list[str] = []
    at = piece.index("'")
    while at < len(piece):
        match = pattern.match(piece, at)
        if match is None:
            raise ValueError("not a literal")
        found.append(match.group(1))
        gap = _GAP.match(piece, match.end())
        at = gap.end() if gap else match.end()
    return found


def _unescaped(body: str) -> str:
    """E'…': numbered escapes are bytes in the server's encoding, taken for UTF-8."""
    if "\\" not in body:
        return body.replace("''", "'")
    out = bytearray()
    at = 0
    for match in _ESCAPE.finditer(body):
        out += body[at : match.start()].encode("utf-8", "surrogatepass")
        at = match.end()
        octal, two, four, eight, other = match.groups()
        if octal or two:
            out.append((int(octal, 8) if octal else int(two, 16)) & 0xFF)
        elif four or eight:
            out += chr(int(four or eight, 16)).encode("utf-8", "surrogatepass")
        else:
            out += (_LETTERS.get(other, other) if other else "'").encode("utf-8", "surrogatepass")
    out += body[at:].encode("utf-8", "surrogatepass")
    # Surrogate pairs written as two escapes are one character.
    text = out.decode("utf-8", "surrogatepass") if _is_utf8(out) else out.decode("utf-8", "replace")
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _is_utf8(data: bytearray) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True
