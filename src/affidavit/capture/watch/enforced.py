"""What the upstream really enforces, read from its catalogue: roles, memberships, privileges, row security, settings.

The values come from the catalogue alone, on a connection of the watcher's own, under a fixed search path and in a
read-only transaction that is rolled back; so they do not depend on what a client sets. They stand in the log as
`observed/SYSTEM/UPSTREAM-ROLE`, where the role is the one that the gateway uses.

**Sections.** Each is a list of names with a value. The object must fit a body, so lists are cut; count and digest of
each section are made by the upstream over all of it, so that no change hides behind a cut.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from affidavit import canonical
from affidavit.capture.gateway.catalogue import literal
from affidavit.capture.gateway.upstream import Upstream, ask
from affidavit.errors import Unavailable
from affidavit.limits import WATCH_ANSWER_S

_READ_MAX = 5000  # of one section: what is listed; the digest is over all
_TEXT_CHARS_MAX = 300  # of one name or value; what is longer is cut and ends in its digest
_DIGEST_CHARS = 16
_CUT_MARK = "... "  # in every encoding that a database can have
_KEPT_CHARS = _TEXT_CHARS_MAX - _DIGEST_CHARS - len(_CUT_MARK)
_SETTINGS: Final = (
    "allow_system_table_mods",
    "archive_mode",
    "block_size",
    "fsync",
    "listen_addresses",
    "local_preload_libraries",
    "log_connections",
    "log_destination",
    "log_disconnections",
    "log_duration",
    "log_error_verbosity",
    "log_hostname",
    "log_line_prefix",
    "log_min_duration_statement",
    "log_min_error_statement",
    "log_min_messages",
    "log_parameter_max_length",
    "log_replication_commands",
    "log_statement",
    "log_statement_sample_rate",
    "logging_collector",
    "password_encryption",
    "row_security",
    "server_encoding",
    "server_version",
    "session_preload_libraries",
    "session_replication_role",
    "shared_preload_libraries",
    "ssl",
    "ssl_min_protocol_version",
    "standard_conforming_strings",
    "track_activities",
    "wal_level",
)
#: How many bytes of each section the object holds. Together with their digests they stay below OBJECT_BYTES_MAX.
_BYTES: Final = {
    "column_grants": 2_048,
    "extensions": 1_024,
    "grants": 5_120,
    "members": 2_048,
    "memberships": 1_024,
    "policies": 3_072,
    "privileges": 4_096,
    "role_settings": 1_024,
    "roles": 3_072,
    "row_security": 1_024,
    "settings": 4_096,
}
#: Sections whose entries are texts, and those whose two members have names of their own.
_TEXTS: Final = frozenset({"memberships", "role_settings", "row_security"})
_MEMBERS: Final = {"extensions": ("name", "version"), "privileges": ("table", "held")}
_NAME_VALUE: Final = ("name", "value")

_USER_SCHEMA = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'"
_TABLES = (
    "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {_USER_SCHEMA}"
)
_GRANTED = "string_agg(DISTINCT a.privilege_type || CASE WHEN a.is_grantable AND {owner} THEN '*' ELSE '' END, ' ')"
_GRANTEE = "CASE WHEN a.grantee = 0 THEN 'public' ELSE coalesce(r.rolname, a.grantee::text) END"
#: By section, a query for (name, value).
_ROWS: Final = {
    "roles": """SELECT rolname::text, concat_ws(' ', CASE WHEN rolsuper THEN 'superuser' END,
        CASE WHEN rolcanlogin THEN 'login' END, CASE WHEN rolcreaterole THEN 'create_role' END,
        CASE WHEN rolcreatedb THEN 'create_database' END, CASE WHEN rolreplication THEN 'replication' END,
        CASE WHEN rolbypassrls THEN 'bypass_row_security' END, CASE WHEN NOT rolinherit THEN 'no_inherit' END,
        CASE WHEN rolconnlimit >= 0 THEN 'connections ' || rolconnlimit END,
        'until ' || to_char(rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
      FROM pg_roles WHERE rolname !~ '^pg_'""",
    "members": """SELECT r.rolname || ' in ' || g.rolname, coalesce(string_agg(DISTINCT concat_ws(' ',
        CASE WHEN m.admin_option THEN 'admin' END,
        CASE WHEN to_jsonb(m) ->> 'inherit_option' = 'false' THEN 'no_inherit' END,
        CASE WHEN to_jsonb(m) ->> 'set_option' = 'false' THEN 'no_set' END), ', '), '')
      FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member JOIN pg_roles g ON g.oid = m.roleid
      WHERE r.rolname !~ '^pg_' GROUP BY 1""",
    "memberships": """SELECT r.rolname::text, '' FROM pg_roles r WHERE r.oid IN (
        WITH RECURSIVE held(id) AS (
          SELECT m.roleid FROM pg_auth_members m JOIN pg_roles o ON o.oid = m.member WHERE o.rolname = current_user
          UNION SELECT m.roleid FROM pg_auth_members m JOIN held ON m.member = held.id) SELECT id FROM held)""",
    "role_settings": """SELECT coalesce(r.rolname, 'all') || ' in ' || coalesce(b.datname, 'all') || ' '
        || split_part(e.entry, '=', 1), CASE WHEN split_part(e.entry, '=', 1) ~* 'password|secret|token|key'
        THEN '***' ELSE substr(e.entry, strpos(e.entry, '=') + 1) END
      FROM pg_db_role_setting d CROSS JOIN LATERAL unnest(d.setconfig) AS e(entry)
      LEFT JOIN pg_roles r ON r.oid = d.setrole LEFT JOIN pg_database b ON b.oid = d.setdatabase
      WHERE d.setdatabase = 0 OR b.datname = current_database()""",
    "settings": """SELECT name, coalesce(reset_val, '') FROM pg_settings
      WHERE name = ANY (ARRAY[{settings}]) OR name LIKE 'pgaudit.%'""",
    "extensions": "SELECT extname::text, extversion FROM pg_extension",
    "row_security": """SELECT n.nspname || '.' || c.relname, CASE WHEN c.relforcerowsecurity THEN 'forced' ELSE '' END
      FROM {tables} AND c.relrowsecurity""",
    "policies": """SELECT schemaname || '.' || tablename || ' ' || policyname, concat_ws(' ', lower(permissive), cmd,
        'to ' || array_to_string(roles, ','), 'using ' || qual, 'check ' || with_check) FROM pg_policies""",
    "privileges": """SELECT t.name, t.held FROM (SELECT n.nspname || '.' || c.relname AS name, concat_ws(' ',
          CASE WHEN has_table_privilege(c.oid, 'SELECT') THEN 'SELECT' END,
          CASE WHEN has_table_privilege(c.oid, 'INSERT') THEN 'INSERT' END,
          CASE WHEN has_table_privilege(c.oid, 'UPDATE') THEN 'UPDATE' END,
          CASE WHEN has_table_privilege(c.oid, 'DELETE') THEN 'DELETE' END,
          CASE WHEN has_table_privilege(c.oid, 'TRUNCATE') THEN 'TRUNCATE' END) AS held FROM {tables}) t
      WHERE t.held <> ''""",
    "grants": """SELECT o.name || ' to ' || {grantee},
        concat(CASE WHEN a.grantee = o.owner THEN 'owner ' END, {granted})
      FROM (SELECT n.nspname || '.' || c.relname AS name, c.relowner AS owner,
          coalesce(c.relacl, acldefault('r', c.relowner)) AS acl FROM {tables}
        UNION ALL SELECT 'schema ' || n.nspname, n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner))
          FROM pg_namespace n WHERE {user_schema}
        UNION ALL SELECT 'database ' || datname, datdba, coalesce(datacl, acldefault('d', datdba))
          FROM pg_database WHERE datname = current_database()) o
      CROSS JOIN LATERAL aclexplode(o.acl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
      GROUP BY o.name, o.owner, a.grantee, r.rolname""",
    "column_grants": """SELECT t.name || ' to ' || {grantee}, {granted_all}
      FROM (SELECT n.nspname || '.' || c.relname || '.' || l.attname AS name, l.attacl AS acl FROM pg_attribute l
        JOIN pg_class c ON c.oid = l.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE l.attacl IS NOT NULL AND NOT l.attisdropped AND {user_schema}) t
      CROSS JOIN LATERAL aclexplode(t.acl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
      GROUP BY t.name, a.grantee, r.rolname""",
}
_SECTION = """'{name}', (SELECT json_build_object('count', count(*),
    'digest', encode(sha256(convert_to(coalesce(string_agg(t.name || '=' || t.value, chr(10) ORDER BY t.n),
      ''), getdatabaseencoding())), 'hex'),
    'first', coalesce(json_agg(json_build_array(t.name, CASE WHEN length(t.value) <= {chars} THEN t.value
        ELSE substr(t.value, 1, {kept}) || '{mark}'
          || substr(encode(sha256(convert_to(t.value, getdatabaseencoding())), 'hex'), 1, {digest}) END)
      ORDER BY t.n) FILTER (WHERE t.n <= {most}), '[]'))
  FROM (SELECT r.name, r.value, row_number() OVER (ORDER BY r.name COLLATE "C", r.value COLLATE "C") AS n
    FROM ({rows}) AS r(name, value)) t)"""
_ENFORCED = """BEGIN READ ONLY;
SET LOCAL search_path TO pg_catalog;
SELECT json_build_object(
  'role', (SELECT json_build_object('name', rolname, 'superuser', rolsuper, 'create_role', rolcreaterole,
      'create_database', rolcreatedb, 'replication', rolreplication, 'bypass_row_security', rolbypassrls,
      'inherit', rolinherit) FROM pg_roles WHERE rolname = current_user),
  {sections});
ROLLBACK"""

#: By section, its entries: name → value.
Sections = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Enforced:
    """What the upstream enforces. `observed` is the value for `observed/SYSTEM/ROLE`; `sections` holds more of it than
    that has place for."""

    role: str
    observed: dict[str, Any]
    sections: Sections


def enforced_query() -> str:
    """The query that `read_enforced` asks."""
    settings = ", ".join(literal(name) for name in _SETTINGS)
    rows = {
        name: text.format(
            settings=settings,
            tables=_TABLES,
            user_schema=_USER_SCHEMA,
            grantee=_GRANTEE,
            granted=_GRANTED.format(owner="a.grantee <> o.owner"),
            granted_all=_GRANTED.format(owner="true"),
        )
        for name, text in _ROWS.items()
    }
    cut = {
        "most": _READ_MAX, "chars": _TEXT_CHARS_MAX, "kept": _KEPT_CHARS, "mark": _CUT_MARK, "digest": _DIGEST_CHARS
    }  # fmt: skip
    parts = [_SECTION.format(name=name, rows=rows[name], **cut) for name in sorted(rows)]
    return _ENFORCED.format(sections=",\n  ".join(parts))


async def read_enforced(upstream: Upstream) -> Enforced:
    """Ask the upstream. Raises `Unavailable` when its catalogue cannot be read, `TimeoutError` when it does not answer.

    Long values come cut, so that the answer stays within a message whatever anybody writes into the catalogue.
    """
    try:
        (row,) = await ask(upstream, enforced_query(), WATCH_ANSWER_S)
        return enforced(msgspec.json.decode(row[0] or "null"))
    except (*canonical.UNREADABLE, IndexError, KeyError, TypeError, ValueError, AttributeError):
        raise Unavailable("gateway.catalogue", "The database's catalogue gave an answer that cannot be read.") from None


def enforced(found: dict[str, Any]) -> Enforced:
    """What the answer of the upstream says. Raises `KeyError`, `TypeError` or `ValueError` where it says nothing."""
    role = found["role"]
    sections = {name: {_cut(key): _cut(value) for key, value in found[name]["first"]} for name in _ROWS}
    observed: dict[str, Any] = {"role": role}
    complete = True
    for name, entries in sections.items():
        listed = _fitting([_entry(name, key, value) for key, value in sorted(entries.items())], _BYTES[name])
        observed[name] = listed
        complete = complete and len(listed) == found[name]["count"]
    observed["sections"] = [
        {"name": name, "count": found[name]["count"], "digest": found[name]["digest"]} for name in sorted(_ROWS)
    ]
    observed["digest"] = hashlib.sha256(canonical.encode([role, observed["sections"]])).hexdigest()
    observed["complete"] = complete
    return Enforced(str(role["name"]), observed, sections)


def listed_sections(observed: Mapping[str, Any]) -> Sections:
    """The sections as far as an observed value lists them."""
    return {name: dict(map(_pair, observed[name])) for name in _ROWS if isinstance(observed.get(name), list)}


def _entry(section: str, name: str, value: str) -> Any:
    if section in _TEXTS:
        return f"{name}: {value}" if value else name
    first, second = _MEMBERS.get(section, _NAME_VALUE)
    return {first: name, second: value}


def _pair(entry: Any) -> tuple[str, str]:
    if isinstance(entry, Mapping):
        values = [str(value) for _, value in sorted(entry.items(), key=lambda item: item[0] not in ("name", "table"))]
        return values[0], values[1] if len(values) > 1 else ""
    name, _, value = str(entry).partition(": ")
    return name, value


def _cut(value: object) -> str:
    text = str(value)
    if len(text) <= _TEXT_CHARS_MAX:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
    return f"{text[:_KEPT_CHARS]}{_CUT_MARK}{digest[:_DIGEST_CHARS]}"


def _fitting(entries: Sequence[Any], bytes_max: int) -> list[Any]:
    kept, size = [], 0
    for entry in entries:
        size += len(canonical.encode(entry)) + 1
        if size > bytes_max:
            break
        kept.append(entry)
    return kept
