"""Reading a query: from what people type to the questions of `search/language.py`.

    query  = all { "OR" all }
    all    = one { [ "AND" ] one }
    one    = "NOT" one | [ "-" ] ( "(" query ")" | term )
    term   = FIELD ":" values | FIELD ( ">" | ">=" | "<" | "<=" ) value | text
    values = value { "," value }, each a word, a word that ends in `*`, or a range A..B
    text   = what a statement or reason must contain: one word, or more in double quotes

Operators are upper case. Double quotes hold spaces, parentheses and operators; in them `""` stands for one. Within a
word, parentheses are text as long as they match, so `count(*)` needs no quotes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from affidavit.errors import InvalidInput
from affidavit.limits import QUERY_CHARS_MAX, QUERY_DEPTH_MAX, QUERY_TERMS_MAX
from affidavit.search.fields import FIELDS
from affidavit.search.language import All, Any, Node, Not, Phrase, Query, Range, Term, Words
from affidavit.search.terms import ORDERED, Resolve, ask, compare

#: What a word may be that stands for itself without quotes, wherever it stands.
PLAIN: Final = re.compile(r'(?!(?:AND|OR|NOT)\Z)[^\s"():<>-][^\s"():<>]*')
_OPERATOR = re.compile(r"(AND|OR|NOT)(?=[\s()]|$)")
_HEAD = re.compile(r"([a-z_.]+)(:|>=|<=|>|<)")
_COMPARE = re.compile(r">=|<=|>|<")
_QUOTED = re.compile(r'"((?:[^"]|"")*+)"')
_BARE = re.compile(r'[^\s"]*')
_SLIP_CUTOFF = 0.75  # `row>5` is meant as a field, `age>5` as a text


def parse_query(text: str, resolve: Resolve, now_ns: int) -> Query:
    """The query that `text` asks; a time without a date in it is of the day of `now_ns`.

    Raises `InvalidInput` that names the column, from 1, and what to write instead.
    """
    if len(text) > QUERY_CHARS_MAX:
        raise InvalidInput("query.size", f"A query has at most {QUERY_CHARS_MAX} characters.", "Ask for less at once.")
    reader = _Reader(text, resolve, now_ns)
    try:
        part = reader.whole()
    except InvalidInput as error:
        raise InvalidInput(error.code, f"Column {reader.at + 1}: {error.message}", error.hint) from None
    return Query(text, part, *_positions(part))


def _positions(node: Node) -> tuple[int, int | None]:
    """The first index that can match, and the one after the last; None where nothing ends it."""
    match node:
        case Range("index", low, high):
            return low or 0, None if high is None else high + 1
        case Words("index", values):
            numbers = [value for value in values if isinstance(value, int)]
            return min(numbers), max(numbers) + 1
        case All(parts) if parts:
            spans = [_positions(part) for part in parts]
            return max(first for first, _ in spans), min((stop for _, stop in spans if stop is not None), default=None)
        case Any(parts):
            spans = [_positions(part) for part in parts]
            stops = [stop for _, stop in spans if stop is not None]
            return min(first for first, _ in spans), max(stops) if len(stops) == len(spans) else None
        case _:
            return 0, None


class _Reader:
    """Reads one query from left to right. `at` is where it is, and where it was when something could not be read."""

    def __init__(self, text: str, resolve: Resolve, now_ns: int) -> None:
        self.at = 0
        self._text = text
        self._resolve = resolve
        self._now_ns = now_ns
        self._open = 0  # parentheses
        self._deep = 0  # parentheses and NOTs
        self._terms = 0

    def whole(self) -> Node:
        return self._any() if self._text.strip() else All(())

    def _any(self) -> Node:
        parts = [self._all()]
        while self._operator("OR"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def _all(self) -> Node:
        parts = [self._one()]
        while not self._ends():
            self._operator("AND")
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self) -> Node:
        if self._operator("NOT"):
            with self._deeper():
                return Not(self._one())
        operator = _OPERATOR.match(self._text, self.at)
        if self.at >= len(self._text) or self._text[self.at] == ")" or operator is not None:
            found = "the end" if self.at >= len(self._text) else f"`{operator[0] if operator else ')'}`"
            raise InvalidInput(
                "query.term", f"Before {found} something to ask for is missing.", 'As text it stands in quotes: "OR".'
            )
        if self._text[self.at] == "-" and self._text[self.at + 1 : self.at + 2].strip():
            self.at += 1
            with self._deeper():
                return Not(self._positive())
        return self._positive()

    def _positive(self) -> Node:
        return self._group() if self._text[self.at] == "(" else self._term()

    def _group(self) -> Node:
        start = self.at
        self.at += 1
        self._open += 1
        with self._deeper():
            part = self._any()
        if self.at >= len(self._text):
            self.at = start
            raise InvalidInput("query.group", "This parenthesis is never closed.", 'As text it stands in quotes: "f(".')
        self.at += 1
        self._open -= 1
        return part

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._deep += 1
        if self._deep > QUERY_DEPTH_MAX:
            raise InvalidInput(
                "query.depth", f"More than {QUERY_DEPTH_MAX} parentheses and NOTs lie in one another.", "Ask simpler."
            )
        yield
        self._deep -= 1

    def _ends(self) -> bool:
        """Whether what is joined by *and* ends here: at an OR, a closing parenthesis, or the end."""
        self._skip_spaces()
        if self.at >= len(self._text):
            return True
        if self._text[self.at] == ")":
            self._check_open()
            return True
        found = _OPERATOR.match(self._text, self.at)
        return found is not None and found[0] == "OR"

    def _check_open(self) -> None:
        if not self._open:
            raise InvalidInput(
                "query.group", "Nothing is open that this parenthesis closes.", 'As text it stands in quotes: "a)".'
            )

    def _operator(self, word: str) -> bool:
        """Step over `word` if it comes next, and over spaces anyway."""
        self._skip_spaces()
        found = _OPERATOR.match(self._text, self.at)
        if found is None or found[0] != word:
            return False
        self.at = found.end()
        self._skip_spaces()
        return True

    def _skip_spaces(self) -> None:
        while self.at < len(self._text) and self._text[self.at].isspace():
            self.at += 1

    def _term(self) -> Node:
        self._terms += 1
        if self._terms > QUERY_TERMS_MAX:
            raise InvalidInput("query.size", f"A query has at most {QUERY_TERMS_MAX} terms.", "Ask for less at once.")
        name, comparison = self._head()
        start = self.at
        value, quoted = self._value()
        if name is not None and FIELDS[name].kind != "text":
            return self._asked(name, comparison, value, start + quoted)
        if name is None and not quoted and value.endswith(":"):
            self.at = start
            raise InvalidInput("query.value", f"The term {value[:40]!r} asks for nothing.", "Give a value.")
        form = Term if not quoted and PLAIN.fullmatch(value) else Phrase
        return form(value.casefold(), name or "text")

    def _head(self) -> tuple[str | None, str]:
        """Step over a field and its colon or comparison: the field, None for a text; the comparison, "" for none."""
        head = _HEAD.match(self._text, self.at)
        if head is None:
            return None, ""
        name, mark = head[1], head[2]
        if name not in FIELDS:
            if mark != ":" and not difflib.get_close_matches(name, ORDERED, n=1, cutoff=_SLIP_CUTOFF):
                return None, ""
            nearest = difflib.get_close_matches(name, FIELDS if mark == ":" else ORDERED, n=1, cutoff=0.0)[0]
            raise InvalidInput(
                "query.field",
                f"There is no field {name!r} to ask for.",
                f"The nearest is {nearest!r}; text with a colon or comparison stands in quotes.",
            )
        if mark != ":" and name not in ORDERED:
            raise InvalidInput(
                "query.compare",
                f"The field {name!r} has no order to compare by.",
                f"Write {FIELDS[name].example}, or the text in quotes.",
            )
        self.at = head.end()
        if mark == ":" and name in ORDERED and (compared := _COMPARE.match(self._text, self.at)) is not None:
            self.at, mark = compared.end(), compared[0]
        return name, "" if mark == ":" else mark

    def _value(self) -> tuple[str, bool]:
        """Step over a value: what it says, and whether it was in quotes."""
        start = self.at
        quoted = self._text[start : start + 1] == '"'
        found = (_QUOTED if quoted else _BARE).match(self._text, start)
        if found is None:
            raise InvalidInput("query.term", "This quote is never closed.", 'Close it: field:"a b".')
        value = found[1].replace('""', '"') if quoted else self._unclosed(found[0])
        self.at = start + len(found[0] if quoted else value)
        if not value:
            self.at = start
            raise InvalidInput("query.value", "The term asks for nothing.", "Give a value.")
        following = self._text[self.at : self.at + 1]
        if following.strip() and following != ")":
            raise InvalidInput("query.term", "Here a quote and a word touch.", 'Put both in quotes: field:"a b".')
        if following == ")":
            self._check_open()
        return value, quoted

    def _unclosed(self, word: str) -> str:
        """`word` without the parentheses at its end that close what was opened before it."""
        over = word.count(")") - word.count("(")
        at_end = len(word) - len(word.rstrip(")"))
        return word[: len(word) - max(min(over, at_end), 0)]

    def _asked(self, name: str, comparison: str, value: str, start: int) -> Node:
        """The question of a field for a value that begins at `start`. What is refused is refused where it stands."""
        end, self.at = self.at, start
        if comparison:
            node = compare(FIELDS[name], comparison, value, self._now_ns)
        else:
            parts: list[Node] = []
            for item in value.split(","):
                parts.append(ask(FIELDS[name], item, self._resolve, self._now_ns))
                self.at += len(item) + 1
            node = _alternatives(name, parts)
        self.at = end
        return node


def _alternatives(name: str, parts: list[Node]) -> Node:
    """Any of the parts, with all plain values in one of them."""
    values = tuple(dict.fromkeys(value for part in parts if isinstance(part, Words) for value in part.values))
    rest = [part for part in parts if not isinstance(part, Words)]
    found = ([Words(name, values)] if values else []) + rest
    return found[0] if len(found) == 1 else Any(tuple(found))
