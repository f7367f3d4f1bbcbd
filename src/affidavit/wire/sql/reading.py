"""What is true of every statement of a shape, and how a name without a schema is resolved."""

from __future__ import annotations

from dataclasses import dataclass

from affidavit.wire.sql.catalogue import CATALOGUE_RELATIONS
from affidavit.wire.sql.statement import UNPARSED, TableUse

# When a statement's literals are credentials: never beyond what their content says, if its text names one, always.
BY_CONTENT, IF_NAMED, ALWAYS = "by content", "if named", "always"


@dataclass(frozen=True, slots=True)
class KeySlot:
    """A `KeyUse` of the shape: the value is a parameter's or a literal's number; `negative` says a minus before."""

    schema: str
    table: str
    column: str
    kind: str
    number: int
    negative: bool = False
    array: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """A `Statement` without what differs between statements of one shape. See there for the fields."""

    verb: str
    action: str
    read_only: bool = False
    why: str = ""
    tables: tuple[TableUse, ...] = ()
    columns: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    transaction: str = ""
    keys: tuple[KeySlot, ...] = ()
    parsed: bool = True
    setting: str = ""
    credential: str = BY_CONTENT
    runs_unknown: bool = False  # a function that is not on the allow-list, or code that is not in the text


def unparsed(why: str) -> Reading:
    """The reading of what is not understood: a write of we know not what."""
    return Reading(UNPARSED, "write", why=why, parsed=False, credential=IF_NAMED, runs_unknown=True)


@dataclass(frozen=True, slots=True)
class Names:
    """How names without a schema are resolved: pg_catalog first, unless the path says otherwise, then the first
    schema of the path. Temporary tables shadow both on the server; a text does not show them."""

    search_path: tuple[str, ...]

    @property
    def catalogue_first(self) -> bool:
        """Whether pg_catalog is searched before every other schema."""
        return "pg_catalog" not in self.search_path[1:] or self.search_path[:1] == ("pg_catalog",)

    def table(self, schema: str, name: str) -> tuple[str, str]:
        """Schema and name of a table that a statement names."""
        if schema:
            return schema, name
        if self.catalogue_first and name in CATALOGUE_RELATIONS:
            return "pg_catalog", name
        outside = [s for s in self.search_path if s != "pg_catalog"]
        return (outside or ["pg_catalog"])[0], name
