"""What one statement says: the values that `understand` gives."""

from __future__ import annotations

from dataclasses import dataclass

UNPARSED = "UNPARSED"


@dataclass(frozen=True, slots=True, order=True)
class TableUse:
    """One table (or view) that a statement names. `action` is `read`, `write`, `define` or `grant`."""

    schema: str
    name: str
    action: str


@dataclass(frozen=True, slots=True)
class KeyUse:
    """A value that a statement compares a column with for equality, or stores in it.

    `value` is `("parameter", n)` for `$n` (an array of values where `array` is True) or `("literal", text)`.
    Where the column's table cannot be told from the text, `schema` and `table` are `?`.
    """

    schema: str
    table: str
    column: str
    value: tuple[str, int | str]
    array: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, as far as its text tells.

    `text` is the statement's slice of the text, literals and all: mask it (`masking`) before it is kept where
    `credential` is True, and drop its bind parameters and keys. `normalized` never holds a literal's content.
    `verb` is PostgreSQL's own word, `UNPARSED` where the text is not understood. `action` is one of `read` `write`
    `define` `grant` `session` `admin`. `read_only` means proven free of effects as far as a text can prove it (see
    `catalogue`); `why` says what stands against it. `tables` are sorted and unique. `columns` are
    `schema.table.column`, or `?.column` where the table cannot be told. `functions` are as written, folded.
    `transaction` is empty, `begin` `commit` `rollback` `savepoint` `release` `rollback_to` or `prepare`. `setting`
    is the name in SET, RESET and SHOW.
    """

    text: str
    normalized: str
    verb: str
    action: str
    read_only: bool
    why: str
    tables: tuple[TableUse, ...]
    columns: tuple[str, ...]
    functions: tuple[str, ...]
    transaction: str
    keys: tuple[KeyUse, ...]
    credential: bool
    parsed: bool
    setting: str
