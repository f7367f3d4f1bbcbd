"""Rewrites the terms of a query into the small SQL that the parser reads, and finds effects on the way.

Theory. The parser (sqlglot) is made for many dialects: it has keywords that PostgreSQL has not, gives functions names
of its own, and reads strings by other rules. So it never sees the text. It sees this core, made from our own terms:

* every name quoted, folded and doubled where needed; every literal a string that is its number; parameters as `$1`;
* every function call as `"f"(…)`: which functions are called is decided here, over terms, not by the parser;
* types, collations, column lists of aliases, frames of windows, sampling methods and locks left out, after a look
  for calls in them; operators other than arithmetic and comparison become `||` (binary) or vanish (prefix).

A call is every name before an opening parenthesis, except where the grammar leaves no other reading: after AS, after
a name that is no keyword, after a closing parenthesis that does not belong to ON (…), as a table of INSERT, as a
common table expression. A word that PostgreSQL may read as part of a clause is never taken as a name in that rule.

What is found: `functions`, and `why`, the first reason why the query is not free of effects. What this module does
not know raises `Unreadable`, and the statement is a write that touches we know not what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from affidavit.limits import SQL_NESTING_MAX, SQL_TERMS_MAX
from affidavit.wire.sql.catalogue import CATALOGUE_RELATIONS, PURE_FUNCTIONS
from affidavit.wire.sql.keywords import JOIN_AND_COMPARE, RESERVED, words
from affidavit.wire.sql.terms import Term, Unreadable

FUNCTION = '"f"'
_END = Term("end", "", 0, 0)
_PLAIN_OPERATORS = frozenset({"+", "-", "*", "/", "%", "<", ">", "=", "<=", ">=", "<>", "!="})
_OPENERS = {"(": ")", "[": "]"}
_VALUE_WORDS = words(
    """
    current_catalog current_date current_role current_schema current_time current_timestamp current_user
    localtime localtimestamp session_user system_user user
    """
)
_RAW_WORDS = words(
    """
    and any array cross end exists except from full having inner intersect join lateral left like natural not
    null or outer returning right set then true false union where when else in
    """
)
_NAME_PARTS_MAX = 4  # database, schema, table, column
_JOIN_WORDS = frozenset({"cross", "full", "inner", "left", "natural", "outer", "right"})
_SPECIAL_FORMS = frozenset({"extract", "position", "substring", "overlay", "trim"})
_UNITS = frozenset({"year", "month", "day", "hour", "minute", "second", "to"})
_QUERY_HEADS = frozenset({"(", "select", "with", "table", "insert", "update", "delete", "merge"})
# Names that in `x.name` might be a call in attribute notation with an effect (a column of that name is rare).
_ATTRIBUTE_EFFECTS = ("pg_", "lo_", "lowrite", "loread", "dblink", "nextval", "setval", "setseed", "txid_", "query_to_")


#: A plain value in a list: kind (literal or parameter) and number, and whether a minus stands before; None for NULL.
Value = tuple[str, int, bool] | None
Row = list[Value]

#: What a word does where the walk stands: True if it took the word, False to let the walk treat it as any other.
Clause = Callable[["Rewriter"], bool]


class Rewriter:
    """One walk over the terms of one query. Read `core`, `functions`, `why`, `writes` and `folded` after `run`.

    Lists of plain values (rows of VALUES, IN) can be very long and the parser is slow: such a list stands in the core
    as one value, `'rN'`, and in `folded[N]` as its rows.
    """

    def __init__(self, terms: tuple[Term, ...], catalogue_first: bool, clauses: Mapping[str, Clause]) -> None:
        """`catalogue_first`: unqualified names are looked up in pg_catalog first. `clauses`: what certain words do."""
        self.functions: set[str] = set()
        self.why = ""
        self.writes = False
        self.folded: list[list[Row]] = []
        self.terms = terms
        self._catalogue_first = catalogue_first
        self._clauses = clauses
        self.at = 0
        self._out: list[str] = []
        self.stack: list[str] = []  # what each open parenthesis is: call, cast, special, window, group, index
        self.operand = False  # the last thing emitted can be the left side of an operator
        self.named = False  # the last thing emitted is a name that is no keyword
        self.cases = 0
        self._prefixes = 0
        self.windows_at = -1  # depth at which a WINDOW clause is open
        self._partners = _partners(terms)
        self._openings = {closing: opening for opening, closing in self._partners.items()}

    @property
    def core(self) -> str:
        """The rewritten query."""
        return " ".join(self._out)

    def run(self) -> None:
        """Walk to the end. Raises `Unreadable`."""
        while self.at < len(self.terms):
            term = self.terms[self.at]
            if term.kind == "word":
                self._word(term)
            elif term.kind == "quoted":
                self.name()
            elif term.kind == "literal":
                self.emit(f"'{term.text}'", operand=True)
                self.at += 1
            elif term.kind == "parameter":
                self.emit(term.text, operand=True)
                self.at += 1
            elif term.kind == "op":
                self.operator(term.text)
            else:
                self._punctuation(term.text)
            if len(self._out) > SQL_TERMS_MAX:
                raise Unreadable("more than is looked at")
            if len(self.stack) + self.cases + self._prefixes > SQL_NESTING_MAX:
                raise Unreadable("nested too deeply")
        if self.stack or self.cases:
            raise Unreadable("unbalanced")

    # What is looked at and what is emitted.

    def peek(self, ahead: int = 1) -> Term:
        at = self.at + ahead
        return self.terms[at] if 0 <= at < len(self.terms) else _END

    def next_words(self, *words: str) -> bool:
        return all(self.peek(n).kind == "word" and self.peek(n).text == w for n, w in enumerate(words, start=1))

    def previous(self) -> str:
        """The text of the term before; empty at the start."""
        return self.peek(-1).text

    def top(self) -> str:
        """What the innermost parenthesis is; `special` in functions with words between their arguments."""
        return "special" if self.form() in _SPECIAL_FORMS else self.form()

    def form(self) -> str:
        """What the innermost parenthesis is; the function's name where it is a special one."""
        return self.stack[-1] if self.stack else ""

    def emit(self, piece: str, operand: bool = False, named: bool = False) -> None:
        self._out.append(piece)
        self.operand = operand
        self.named = named
        if operand:
            self._prefixes = 0

    def raw(self, piece: str, count: int = 1) -> None:
        self.emit(piece)
        self.at += count

    def skip(self, count: int = 1) -> None:
        self.at += count

    def mark(self, why: str) -> None:
        """Note why the query is not free of effects; the first reason stays."""
        self.why = self.why or why

    def wrote(self, verb: str) -> bool:
        """Note that the query holds a writing statement. Always True."""
        self.writes = True
        self.mark(f"{verb} writes")
        return True

    # Words.

    def _word(self, term: Term) -> None:
        clause = self._clauses.get(term.text)
        if clause is not None and clause(self):
            return
        if term.text in _VALUE_WORDS and self._value_word():
            return
        if self.peek().text == "(" and self._may_be_called(term.text):
            self.name()
        elif term.text in _RAW_WORDS:
            self.raw(term.text.upper())
            self.operand = term.text in ("null", "true", "false")
            self._prefixes += term.text == "not"
        elif term.text in RESERVED or term.text in JOIN_AND_COMPARE:
            raise Unreadable(f"{term.text.upper()} here")
        else:
            self.name()

    def _may_be_called(self, word: str) -> bool:
        """Whether a word of a clause, before a parenthesis, can be a function's name where the walk stands."""
        if word == "set":
            return not self.operand and self.previous() != "update"
        if word == "join":
            return not self.operand and self.previous() not in _JOIN_WORDS
        if word == "like":
            return not self.operand and self.previous() != "not"
        return word in JOIN_AND_COMPARE

    def _value_word(self) -> bool:
        if self.terms[self.at].text == "current_schema" and self.peek().text == "(":
            return False
        self.emit("NULL", operand=True)
        self.at = self.after_group(self.at + 1)
        return True

    def label(self, columns_follow: bool) -> None:
        """Take the name after AS, and a list of column names where one may follow."""
        self.emit(_quoted(self.peek(0).name), operand=True, named=True)
        self.skip()
        if columns_follow and self.peek(0).text == "(":
            self.column_list()

    def name(self) -> None:
        """A dotted name: a column, a table, a type before a string, a call, an alias."""
        start = self.at
        parts = [self.terms[start].name]
        self.at += 1
        while self.peek(0).text == "." and self.peek(0).kind == "punct" and self.peek(1).kind in ("word", "quoted"):
            parts.append(self.peek(1).name)
            self.at += 2
        if len(parts) > _NAME_PARTS_MAX:
            raise Unreadable("a name of too many parts")
        following = self.peek(0)
        if following.kind == "punct" and following.text == "(":
            if self._is_column_list(start):
                self.emit(_dotted(parts), operand=True, named=True)
                self.column_list()
            elif self.before(start) == "into" and self.before(start, 2) == "insert":
                self.emit(_dotted(parts))
            else:
                self._call(parts)
        elif following.kind in ("op", "punct") and following.text in ("=>", ":="):
            if self.top() != "call":
                raise Unreadable("a named argument outside of a call")
            self.at += 1
        elif following.kind == "literal" and self.before(start) != "as":
            self.at = max(self.at, start + 1)  # a type before its string: `date '2024-01-01'`
        else:
            self._column(parts, self.terms[start].is_name or len(parts) > 1)

    def _column(self, parts: list[str], named: bool) -> None:
        if len(parts) > 1 and parts[-1].startswith(_ATTRIBUTE_EFFECTS) and parts[-1] not in CATALOGUE_RELATIONS:
            self.mark(f"may call a function in attribute notation: {parts[-1]}")
        if self.peek(0).text == "." and self.peek(1).kind == "op" and self.peek(1).text == "*":
            self.emit(f"{_dotted(parts)}.*", operand=True)
            self.at += 2
        else:
            self.emit(_dotted(parts), operand=True, named=named)

    def before(self, at: int, back: int = 1) -> str:
        return self.terms[at - back].text if at >= back else ""

    def _is_column_list(self, start: int) -> bool:
        """Whether the parenthesis after the name at `start` is a list of column names and not a call's arguments."""
        before = self.before(start)
        if before == "as":
            return True
        # A keyword here may be a clause (`LIKE (x) ESCAPE (f(y))`), never taken for an alias.
        if self.terms[start].is_name and (self.named or self.closed(start)):
            return True
        if before in ("with", "recursive", ","):
            return self.is_common_table(self._partners.get(self.at, -1) + 1)
        return False

    def closed(self, at: int) -> bool:
        """Whether a parenthesis closed right before `at` that ends an expression or a table.

        Not that of ON (…), which an expression may follow in DISTINCT ON, and not one that was left out: a call may
        follow OPERATOR (…).
        """
        if self.before(at) != ")" or self._out[-1:] != [")"]:
            return False
        return self.before(self._openings[at - 1]) != "on"

    def is_common_table(self, at: int) -> bool:
        """Whether AS [NOT MATERIALIZED] ( and the head of a query stand at `at`."""
        words = [t.text for t in self.terms[at : at + 6]]
        if words[:1] != ["as"]:
            return False
        del words[0]
        if words[:1] == ["not"]:
            del words[0]
        if words[:1] == ["materialized"]:
            del words[0]
        if words[:1] != ["("] or len(words) < 3:
            return False
        return words[1] in _QUERY_HEADS or words[1:3] == ["values", "("]

    def _call(self, parts: list[str]) -> None:
        name = ".".join(parts)
        self.functions.add(name)
        schema, bare = (parts[0], parts[1]) if len(parts) == 2 else ("", parts[-1])
        known = bare in PURE_FUNCTIONS and len(parts) <= 2
        if not known or schema not in ("", "pg_catalog"):
            self.mark(f"function not on the allow-list: {name}")
        elif not schema and not self._catalogue_first:
            self.mark(f"function not proven to be pg_catalog's: {name}")
        self.emit(FUNCTION)
        self.open(bare if bare in _SPECIAL_FORMS and len(parts) == 1 else "call")
        if bare == "extract" and self.peek(0).kind in ("word", "quoted", "literal") and self.peek(1).text == "from":
            self.emit("NULL", operand=True)
            self.skip()

    def open(self, kind: str) -> None:
        self.stack.append(kind)
        self.emit("[" if kind == "index" else "(")
        self.skip()

    # Marks.

    def _punctuation(self, mark: str) -> None:
        if mark in _OPENERS:
            if mark == "[" and not self.operand and self.previous() not in ("array", "[", ","):
                raise Unreadable("a bracket here")
            self.open("index" if mark == "[" else "group")
        elif mark in ")]":
            if not self.stack or (self.stack.pop() == "index") != (mark == "]"):
                raise Unreadable("unbalanced")
            if self.windows_at > len(self.stack):
                self.windows_at = -1
            self.emit(mark, operand=True)
            self.skip()
        elif mark == "::":
            self.skip()
            self.type()
        elif mark == ".":
            self._field()
        elif mark == ":" and self.top() == "index":
            self._slice()
        elif mark == ",":
            self.raw(",")
        else:
            raise Unreadable(f"{mark} here")

    def _field(self) -> None:
        field = self.peek()
        if not self.operand:
            raise Unreadable("a dot here")
        if field.kind == "op" and field.text == "*":
            self.emit(". *", operand=True)
        elif field.kind in ("word", "quoted") and self.peek(2).text != "(":
            if field.name.startswith(_ATTRIBUTE_EFFECTS):
                self.mark(f"may call a function in attribute notation: {field.name}")
            self.emit(f". {_quoted(field.name)}", operand=True)
        else:
            raise Unreadable("a field here")
        self.skip(2)

    def _slice(self) -> None:
        if self.previous() == "[" and self.peek().text == "]":
            self.emit("NULL", operand=True)  # [:]
        elif self.operand and self.peek().text != "]":
            self.emit(",")
        self.skip()

    def operator(self, text: str) -> None:
        """Take the operator `text`, whose last term the walk stands on."""
        if text == "*" and not self.operand:
            self.raw("*")
            self.operand = True
        elif self.operand:
            self.raw(text if text in _PLAIN_OPERATORS else "*" if text == "^" else "||")
        else:
            self._prefixes += 1
            if text in "+-":
                self.emit(text)
            self.skip()

    def type(self) -> None:
        """Pass a type's name: `[SETOF] name[.name] [words] [(modifiers)] [zone] [array bounds]`."""
        if self.peek(0).text == "setof":
            self.skip()
        first = self.peek(0)
        if first.kind not in ("word", "quoted"):
            raise Unreadable("a type here")
        self.skip()
        while self.peek(0).text == "." and self.peek(1).kind in ("word", "quoted"):
            self.skip(2)
        if first.kind == "word" and first.text in ("double", "character", "char", "national", "bit", "nchar"):
            while self.peek(0).text in ("precision", "varying", "character", "char"):
                self.skip()
        if self.peek(0).text == "%":
            raise Unreadable("%TYPE")
        self.type_modifiers()
        if first.text in ("time", "timestamp") and self.peek(0).text in ("with", "without"):
            if self.peek(1).text == "time" and self.peek(2).text == "zone":
                self.skip(3)
        elif first.text == "interval":
            self.units()
        if self.peek(0).text == "array":
            self.skip()
        while self.peek(0).text == "[":
            bound = 2 if self.peek(1).kind == "literal" else 1
            if self.peek(bound).text != "]":
                raise Unreadable("an array bound here")
            self.skip(bound + 1)

    def type_modifiers(self) -> None:
        if self.peek(0).text == "(" and self.peek(0).kind == "punct":
            end = self.after_group(self.at)
            if any(t.text == "(" and t.kind == "punct" for t in self.terms[self.at + 1 : end]):
                raise Unreadable("a type's modifier that is no constant")
            self.at = end

    def units(self) -> None:
        while self.peek(0).kind == "word" and self.peek(0).text in _UNITS:
            self.skip()
            self.type_modifiers()

    def after_group(self, at: int) -> int:
        """The position after the parenthesised group that begins at `at`; `at` itself where none does."""
        if at < len(self.terms) and self.terms[at].kind == "punct" and self.terms[at].text == "(":
            closing = self._partners.get(at)
            if closing is None:
                raise Unreadable("unbalanced")
            return closing + 1
        return at

    def column_list(self) -> None:
        """Pass a list of column names, or of names and types. Raises `Unreadable` if it holds anything else."""
        end = self.after_group(self.at)
        depth = words = 0
        for term in self.terms[self.at : end]:
            if term.kind == "punct":
                depth += (term.text == "(") - (term.text == ")")
                if depth > 2 or term.text not in "(),.[]" or (depth == 2 and words < 2):
                    raise Unreadable("a list of columns that holds an expression")
                words = 0 if term.text == "," and depth == 1 else words
            elif depth == 1 and term.kind in ("word", "quoted"):
                words += 1  # a modifier in parentheses belongs to a type, the second word
            elif term.kind != "literal":
                raise Unreadable("a list of columns that holds an expression")
        self.at = end

    def fold(self, rows: bool) -> bool:
        """Take the parenthesised list of plain values here (or, if `rows`, several with commas between) as one value.

        False, and nothing taken, if it holds anything else.
        """
        found: list[Row] = []
        at = self.at
        while True:
            row = self._plain_row(at)
            if row is None:
                return False
            found.append(row)
            at = self.after_group(at)
            if not rows or at >= len(self.terms) or self.terms[at].text != ",":
                break
            at += 1
        self.emit(f"( 'r{len(self.folded)}' )", operand=True)
        self.folded.append(found)
        self.at = at
        return True

    def _plain_row(self, at: int) -> Row | None:
        end = self.after_group(at) - 1
        if end <= at + 1:
            return None
        row: Row = []
        negative = False
        wanted = True  # a value stands here, or else a comma or the end
        for term in self.terms[at + 1 : end]:
            if wanted and term.kind in ("literal", "parameter"):
                row.append((term.kind, int(term.text.lstrip("$")), negative))
                wanted = negative = False
            elif wanted and term.kind == "word" and term.text in ("null", "default", "true", "false") and not negative:
                row.append(None)
                wanted = False
            elif wanted and term.text == "-" and term.kind == "op" and not negative:
                negative = True
            elif not wanted and term.text == "," and term.kind == "punct":
                wanted = True
            else:
                return None
        return None if wanted else row

    def frame(self) -> None:
        """Pass the frame of a window, up to the parenthesis that closes the window. Raises `Unreadable` at a call."""
        while self.peek(0).text != ")":
            if self.peek(0).kind == "end" or self.peek(0).text == "(":
                raise Unreadable("a window frame that is no constant")
            self.skip()


def _partners(terms: tuple[Term, ...]) -> dict[int, int]:
    """Where each opening parenthesis or bracket closes. Raises `Unreadable` if they do not match."""
    partners: dict[int, int] = {}
    open_at: list[int] = []
    for index, term in enumerate(terms):
        if term.kind != "punct":
            continue
        if term.text in _OPENERS:
            open_at.append(index)
        elif term.text in (")", "]"):
            if not open_at or _OPENERS[terms[open_at[-1]].text] != term.text:
                raise Unreadable("unbalanced")
            partners[open_at.pop()] = index
    if open_at:
        raise Unreadable("unbalanced")
    return partners


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _dotted(parts: list[str]) -> str:
    return ".".join(map(_quoted, parts))
