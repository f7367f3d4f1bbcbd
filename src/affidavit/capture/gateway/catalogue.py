"""What a session needs to know of its upstream before it begins: what names mean there, and which backend it got."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from affidavit import canonical
from affidavit.capture.gateway.upstream import Upstream, ask
from affidavit.errors import Unavailable

#: A moment as in records, from a timestamp with time zone.
MOMENT_SQL = """pg_catalog.to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"000Z"')"""

_CATALOGUE = """BEGIN READ ONLY;
SELECT pg_catalog.array_to_json(pg_catalog.current_schemas(false)),
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(r.relname, r.nspname)) FROM (
     SELECT c.relname, n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_catalog.pg_table_is_visible(c.oid)
       AND n.nspname NOT IN ('pg_catalog', 'information_schema') LIMIT 5000) r),
  (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
       a.attrelid::bigint, a.attnum, n.nspname, c.relname, a.attname))
     FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname || '.' || c.relname || '.' || a.attname = ANY (ARRAY[{keys}]::text[])),
  (SELECT pg_catalog.json_build_array(s.pid, {started})
     FROM pg_catalog.pg_stat_activity s WHERE s.pid = pg_catalog.pg_backend_pid());
ROLLBACK"""


@dataclass(frozen=True)
class Backend:
    """One server process of the upstream: its pid, and when it began by the upstream's clock (a moment)."""

    pid: int
    started: str


@dataclass(frozen=True)
class Catalogue:
    """What a session needs to know of its upstream.

    `schema_of`: the schema that an unqualified relation name means. `default_schema`: where a name lands that no schema
    holds yet. `keys`: (table oid, column number) of the declared key columns → `schema.table.column`. `backend`: the
    process that serves this session.
    """

    schema_of: Mapping[str, str]
    default_schema: str
    keys: Mapping[tuple[int, int], str]
    backend: Backend


async def read_catalogue(upstream: Upstream, key_columns: Iterable[str]) -> Catalogue:
    """Ask the upstream. Raises `Unavailable` when its catalogue cannot be read."""
    keys = ", ".join(literal(name) for name in key_columns)
    try:
        (row,) = await ask(upstream, catalogue_query(keys))
        schemas, relations, columns, backend = (msgspec.json.decode(value or "null") for value in row)
        pid, started = backend
        return Catalogue(
            schema_of=dict(relations or ()),
            default_schema=schemas[0] if schemas else "public",
            keys={(oid, number): f"{schema}.{table}.{column}" for oid, number, schema, table, column in columns or ()},
            backend=Backend(int(pid), str(started)),
        )
    except (*canonical.UNREADABLE, IndexError, KeyError, TypeError, ValueError):
        raise Unavailable("gateway.catalogue", "The database's catalogue gave an answer that cannot be read.") from None


def catalogue_query(keys: str) -> str:
    """The query that `read_catalogue` asks about `keys`, literals with commas between them."""
    return _CATALOGUE.format(keys=keys, started=MOMENT_SQL.format("s.backend_start"))


def literal(text: str) -> str:
    """`text` as an SQL literal. Names that come here are validated without quotes or backslashes; this is the second
    lock."""
    return "'" + "".join(c for c in text if c not in "'\\\0") + "'"
