"""What a record can be asked for: every field of the query language, and the values that a record has in it.

The predicate and the index read a record through this one table, so they cannot disagree about what it holds.

A field of the header is always known: a header without an actor is not Ana's. What a body says is known only where the
body can be read and speaks of it; else `values` is empty, and neither the question nor its negation finds the record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from affidavit.limits import INTEGER_MAX
from affidavit.record.kinds import ACTIONS, BASES, DECISIONS, GUARANTEES, KINDS, OUTCOMES
from affidavit.record.moment import parse_moment
from affidavit.record.read import Record

#: `word`: equal to, one of, or beginning with. `number`: in a range. `index`: a position in the log, as a number.
#: `time`: nanoseconds since 1970. `text`: contains.
Kind = Literal["word", "number", "index", "time", "text"]
#: How people stand in the values: not at all, as the whole value, or as a part of a name between slashes.
People = Literal["no", "whole", "part"]
Unit = Literal["", "bytes", "duration"]
Values = tuple[str | int, ...]

_WITH_PORT = re.compile(r"\[?(.+?)\]?:\d+")
_POLICY = "policy/"


@dataclass(frozen=True)
class Field:
    """One field. `values` gives what a record has in it: texts case-folded where `folded`, numbers as they are.

    `in_header`: the header alone says it. `closed`: the only values that there are. `open_end`: a value stands for
    all that begin with it. `unit`: of numbers, bytes or nanoseconds.
    """

    name: str
    kind: Kind
    values: Callable[[Record], Values]
    help: str
    example: str
    in_header: bool = False
    folded: bool = False
    closed: Collection[str] | None = None
    open_end: bool = False
    people: People = "no"
    unit: Unit = ""

    def normal(self, value: str) -> str:
        """A value as it is compared: `values` gives it so, and so it has to stand in a question."""
        return value.casefold() if self.folded else value


def _of_header(name: str) -> Callable[[Record], Values]:
    def values(record: Record) -> Values:
        value = getattr(record.header, name)
        return () if value is None else (value,)

    return values


def _header_word(name: str, help: str, example: str, closed: Collection[str] | None = None) -> Field:
    return Field(name, "word", _of_header(name), help, example, in_header=True, closed=closed)


def _header_index(name: str, help: str, example: str) -> Field:
    return Field(name, "index", _of_header(name), help, example, in_header=True)


def _body_word(name: str, values: Callable[[Record], list[str]], help: str, example: str) -> Field:
    def folded(record: Record) -> Values:
        return tuple(value.casefold() for value in values(record))

    return Field(name, "word", folded, help, example, folded=True)


def _body_text(name: str, values: Callable[[Record], list[str]], help: str, example: str) -> Field:
    def folded(record: Record) -> Values:
        return tuple(value.casefold() for value in values(record))

    return Field(name, "text", folded, help, example, folded=True)


def _body_number(name: str, member: str, help: str, example: str, unit: Unit = "") -> Field:
    def values(record: Record) -> Values:
        value = _part(record.content, "result").get(member)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= INTEGER_MAX:
            return (value,)
        return ()

    return Field(name, "number", values, help, example, unit=unit)


def _part(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = content.get(name)
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _texts_of(*candidates: Any) -> list[str]:
    return [text for text in candidates if isinstance(text, str)]


def _leaf(part: str, name: str) -> Callable[[Record], list[str]]:
    return lambda record: _texts_of(_part(record.content, part).get(name))


def _reasons(record: Record) -> list[str]:
    return _texts_of(record.content.get("reason"), _part(record.content, "purpose").get("reason"))


def _texts(record: Record) -> list[str]:
    return [*_texts_of(_part(record.content, "action").get("statement")), *_reasons(record)]


def _objects(record: Record) -> Values:
    return tuple(str(op.get("name")) for op in _items(record.content.get("objects")) if isinstance(op, dict))


def _tables(record: Record) -> list[str]:
    found: list[str] = []
    for table in _items(_part(record.content, "action").get("tables")):
        if isinstance(table, dict):
            found += (f"{table.get('schema')}.{table.get('name')}", str(table.get("name")))
    return found


def _columns(record: Record) -> list[str]:
    """Each column with its schema and table, with its table, and alone."""
    found: list[str] = []
    for column in _texts_of(*_items(_part(record.content, "action").get("columns"))):
        parts = column.split(".")
        found += (".".join(parts[start:]) for start in range(len(parts)))
    return found


def _policies(record: Record) -> Values:
    """What determined the decision: policies by their object's name and without `policy/`, grants, built-in rules.

    `none` where nothing did: what no rule allows is denied, and that is known, too.
    """
    determining = _part(record.content, "authorization").get("determining")
    if determining == []:
        return ("none",)
    found: list[str] = []
    for item in _items(determining):
        name = item.get("policy") if isinstance(item, dict) else None
        if isinstance(name, str) and name not in found:
            found += (name, name.removeprefix(_POLICY)) if name.startswith(_POLICY) else (name,)
    return tuple(found)


def _addresses(record: Record) -> list[str]:
    """The client's address with its port, as it is recorded, and without, as people know it."""
    found = _leaf("client", "address")(record)
    return [*found, *(match[1] for item in found if (match := _WITH_PORT.fullmatch(item)))]


def _tickets(record: Record) -> list[str]:
    return _texts_of(record.content.get("ticket") or _part(record.content, "purpose").get("ticket"))


def _credentials(record: Record) -> list[str]:
    """What proved the actor: at a login, or where a change was asked for."""
    proved = _part(_part(record.content, "actor"), "authenticated").get("credential")
    return [name for name in _texts_of(proved, _part(record.content, "via").get("credential")) if name]


def _state(record: Record) -> Values:
    """The state that it was decided under; where nothing was decided, the one that stood when it was sealed."""
    header = record.header
    return (header.log.state if header.decided is None else header.decided,)


#: What `has` can ask for, by name: whether the content has it.
_HAS: Final[Mapping[str, Callable[[Mapping[str, Any]], bool]]] = {
    "approvals": lambda content: bool(content.get("approvals")),
    "body": lambda content: True,
    "captured": lambda content: bool(_part(content, "result").get("captured")),
    "columns": lambda content: bool(_part(content, "action").get("columns")),
    "error": lambda content: (
        bool(_part(content, "result").get("sqlstate")) or _part(content, "result").get("outcome") == "error"
    ),
    "failure": lambda content: bool(content.get("failure")),
    "masked": lambda content: _part(content, "action").get("masked") is True,
    "parameters": lambda content: bool(_part(content, "action").get("parameters")),
    "policy-error": lambda content: bool(_part(content, "authorization").get("errors")),
    "reason": lambda content: bool(content.get("reason") or _part(content, "purpose").get("reason")),
    "statement": lambda content: bool(_part(content, "action").get("statement")),
    "subjects": lambda content: bool(
        _part(content, "data_subjects").get("values") or _part(content, "data_subjects").get("overflow")
    ),
    "tables": lambda content: bool(_part(content, "action").get("tables")),
    "ticket": lambda content: bool(content.get("ticket") or _part(content, "purpose").get("ticket")),
    "transaction": lambda content: any(
        part.get("transaction") is not None for part in (content, _part(content, "action"), _part(content, "result"))
    ),
    "truncated": lambda content: _part(content, "action").get("truncated") is True,
    "withheld": lambda content: _part(content, "result").get("withheld") is True,
}


def _has(record: Record) -> Values:
    """`body` and whatever else the content has. Never empty where the body can be read: what it lacks is known then."""
    if not isinstance(record.body, dict):
        return ()
    return tuple(name for name, holds in _HAS.items() if holds(record.body))


_ALL: Final = (
    Field(
        "actor",
        "word",
        _of_header("actor"),
        "what somebody did, by handle or identity id",
        "actor:ana",
        in_header=True,
        people="whole",
    ),
    _header_word("kind", "records of these kinds", "kind:change,proposal", closed=KINDS),
    _header_word("system", "what happened on a system", "system:clinic"),
    _header_word("action", "what was asked for", "action:write", closed=ACTIONS),
    _header_word("decision", "the answer of the policies", "decision:deny", closed=DECISIONS),
    _header_word("outcome", "what became of it", "outcome:error", closed=OUTCOMES),
    _header_word("basis", "how the log knows", "basis:asserted", closed=BASES),
    _header_word("guarantee", "what was durable before what", "guarantee:after", closed=GUARANTEES),
    Field("id", "word", _of_header("id"), "the record with this id", "id:01933d6b*", in_header=True, folded=True),
    _header_index("session", "records of the session that this record opened", "session:812"),
    _header_index("context", "records decided under the context in this record", "context:809"),
    _header_index("ref", "records that complete, approve or erase this one", "ref:811"),
    Field(
        "state",
        "index",
        _state,
        "records decided under this state, or sealed under it where nothing was decided",
        "state:4210",
        in_header=True,
    ),
    Field("index", "index", lambda record: (record.index,), "positions in the log", "index:100..200", in_header=True),
    Field(
        "at",
        "time",
        lambda record: (parse_moment(record.header.time.at),),
        "when it happened, by its own clock",
        "at:2026-11-22T14:17+01:00~5m",
        in_header=True,
    ),
    _body_word("table", _tables, "accesses that touched a table", "table:public.patients"),
    _body_word("column", _columns, "accesses that touched a column", "column:patients.ssn"),
    _body_word("verb", _leaf("action", "verb"), "the statement's verb", "verb:update"),
    _body_word("sqlstate", _leaf("result", "sqlstate"), "the database's answer to an error", "sqlstate:42*"),
    _body_word("application", _leaf("client", "application"), "what the client calls itself", "application:psql"),
    _body_word("client", _addresses, "from which address, with or without its port", "client:10.0.0.7"),
    _body_word("credential", _credentials, "what proved the actor", "credential:token-4f*"),
    _body_word("ticket", _tickets, "the ticket that asked for it", "ticket:INC-7"),
    Field(
        "policy",
        "word",
        _policies,
        "decisions that a policy, a grant or a built-in rule determined; `none`: denied because no rule allowed it",
        "policy:analysts-read",
        people="part",
    ),
    Field(
        "object",
        "word",
        _objects,
        "changes of objects whose name begins so",
        "object:grant/ana",
        open_end=True,
        people="part",
    ),
    Field("has", "word", _has, "records whose content has it", "has:error", closed=tuple(_HAS)),
    _body_number("rows", "rows", "how many rows came back", "rows>1000"),
    _body_number("bytes", "bytes", "how many bytes came back", "bytes>=10MB", "bytes"),
    _body_number("duration", "duration_ns", "how long it took", "duration>500ms", "duration"),
    _body_text("reason", _reasons, "the reason contains it", 'reason:"ward round"'),
    _body_text("text", _texts, "the statement or the reason contains it", '"drop table"'),
)

#: Every field by its name, in the order in which they are described.
FIELDS: Final[Mapping[str, Field]] = {field.name: field for field in _ALL}
