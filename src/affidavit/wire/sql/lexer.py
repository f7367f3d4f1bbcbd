"""The tokens of PostgreSQL's SQL, exactly as the server's own scanner cuts them.

Why a lexer of our own: a gate that cuts a text differently from the server can be walked past (a quote that ends
earlier, a comment that nests, a continued string). The rules are those of `src/backend/parser/scan.l` of
PostgreSQL 14 to 18 with `standard_conforming_strings = on`. A session that reports `off` reads backslashes in plain
strings differently: its caller must not use this room for a text that holds a backslash.

The *skeleton* of a text is the text with every literal replaced by two characters, NUL and `?`. NUL cannot stand in
a PostgreSQL text, so the skeleton keeps every token boundary, holds no literal's content, and is the key under which
`understand` keeps what it learned about a shape.

The *normalised* form is for people and for storage: every literal is `?`, comments are dropped, runs of white space
are one space, the case of words and the parameters `$1` stay. Where a text ends inside a literal, a comment or a
quoted name, everything from there on is one `?`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal as OneOf

from affidavit.limits import IDENTIFIER_BYTES_MAX, STATEMENT_PARSE_BYTES_MAX

STAND_IN = "\x00?"
OPERATOR_RUN_CHARS_MAX = 256  # far beyond any statement; the server takes 63 for one operator

_SPACE = r"[ \t\n\r\f\v]"
# Letters are A-Z, a-z, _ and everything beyond ASCII; written as what they are not, the classes compile in a tenth of
# the time and stay small.
_LETTER = r"[^\x00-@\[-\^`{-\x7f]"
_WORD = rf"{_LETTER}[^\x00-#%-/:-@\[-\^`{{-\x7f]*+"  # and digits and $
_TAG = rf"{_LETTER}[^\x00-/:-@\[-\^`{{-\x7f]*+"  # and digits
_OPERATOR = r"[~!@#^&|`?+\-*/%<>=]"
_DIGITS = r"[0-9](?:_?[0-9])*+"
# Adjacent strings are one literal if a line break lies between them; comments to the end of line may stand there.
_CONTINUED = r"(?>[ \t\f\v]*+(?:--[^\n\r]*+)?[\n\r](?>[ \t\n\r\f\v]++|--[^\n\r]*+[\n\r])*+)'"
_PLAIN_BODY = r"[^']*+(?:''[^']*+)*+'"
_ESCAPE_BODY = r"(?>[^'\\]++|''|\\.)*+'"
_BITS_BODY = r"[^']*+'"
_STRING = (
    rf"(?P<string>[nN]?'{_PLAIN_BODY}(?:{_CONTINUED}{_PLAIN_BODY})*+"
    rf"|[eE]'{_ESCAPE_BODY}(?:{_CONTINUED}{_ESCAPE_BODY})*+"
    rf"|[bBxX]'{_BITS_BODY}(?:{_CONTINUED}{_BITS_BODY})*+"
    rf"|[uU]&'{_PLAIN_BODY}(?:{_CONTINUED}{_PLAIN_BODY})*+)"
)
_DOLLAR = rf"(?P<dollar>\$(?P<tag>(?:{_TAG})?+)\$(?s:.*?)\$(?P=tag)\$)"
_NUMBER = (
    r"(?P<number>(?>0[xX](?:_?[0-9A-Fa-f])++|0[oO](?:_?[0-7])++|0[bB](?:_?[01])++"
    rf"|(?:{_DIGITS}(?:\.(?!\.)(?:{_DIGITS})?+)?+|\.{_DIGITS})(?:[eE][+\-]?{_DIGITS})?+)"
    rf"(?!{_LETTER}|[0-9]))"
)
_QUOTED = r'"[^"]*+(?:""[^"]*+)*+"'
_PARAMETER = rf"\$[0-9]++(?!{_LETTER})"
_COMMENT_LINE = r"--[^\n\r]*+"
_COMMENT_FLAT = r"/\*(?>[^*/]++|\*(?!/)|/(?!\*))*+\*/"
_PREFIXED = r"[eEbBxXnN]'|[uU]&['\"]"
_BREAK = r"/\*|--"  # a comment begins: no operator runs over it

# A run is everything between two literals that the expression can pass without looking closer.
_RUN = re.compile(
    rf"(?P<run>(?>{_SPACE}++|(?!{_PREFIXED}){_WORD}|{_QUOTED}|[uU]&{_QUOTED}|{_COMMENT_LINE}|{_COMMENT_FLAT}"
    rf"|(?!{_BREAK}){_OPERATOR}|[,()\[\];:]|\.\.|\.(?![0-9])|{_PARAMETER})++)"
    rf"|{_NUMBER}|{_STRING}|{_DOLLAR}|(?P<nested>/\*)|(?P<bad>.)",
    re.DOTALL,
)
_TOKEN = re.compile(
    rf"(?P<space>{_SPACE}++)|(?P<word>(?!{_PREFIXED}){_WORD})|(?P<quoted>{_QUOTED})|(?P<unicode>[uU]&{_QUOTED})"
    rf"|(?P<comment>{_COMMENT_LINE}|{_COMMENT_FLAT})|(?P<op>(?:(?!{_BREAK}){_OPERATOR})++)"
    rf"|(?P<punct>::|:=|\.\.|[,()\[\];:]|\.(?![0-9]))|(?P<parameter>{_PARAMETER})"
    rf"|{_NUMBER}|{_STRING}|{_DOLLAR}|(?P<stand_in>\x00\?)|(?P<nested>/\*)|(?P<bad>.)",
    re.DOTALL,
)
_SPACES = re.compile(rf"{_SPACE}+")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_KEEPS_PLUS_MINUS = frozenset("~!@#^&|`?%")
LITERAL_KINDS = frozenset({"string", "number", "dollar"})

LiteralKind = OneOf["string", "number", "dollar", "unterminated"]


@dataclass(frozen=True, slots=True)
class Literal:
    """One literal as it stands in the text, quotes included: `text == whole[start:end]`."""

    kind: LiteralKind
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Token:
    """One token. Kinds: space, comment, word, quoted, unicode (a U& name), op, punct, parameter, string, number,
    dollar, stand_in, bad."""

    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Shape:
    """A text without its literals. `statements` are the spans between top-level semicolons, trimmed of white space;
    `parsed` is False where the server's scanner would refuse the text (or the text is too long to look at)."""

    normalized: str
    literals: tuple[Literal, ...]
    statements: tuple[tuple[int, int], ...]
    parsed: bool


def too_long(text: str) -> bool:
    """Whether `text` is beyond `STATEMENT_PARSE_BYTES_MAX` bytes of UTF-8, which nothing here looks into."""
    if len(text) > STATEMENT_PARSE_BYTES_MAX:
        return True
    return not text.isascii() and len(text.encode("utf-8", "surrogatepass")) > STATEMENT_PARSE_BYTES_MAX


def skeleton(text: str) -> tuple[str, list[tuple[str, int, int]], bool]:
    """The skeleton, the literals as (kind, start, end), and whether the scanner would accept the text.

    An unterminated rest is the last literal, of kind `unterminated`.
    """
    if "\x00" in text:
        return STAND_IN, [("unterminated", 0, len(text))], False
    parts: list[str] = []
    literals: list[tuple[str, int, int]] = []
    position = 0
    length = len(text)
    match_at = _RUN.match
    while position < length:
        match = match_at(text, position)
        kind = match.lastgroup if match else "bad"
        if match is None or kind == "bad":
            parts.append(STAND_IN)
            literals.append(("unterminated", position, length))
            return "".join(parts), literals, False
        if kind == "run":
            parts.append(match.group())
            position = match.end()
        elif kind == "nested":
            end = _nested_comment_end(text, position)
            if end < 0:
                return "".join([*parts, STAND_IN]), [*literals, ("unterminated", position, length)], False
            parts.append(text[position:end])
            position = end
        else:
            # `tag` is the last group that a dollar quote closes inside `dollar`, never the last group of the match.
            parts.append(STAND_IN)
            literals.append((kind or "", position, match.end()))
            position = match.end()
    return "".join(parts), literals, True


def tokens(text: str) -> tuple[Token, ...]:
    """Every token of `text`, white space and comments included; their spans joined are the text. Never raises.

    What the scanner would refuse is one last token of kind `bad` that reaches to the end.
    """
    found: list[Token] = []
    position = 0
    length = len(text)
    while position < length:
        match = _TOKEN.match(text, position)
        kind = (match.lastgroup if match else None) or "bad"
        end = match.end() if match else length
        if kind == "nested":
            end = _nested_comment_end(text, position)
            kind = "comment"
        elif kind == "op":
            # Cutting a run takes its whole length for each operator in it: bounded.
            end = position + _operator_length(text[position:end]) if end - position <= OPERATOR_RUN_CHARS_MAX else -1
        if kind == "bad" or end < 0:
            found.append(Token("bad", position, length))
            break
        found.append(Token(kind, position, end))
        position = end
    return tuple(found)


def shape(text: str) -> Shape:
    """The shape of a text that may hold several statements. Never raises; pure."""
    if too_long(text):
        return Shape("?", (Literal("unterminated", 0, len(text), text),), ((0, len(text)),), parsed=False)
    bones, found, parsed = skeleton(text)
    literals = tuple(Literal(kind, start, end, text[start:end]) for kind, start, end in found)  # type: ignore[arg-type]
    if not parsed:
        return Shape(normalized(bones), literals, ((0, len(text)),), parsed=False)
    if _is_one_plain_statement(bones):
        spans = _trimmed(text, 0, len(text) - (bones[-1] == ";"))
    else:
        cut = positions_in_text(bones, found, [edge for span in statement_spans(bones) for edge in span])
        spans = tuple(zip(cut[0::2], cut[1::2], strict=True))
    return Shape(normalized(bones), literals, spans, parsed=True)


def normalized(bones: str) -> str:
    """The normalised form of a skeleton, or of a part of one."""
    if '"' not in bones and "--" not in bones and "/*" not in bones:
        return _SPACES.sub(" ", bones.replace(STAND_IN, "?")).strip(" ")
    parts: list[str] = []
    for token in tokens(bones):
        if token.kind in ("space", "comment"):
            if parts and parts[-1] != " ":
                parts.append(" ")
        elif token.kind in ("stand_in", "bad"):
            parts.append("?")
        else:
            parts.append(bones[token.start : token.end])
    return "".join(parts).strip(" ")


def statement_spans(bones: str) -> tuple[tuple[int, int], ...]:
    """The spans of the statements of a skeleton: split at semicolons outside parentheses and outside the body of
    `CREATE FUNCTION … BEGIN ATOMIC … END`, trimmed, empty ones left out."""
    cuts: list[tuple[int, int]] = []
    found = tokens(bones)
    first = 0
    bodies = True
    while first < len(found):
        last, unclosed = _statement_end(bones, found, first, bodies)
        bodies = bodies and not unclosed  # once: looking for an end that never comes takes the rest of the text
        inside = [t for t in found[first:last] if t.kind not in ("space", "comment")]
        if inside:
            cuts.extend(_trimmed(bones, found[first].start, found[last - 1].end))
        first = last + 1
    return tuple(cuts)


def positions_in_text(bones: str, literals: list[tuple[str, int, int]], edges: list[int]) -> list[int]:
    """Where positions of the skeleton (ascending, never inside a stand-in) lie in the text it was made from."""
    out: list[int] = []
    shift = 0
    at = bones.find(STAND_IN)
    number = 0
    for edge in edges:
        while 0 <= at < edge:
            shift += literals[number][2] - literals[number][1] - len(STAND_IN)
            number += 1
            at = bones.find(STAND_IN, at + len(STAND_IN))
        out.append(edge + shift)
    return out


def folded(word: str) -> str:
    """An unquoted word as the server names it: ASCII letters in lower case, cut at 63 bytes."""
    if not word.isascii():
        word = "".join(c.lower() if c < "\x80" else c for c in word)
        return clipped(word)
    return clipped(word.lower())


def clipped(name: str) -> str:
    """A name cut to `IDENTIFIER_BYTES_MAX` bytes of UTF-8 at a character, as the server cuts it (NAMEDATALEN)."""
    if len(name) * 4 <= IDENTIFIER_BYTES_MAX:
        return name
    return name.encode("utf-8", "replace")[:IDENTIFIER_BYTES_MAX].decode("utf-8", "ignore")


def _trimmed(text: str, start: int, end: int) -> tuple[tuple[int, int], ...]:
    while start < end and text[start] in " \t\n\r\f\v":
        start += 1
    while end > start and text[end - 1] in " \t\n\r\f\v":
        end -= 1
    return ((start, end),) if end > start else ()


def _is_one_plain_statement(bones: str) -> bool:
    """Whether one statement can be told without cutting tokens: the common short text."""
    if not bones[:1].isalpha() or any(mark in bones for mark in ('"', "--", "/*", "(", "[")):
        return False
    return bones.find(";") in (-1, len(bones) - 1)


def _statement_end(bones: str, found: tuple[Token, ...], first: int, bodies: bool) -> tuple[int, bool]:
    """The index of the semicolon token that ends the statement that begins at `first` (or the count of tokens), and
    whether a function's body begins in it that never closes: then there was no body. `bodies`: look for one."""
    depth = 0
    body = 0
    seen: list[str] = []
    plain_end = -1
    for index in range(first, len(found)):
        token = found[index]
        if token.kind in ("space", "comment"):
            continue
        piece = bones[token.start : token.end]
        if piece in "([":
            depth += 1
        elif piece in ")]":
            depth = max(0, depth - 1)
        elif piece == ";" and depth == 0:
            if body == 0:
                return index, False
            plain_end = index if plain_end < 0 else plain_end
        elif token.kind == "word" and depth == 0 and bodies:
            body = _body_depth(body, piece.lower(), seen)
        if len(seen) < 4 or token.kind == "word":
            seen.append(piece.lower())
    return (plain_end, True) if body and plain_end >= 0 else (len(found), body > 0)


def _body_depth(body: int, word: str, seen: list[str]) -> int:
    if body:
        return body + 1 if word == "case" else body - 1 if word == "end" else body
    if word != "atomic" or not seen or seen[-1] != "begin" or seen[0] != "create":
        return 0
    kind = seen[3] if seen[1:3] == ["or", "replace"] and len(seen) > 3 else seen[1] if len(seen) > 1 else ""
    return 1 if kind in ("function", "procedure") else 0


def _nested_comment_end(text: str, start: int) -> int:
    """Where the comment that begins at `start` ends, nested ones inside it; -1 if it never does."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return -1


def _operator_length(piece: str) -> int:
    """The length of the operator at the head of a run of operator characters (scan.l: a trailing + or - belongs to
    the operator only if it holds one of ~ ! @ # ^ & | ` ? %)."""
    if piece[-1] not in "+-" or not _KEEPS_PLUS_MINUS.isdisjoint(piece):
        return len(piece)
    return max(1, len(piece.rstrip("+-")))
