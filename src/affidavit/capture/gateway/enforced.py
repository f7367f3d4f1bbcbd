"""What the upstream really enforces for the role that the gateway uses, read from its catalogue at session start.

The values come from the catalogue alone, under a fixed search path and in a read-only transaction that is rolled
back, so they do not depend on the session. They stand in the log as `observed/SYSTEM/UPSTREAM-ROLE`; a difference to
what stands there is a `drift` record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from affidavit import canonical
from affidavit.capture.gateway.upstream import Upstream, ask
from affidavit.errors import Unavailable

_PRIVILEGES_MAX = 200  # in the observed object, which must fit a body; the digest covers all of them
_LIST_MAX = 100
_DIFFERENCES_MAX = 50
_SETTINGS = (
    "block_size",
    "log_connections",
    "log_disconnections",
    "log_statement",
    "password_encryption",
    "row_security",
    "server_encoding",
    "server_version",
    "session_preload_libraries",
    "shared_preload_libraries",
    "ssl",
    "standard_conforming_strings",
)

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
     WHERE n.nspname || '.' || c.relname || '.' || a.attname = ANY (ARRAY[{keys}]::text[]));
SET LOCAL search_path TO pg_catalog;
SELECT json_build_object(
  'role', (SELECT json_build_object('name', rolname, 'superuser', rolsuper, 'create_role', rolcreaterole,
      'create_database', rolcreatedb, 'replication', rolreplication, 'bypass_row_security', rolbypassrls,
      'inherit', rolinherit) FROM pg_roles WHERE rolname = current_user),
  'memberships', (WITH RECURSIVE held(id) AS (
      SELECT roleid FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = current_user
      UNION SELECT m.roleid FROM pg_auth_members m JOIN held ON m.member = held.id)
    SELECT coalesce(json_agg(r.rolname ORDER BY r.rolname), '[]') FROM pg_roles r JOIN held ON held.id = r.oid),
  'role_settings', (SELECT coalesce(json_agg(s.entry ORDER BY s.entry), '[]') FROM (
      SELECT unnest(d.setconfig) AS entry FROM pg_db_role_setting d
      LEFT JOIN pg_roles r ON r.oid = d.setrole LEFT JOIN pg_database b ON b.oid = d.setdatabase
      WHERE (d.setrole = 0 OR r.rolname = current_user)
        AND (d.setdatabase = 0 OR b.datname = current_database())) s),
  'settings', (SELECT coalesce(json_agg(
      json_build_object('name', name, 'value', coalesce(reset_val, '')) ORDER BY name), '[]')
      FROM pg_settings WHERE name = ANY (ARRAY[{settings}])),
  'extensions', (SELECT coalesce(json_agg(
      json_build_object('name', extname, 'version', extversion) ORDER BY extname), '[]')
      FROM pg_extension),
  'row_security', (SELECT coalesce(json_agg(t.name ORDER BY t.name), '[]') FROM (
      SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relrowsecurity) t),
  'privileges', (SELECT coalesce(json_agg(json_build_array(t.name, t.held) ORDER BY t.name), '[]') FROM (
      SELECT n.nspname || '.' || c.relname AS name, concat_ws(' ',
          CASE WHEN has_table_privilege(c.oid, 'SELECT') THEN 'SELECT' END,
          CASE WHEN has_table_privilege(c.oid, 'INSERT') THEN 'INSERT' END,
          CASE WHEN has_table_privilege(c.oid, 'UPDATE') THEN 'UPDATE' END,
          CASE WHEN has_table_privilege(c.oid, 'DELETE') THEN 'DELETE' END,
          CASE WHEN has_table_privilege(c.oid, 'TRUNCATE') THEN 'TRUNCATE' END) AS held
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND n.nspname NOT LIKE 'pg_toast%' AND n.nspname NOT LIKE 'pg_temp%'
      ORDER BY 1 LIMIT 5000) t WHERE t.held <> ''));
ROLLBACK"""


@dataclass(frozen=True)
class Catalogue:
    """What a session needs to know of its upstream.

    `observed`: the value for `observed/SYSTEM/ROLE`. `schema_of`: the schema that an unqualified relation name means.
    `default_schema`: where a name lands that no schema holds yet. `keys`: (table oid, column number) of the declared
    key columns → `schema.table.column`.
    """

    observed: dict[str, Any]
    role: str
    schema_of: Mapping[str, str]
    default_schema: str
    keys: Mapping[tuple[int, int], str]


async def read_catalogue(upstream: Upstream, key_columns: Iterable[str]) -> Catalogue:
    """Ask the upstream. Raises `Unavailable` when its catalogue cannot be read."""
    keys = ", ".join(_literal(name) for name in key_columns)
    settings = ", ".join(_literal(name) for name in _SETTINGS)
    try:
        rows = await ask(upstream, _CATALOGUE.format(keys=keys, settings=settings))
        schemas, relations, columns = (msgspec.json.decode(value or "null") for value in rows[0])
        found = msgspec.json.decode(rows[1][0] or "null")
        observed = _observed(found)
    except (*canonical.UNREADABLE, IndexError, KeyError, TypeError, ValueError):
        raise Unavailable("gateway.catalogue", "The database's catalogue gave an answer that cannot be read.") from None
    return Catalogue(
        observed=observed,
        role=observed["role"]["name"],
        schema_of=dict(relations or ()),
        default_schema=schemas[0] if schemas else "public",
        keys={(oid, number): f"{schema}.{table}.{column}" for oid, number, schema, table, column in columns or ()},
    )


def _literal(text: str) -> str:
    # Names of declared columns are validated without quotes or backslashes; this is the second lock.
    return "'" + "".join(c for c in text if c not in "'\\\0") + "'"


def _observed(found: dict[str, Any]) -> dict[str, Any]:
    privileges = [{"table": table, "held": held} for table, held in found["privileges"]]
    observed: dict[str, Any] = {
        "role": found["role"],
        "memberships": found["memberships"][:_LIST_MAX],
        "role_settings": [_masked(entry) for entry in found["role_settings"][:_LIST_MAX]],
        "settings": found["settings"],
        "extensions": found["extensions"][:_LIST_MAX],
        "row_security": found["row_security"][:_LIST_MAX],
        "privileges": privileges[:_PRIVILEGES_MAX],
    }
    # Lists are cut so that the object fits a body; the digest is over everything, so that no change goes unseen.
    observed["digest"] = hashlib.sha256(canonical.encode(found)).hexdigest()
    observed["complete"] = len(privileges) <= _PRIVILEGES_MAX and all(
        len(found[name]) <= _LIST_MAX for name in ("memberships", "role_settings", "extensions", "row_security")
    )
    return observed


def _masked(entry: str) -> str:
    name = entry.partition("=")[0]
    return f"{name}=***" if any(word in name.lower() for word in ("password", "secret", "token", "key")) else entry


def difference(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[dict[str, str]]:
    """What changed between two observed values: a list of `{field, before, after}`, texts, bounded."""
    changes: list[dict[str, str]] = []
    for name in sorted(after):
        old = None if before is None else before.get(name)
        if old == after[name] or name == "digest":
            continue
        gone, new = _items(old), _items(after[name])
        for key in sorted(gone.keys() | new.keys()):
            if gone.get(key) != new.get(key):
                field = f"{name} {key}".rstrip()
                changes.append({"field": field, "before": gone.get(key, "")[:500], "after": new.get(key, "")[:500]})
    return changes[:_DIFFERENCES_MAX]


def _items(value: Any) -> dict[str, str]:
    """A value as comparable lines: lists by their entry's name, objects by member."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return {str(key): _text(item) for key, item in value.items()}
    if isinstance(value, list):
        if all(isinstance(item, Mapping) for item in value):
            return {str(item.get("name", item.get("table"))): _text(item) for item in value}
        return {str(item): "present" for item in value}
    return {"": _text(value)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else canonical.encode(value).decode()
