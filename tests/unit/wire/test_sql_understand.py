"""What statements are understood to do. The expected values follow PostgreSQL's grammar and privilege rules."""

from __future__ import annotations

import asyncpg.introspection
import pytest
from psycopg.types import TypeInfo
from psycopg.types.composite import CompositeInfo
from psycopg.types.enum import EnumInfo
from psycopg.types.multirange import MultirangeInfo
from psycopg.types.range import RangeInfo

from affidavit.limits import SQL_NESTING_MAX, STATEMENT_PARSE_BYTES_MAX
from affidavit.wire.sql.understand import KeyUse, Statement, Understanding, understand


def one(text: str, search_path: tuple[str, ...] = ("public",)) -> Statement:
    (statement,) = understand(text, search_path)
    return statement


def uses(statement: Statement) -> str:
    """The tables as `schema.name:r`, one letter an action."""
    return " ".join(f"{t.schema}.{t.name}:{t.action[0]}" for t in statement.tables)


READS = [
    ("SELECT 1", ""),
    ("select 'x'::text, 1.5e3, NULL, true", ""),
    ("SELECT abalance FROM pgbench_accounts WHERE aid = 12345;", "public.pgbench_accounts:r"),
    ("SELECT a FROM s.t", "s.t:r"),
    ('SELECT a FROM "S"."T x"', "S.T x:r"),
    ("SELECT a FROM SCHEMA1.Table1", "schema1.table1:r"),
    ('SELECT a FROM U&"t\\0061b"', "public.tab:r"),
    ("SELECT a FROM größe", "public.größe:r"),
    ("SELECT a FROM ONLY t", "public.t:r"),
    ("TABLE x", "public.x:r"),
    ("VALUES (1), (2)", ""),
    ("(SELECT 1 FROM a) UNION ALL (TABLE b) ORDER BY 1 LIMIT 1", "public.a:r public.b:r"),
    ("SELECT 1 FROM a EXCEPT SELECT 2 FROM b INTERSECT SELECT 3 FROM c", "public.a:r public.b:r public.c:r"),
    ("SELECT * FROM a, b c JOIN d USING (x) LEFT JOIN e ON e.i = c.i NATURAL JOIN f CROSS JOIN g", " ".join(f"public.{t}:r" for t in "abdefg")),
    ("SELECT * FROM (a JOIN (b JOIN c ON true) ON true) AS j", "public.a:r public.b:r public.c:r"),
    ("SELECT * FROM (SELECT 1 FROM a) x, LATERAL (SELECT x.y FROM b) z", "public.a:r public.b:r"),
    ("SELECT (SELECT max(x) FROM a), ARRAY(SELECT y FROM b), EXISTS (SELECT FROM c)", "public.a:r public.b:r public.c:r"),
    ("SELECT 1 FROM a WHERE x IN (TABLE b) AND y = ANY (SELECT z FROM c)", "public.a:r public.b:r public.c:r"),
    ("SELECT 1 FROM a WHERE x IN (VALUES (1), (2))", "public.a:r"),
    ("WITH x AS (SELECT 1 FROM a) SELECT * FROM x", "public.a:r"),
    ("WITH x AS MATERIALIZED (SELECT 1 FROM a), y (c) AS NOT MATERIALIZED (SELECT * FROM x) SELECT * FROM y", "public.a:r"),
    ("WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 100) SELECT sum(n) FROM t", ""),
    # A common table expression hides a table only where it is visible.
    ("WITH x AS (SELECT * FROM x) SELECT * FROM x", "public.x:r"),
    ("WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a, b", "public.b:r"),
    ("SELECT * FROM x WHERE EXISTS (WITH x AS (SELECT 1) SELECT * FROM x)", "public.x:r"),
    ("WITH x AS (SELECT 1) SELECT * FROM s.x", "s.x:r"),
    ("SELECT count(*), sum(x) FILTER (WHERE y > 1) OVER (PARTITION BY a ORDER BY b DESC NULLS LAST ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t", "public.t:r"),
    ("SELECT rank() OVER w FROM t WINDOW w AS (PARTITION BY a ORDER BY b RANGE UNBOUNDED PRECEDING)", "public.t:r"),
    ("SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FROM t", "public.t:r"),
    ("SELECT array_agg(DISTINCT a ORDER BY a DESC), string_agg(b, ',' ORDER BY c) FROM t GROUP BY d HAVING count(*) > 1", "public.t:r"),
    ("SELECT a FROM t GROUP BY ROLLUP (a, b)", "public.t:r"),
    ("SELECT DISTINCT ON (a) lower(b) FROM t ORDER BY a, b", "public.t:r"),
    ("SELECT extract(epoch FROM now() - x), substring(a FROM 1 FOR 2), trim(BOTH 'x' FROM y), position('a' IN b), overlay(a PLACING b FROM 1) FROM t", "public.t:r"),
    ("SELECT CAST(a AS numeric(10,2)), a::int[], '1'::interval day to second, b::timestamp(3) with time zone, c::double precision, d::\"char\" FROM t", "public.t:r"),
    ("SELECT DATE '2020-01-01', INTERVAL '1' DAY, INTERVAL(3) '1 s', TIMESTAMP WITH TIME ZONE '2020-01-01', point '(1,2)'", ""),
    ("SELECT a COLLATE \"C\", b AT TIME ZONE 'utc', c IS NOT DISTINCT FROM 1, d ISNULL, e NOT BETWEEN SYMMETRIC 1 AND 2 FROM t", "public.t:r"),
    ("SELECT a LIKE 'x' ESCAPE '!', b NOT ILIKE 'y', c SIMILAR TO 'z', d ~* 'e', f @> '{}', g -> 'h' ->> 'i', j #>> '{k}', l ? 'm' FROM t", "public.t:r"),
    ("SELECT a[1], a[1:2], a[:], ARRAY[[1,2],[3,4]], ROW(1, 2), (x).y, (x).* FROM t", "public.t:r"),
    ("SELECT CASE a WHEN 1 THEN 2 ELSE 3 END, CASE WHEN b THEN c END FROM t", "public.t:r"),
    ("SELECT -a, + b, NOT c, @ d, |/ e, ~ f, a ^ 2, a % 3 FROM t", "public.t:r"),
    ("SELECT current_user, CURRENT_DATE, localtimestamp(3), current_schema(), session_user, version()", ""),
    ("SELECT key, value, first, row, date, name, rows, share, type, update, zone, over FROM t", "public.t:r"),
    ("SELECT a AS select, b AS from, c \"order\" FROM t AS \"where\"", "public.t:r"),
    ("SELECT left(a, 1), right(b, 2), coalesce(c, d), nullif(e, f), greatest(g, h) FROM t", "public.t:r"),
    ("SELECT pg_catalog.lower('X'), pg_catalog . \"upper\" ('x')", ""),
    ("SELECT 1 OPERATOR(pg_catalog.+) 2", ""),
    ("SELECT * FROM generate_series(1, 3) AS g(n), unnest(ARRAY[1,2]) WITH ORDINALITY u(v, i)", ""),
    ("SELECT * FROM json_to_recordset($1) AS x(a int, b numeric(3,2), c text[])", ""),
    ("SELECT * FROM jsonb_to_record($1) AS (a int, b timestamp)", ""),
    ("SELECT make_date(year => 2020, month => 1, day := 2)", ""),
    ("SELECT concat(VARIADIC ARRAY['a','b'])", ""),
    ("SELECT * FROM t TABLESAMPLE system (10)", "public.t:r"),
    ("SELECT * FROM t ORDER BY a USING <, b NULLS FIRST OFFSET 5 ROWS FETCH NEXT 3 ROWS ONLY", "public.t:r"),
    ("SELECT * FROM t FETCH FIRST ROW ONLY", "public.t:r"),
    ("SELECT * FROM t LIMIT ALL", "public.t:r"),
    ("SELECT/**/a--x\nFROM/*y*/t", "public.t:r"),
    ("SELECT 'a' -- ; DROP TABLE x\n 'b'", ""),
    ("SELECT '; DROP TABLE x; --'", ""),
    ("SELECT $$; DROP TABLE x; $$, $q$'$q$, E'\\'; DROP TABLE x; --'", ""),
    ("SELECT '😀' AS \"😀\"", ""),
    ("SELECT relname FROM pg_class", "pg_catalog.pg_class:r"),
    ("SELECT * FROM information_schema.columns", "information_schema.columns:r"),
    ("SELECT * FROM pg_notes", "public.pg_notes:r"),
    ("SELECT a FROM db.s.t", "s.t:r"),
    ("SELECT currval('s'), clock_timestamp(), random(), gen_random_uuid()", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), READS)
def test_reads(text: str, expected: str) -> None:
    got = one(text)
    assert ("SELECT", "read", True, "", True, expected) == (
        got.verb,
        got.action,
        got.read_only,
        got.why,
        got.parsed,
        uses(got),
    )


# Statements that must never pass as reads, however the effect is hidden.
HIDDEN_EFFECTS = [
    "SELECT pg_sleep(1)",
    "SELECT PG_SLEEP(1)",
    'SELECT "pg_sleep"(1)',
    'SELECT U&"pg\\005fsleep"(1)',
    "SELECT pg_sleep /* x */ -- y\n (1)",
    "SELECT pg_catalog . pg_sleep ( 1 )",
    "SELECT nextval('s')",
    "SELECT setval('s', 1)",
    "SELECT set_config('a.b', 'c', false)",
    "SELECT lo_unlink(1)",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_terminate_backend(1)",
    "SELECT query_to_xml('DELETE FROM t', true, true, '')",
    "SELECT * FROM ts_stat('DELETE FROM t')",
    "SELECT ts_rewrite('a'::tsquery, 'SELECT 1')",
    "SELECT txid_current()",
    "SELECT pg_notify('a', 'b')",
    "SELECT dblink('a', 'b')",
    "SELECT public.lower('x')",
    "SELECT \"Lower\"('x')",
    "SELECT a.b.lower('x')",
    "SELECT 1 FROM t ORDER BY evil(x)",
    "SELECT 1 FROM t GROUP BY evil(x)",
    "SELECT 1 FROM t GROUP BY a HAVING evil(x)",
    "SELECT 1 FROM t LIMIT evil()",
    "SELECT 1 FROM t OFFSET evil()",
    "SELECT 1 FROM t FETCH FIRST (evil()) ROWS ONLY",
    "SELECT 1 WHERE evil()",
    "VALUES (evil())",
    "SELECT 1 FROM t, LATERAL evil(t.a) x",
    "SELECT 1 FROM evil()",
    "SELECT 1 FROM evil() AS x(a int)",
    "SELECT 1 FROM a, evil(b) AS (c int)",
    "SELECT 1 FROM a, evil(b) AS (values int)",
    "SELECT 1 FROM a, evil(b) AS (select int)",
    "SELECT 1 FROM a, evil(b) x(c)",
    "SELECT 1 FROM ROWS FROM (evil(1), lower('x')) AS x",
    "SELECT 1 FROM json_to_recordset(evil()) AS x(a int)",
    "SELECT 1 FROM t TABLESAMPLE evil (10)",
    "SELECT 1 FROM t TABLESAMPLE system (evil())",
    "SELECT 1 FROM t TABLESAMPLE system (1) REPEATABLE (evil())",
    "SELECT DISTINCT ON (a) evil(b) FROM t",
    "SELECT DISTINCT ON (a) over(b) FROM t",
    "SELECT DISTINCT ON (a) filter(b) FROM t",
    "SELECT DISTINCT evil(b) FROM t",
    "SELECT ALL evil(b) FROM t",
    "SELECT a LIKE b ESCAPE (evil(c)) FROM t",
    "SELECT a LIKE (b) ESCAPE (evil(c)) FROM t",
    "SELECT a LIKE (b) ESCAPE evil(c) FROM t",
    "SELECT a AT TIME ZONE (evil(b)) FROM t",
    "SELECT a BETWEEN evil(b) AND c FROM t",
    "SELECT a BETWEEN SYMMETRIC evil(b) AND c FROM t",
    "SELECT a IS NOT DISTINCT FROM evil(b) FROM t",
    "SELECT a SIMILAR TO evil(b) FROM t",
    "SELECT a @> evil(b) FROM t",
    "SELECT @ evil(b) FROM t",
    "SELECT NOT evil(b) FROM t",
    "SELECT - evil(b) FROM t",
    "SELECT a[evil(1)] FROM t",
    "SELECT a[1:evil(2)] FROM t",
    "SELECT a::numeric(evil(1)) FROM t",
    "SELECT CAST(evil(a) AS int) FROM t",
    "SELECT CAST(a AS evil(f(1))) FROM t",
    "SELECT evil(1) 'x'",
    "SELECT ROW(evil(a)) FROM t",
    "SELECT ARRAY[evil(a)] FROM t",
    "SELECT ARRAY(SELECT evil(a)) FROM t",
    "SELECT CASE WHEN evil(a) THEN 1 END FROM t",
    "SELECT CASE evil(a) WHEN 1 THEN 1 END FROM t",
    "SELECT CASE WHEN a THEN 1 ELSE evil(a) END FROM t",
    "SELECT coalesce(a, evil(b)) FROM t",
    "SELECT lower(evil(a)) FROM t",
    "SELECT make_date(year => evil(a)) FROM t",
    "SELECT concat(VARIADIC evil(a)) FROM t",
    "SELECT array_agg(a ORDER BY evil(b)) FROM t",
    "SELECT sum(a) FILTER (WHERE evil(b)) FROM t",
    "SELECT sum(a) OVER (PARTITION BY evil(b)) FROM t",
    "SELECT sum(a) OVER (ORDER BY evil(b)) FROM t",
    "SELECT sum(a) OVER (ORDER BY b ROWS evil(1) PRECEDING) FROM t",
    "SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY evil(b))",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY evil(x)) FROM t",
    "SELECT evil(x) OVER () FROM t",
    "SELECT extract(epoch FROM evil(x)) FROM t",
    "SELECT position(evil(a) IN b) FROM t",
    "SELECT trim(BOTH evil(a) FROM b) FROM t",
    "SELECT substring(a FROM evil(b)) FROM t",
    "SELECT first(a), last(b) FROM t",
    "SELECT outer(a) FROM t",
    "SELECT isnull(a) FROM t",
    "SELECT set(a) FROM t",
    "SELECT join(a) FROM t",
    "SELECT materialized(a) FROM t",
    "SELECT 1 FROM t JOIN u ON evil(a)",
    "SELECT 1 UNION SELECT evil()",
    "SELECT (SELECT (SELECT evil()))",
    "WITH x AS (SELECT evil()) SELECT 1",
    "WITH x (a) AS (SELECT evil()) SELECT 1",
    "WITH x AS MATERIALIZED (SELECT evil()) SELECT 1",
    "SELECT 1 WHERE EXISTS (SELECT evil())",
    "SELECT 1 WHERE 1 IN (SELECT evil())",
    "SELECT 1 WHERE 1 IN (evil())",
    "SELECT 1 OPERATOR(public.+) 2",
    "SELECT 1 OPERATOR(pg_catalog.+) evil(2)",
    "SELECT 1 OPERATOR(pg_catalog.+) over(2)",
    "SELECT 1::numeric(3) + evil(2)",
    "SELECT 1 OPERATOR(+) 2",
    "SELECT ('/etc/passwd'::text).pg_read_file",
    "SELECT t.pg_sleep FROM float8(10) AS t",
    "SELECT pg_catalog.pg_sleep FROM float8(10) AS pg_catalog",
    "SELECT t.lo_unlink FROM oid('1') t",
    "SELECT xmltable.a FROM XMLTABLE('/a' PASSING evil(x) COLUMNS a int) t",
    "SELECT * FROM JSON_TABLE(evil(), '$' COLUMNS (a int)) t",
    "SELECT json_value('1', '$' DEFAULT evil() ON ERROR)",
    "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x",
    "WITH x AS (UPDATE t SET a = 1) SELECT 1",
    "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x",
    "WITH x AS NOT MATERIALIZED (DELETE FROM t RETURNING *) SELECT * FROM x",
    "WITH x AS (MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE RETURNING 1) SELECT 1",
    "WITH x AS (WITH y AS (DELETE FROM t RETURNING 1) SELECT * FROM y) SELECT 1",
    "SELECT a INTO b FROM c",
    "SELECT a INTO TEMP TABLE b FROM c",
    "WITH x AS (SELECT 1) SELECT * INTO UNLOGGED b FROM x",
    "SELECT * FROM t FOR UPDATE",
    "SELECT * FROM t FOR NO KEY UPDATE OF t NOWAIT",
    "SELECT * FROM t FOR SHARE SKIP LOCKED",
    "SELECT * FROM t FOR KEY SHARE",
    "SELECT * FROM (SELECT * FROM t FOR UPDATE) x",
    "TABLE t FOR UPDATE",
    "(SELECT * FROM t) FOR UPDATE",
    "EXPLAIN ANALYZE DELETE FROM t",
    "EXPLAIN (ANALYZE) SELECT evil()",
    "EXPLAIN (VERBOSE, \"analyze\") DELETE FROM t",
    "EXPLAIN (ANALYZE off) DELETE FROM t",
    "EXPLAIN SELECT evil()",
    "EXPLAIN EXECUTE p",
    "COPY (SELECT evil()) TO STDOUT",
    "COPY (DELETE FROM t RETURNING *) TO STDOUT",
    "COPY t TO '/tmp/x'",
    "COPY t TO PROGRAM 'x'",
    "DECLARE c CURSOR FOR SELECT evil()",
    "DECLARE c CURSOR FOR SELECT * FROM t FOR UPDATE",
    "BEGIN; x",
    "SHOW a b",
    "SELECT 1 FROM t x(evil(1))",
    "SELECT 1 AS x(evil(1))",
    "SELECT a b(c) FROM t, u v(evil())",
    "SELECT 'x",
    "SELECT \x00",
    "SELECT ((1)",
    "SELECT 1) FROM t",
    "SELECT 1 SELECT 2",
    "SELECT * FROM t WHERE",
    "garbage",
    "\\d t",
]  # fmt: skip


@pytest.mark.parametrize("text", HIDDEN_EFFECTS)
def test_hidden_effects_are_never_reads(text: str) -> None:
    statements = understand(text)
    assert statements
    assert not all(s.read_only for s in statements)
    assert all(s.why for s in statements if not s.read_only)


WRITES = [
    ("INSERT INTO t (a) VALUES (1)", "INSERT", "public.t:w"),
    ("INSERT INTO t DEFAULT VALUES", "INSERT", "public.t:w"),
    ("INSERT INTO s.t AS x (a) OVERRIDING SYSTEM VALUE SELECT b FROM u", "INSERT", "public.u:r s.t:w"),
    ("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING RETURNING *", "INSERT", "public.t:r public.t:w"),
    ("INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = excluded.b", "INSERT", "public.t:w"),
    ("INSERT INTO t (a) VALUES (1) ON CONFLICT ON CONSTRAINT k DO UPDATE SET b = t.b + 1", "INSERT", "public.t:r public.t:w"),
    ("WITH x AS (SELECT 1 FROM u) INSERT INTO t SELECT * FROM x", "INSERT", "public.t:w public.u:r"),
    ("INSERT INTO t WITH x AS (SELECT 1 FROM u) SELECT * FROM x", "INSERT", "public.t:w public.u:r"),
    ("UPDATE t SET a = 1", "UPDATE", "public.t:w"),
    ("UPDATE t SET a = 1 WHERE b = 2", "UPDATE", "public.t:r public.t:w"),
    ("UPDATE ONLY t AS x SET (a, b) = (1, DEFAULT), c[1] = 2, d.e = 3 FROM u WHERE u.i = 1", "UPDATE", "public.t:w public.u:r"),
    ("UPDATE t SET a = (SELECT max(b) FROM u)", "UPDATE", "public.t:w public.u:r"),
    ("UPDATE t SET a = 1 WHERE CURRENT OF c", "UPDATE", "public.t:w"),
    ("DELETE FROM t", "DELETE", "public.t:w"),
    ("DELETE FROM t USING u WHERE t.a = u.a RETURNING t.b", "DELETE", "public.t:r public.t:w public.u:r"),
    # The target of a writing statement is never a common table expression.
    ("WITH t AS (SELECT 1) DELETE FROM t", "DELETE", "public.t:w"),
    ("MERGE INTO t x USING s ON x.a = s.a WHEN MATCHED AND x.b = 1 THEN UPDATE SET c = s.c WHEN NOT MATCHED THEN INSERT (a) VALUES (s.a) WHEN NOT MATCHED BY SOURCE THEN DELETE", "MERGE", "public.s:r public.t:r public.t:w"),
    ("MERGE INTO t USING (SELECT 1 AS a) s ON t.a = s.a WHEN MATCHED THEN DO NOTHING", "MERGE", "public.t:r public.t:w"),
    ("TRUNCATE TABLE ONLY a, s.b RESTART IDENTITY", "TRUNCATE", "public.a:w s.b:w"),
    ("LOCK TABLE t IN ACCESS EXCLUSIVE MODE", "LOCK", "public.t:w"),
    ("REFRESH MATERIALIZED VIEW CONCURRENTLY v", "REFRESH MATERIALIZED VIEW", "public.v:w"),
    ("COPY t (a, b) FROM STDIN WITH (FORMAT csv)", "COPY FROM", "public.t:w"),
    ("CALL s.p(1)", "CALL", ""),
    ("DO $$ BEGIN DELETE FROM t; END $$", "DO", ""),
    ("EXECUTE p (1, 'a')", "EXECUTE", ""),
    ("NOTIFY c, 'x'", "NOTIFY", ""),
    ("WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "SELECT", "public.t:r public.t:w"),
    ("EXPLAIN ANALYZE UPDATE t SET a = 1", "EXPLAIN", "public.t:w"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "verb", "expected"), WRITES)
def test_writes(text: str, verb: str, expected: str) -> None:
    got = one(text)
    assert (verb, "write", False, True, expected) == (got.verb, got.action, got.read_only, got.parsed, uses(got))


OTHERS = [
    # text, verb, action, read only, tables, transaction, setting
    ("BEGIN", "BEGIN", "session", True, "", "begin", ""),
    ("begin work isolation level serializable, read write, not deferrable", "BEGIN", "session", True, "", "begin", ""),
    ("START TRANSACTION READ ONLY", "BEGIN", "session", True, "", "begin", ""),
    ("COMMIT", "COMMIT", "session", False, "", "commit", ""),
    ("END TRANSACTION AND NO CHAIN", "COMMIT", "session", False, "", "commit", ""),
    ("COMMIT PREPARED 'x'", "COMMIT PREPARED", "session", False, "", "commit", ""),
    ("ROLLBACK", "ROLLBACK", "session", True, "", "rollback", ""),
    ("ABORT WORK", "ROLLBACK", "session", True, "", "rollback", ""),
    ("ROLLBACK PREPARED 'x'", "ROLLBACK PREPARED", "session", False, "", "rollback", ""),
    ("ROLLBACK TO SAVEPOINT s", "ROLLBACK TO", "session", True, "", "rollback_to", ""),
    ("ROLLBACK WORK TO s", "ROLLBACK TO", "session", True, "", "rollback_to", ""),
    ("SAVEPOINT s", "SAVEPOINT", "session", True, "", "savepoint", ""),
    ("RELEASE SAVEPOINT s", "RELEASE", "session", True, "", "release", ""),
    ("PREPARE TRANSACTION 'x'", "PREPARE TRANSACTION", "session", False, "", "prepare", ""),
    ("SHOW server_version", "SHOW", "session", True, "", "", "server_version"),
    ("SHOW TRANSACTION ISOLATION LEVEL", "SHOW", "session", True, "", "", "transaction_isolation"),
    ("SHOW ALL", "SHOW", "session", True, "", "", "all"),
    ("SET search_path TO a, b", "SET", "session", False, "", "", "search_path"),
    ("SET SESSION \"DateStyle\" = 'ISO'", "SET", "session", False, "", "", "datestyle"),
    ("SET LOCAL app.user = 'x'", "SET", "session", False, "", "", "app.user"),
    ("SET x FROM CURRENT", "SET", "session", False, "", "", "x"),
    ("SET TIME ZONE 'UTC'", "SET", "session", False, "", "", "timezone"),
    ("SET NAMES 'UTF8'", "SET", "session", False, "", "", "client_encoding"),
    ("SET SCHEMA 'x'", "SET", "session", False, "", "", "search_path"),
    ("SET TRANSACTION READ WRITE", "SET TRANSACTION", "session", False, "", "", ""),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET CHARACTERISTICS", "session", False, "", "", ""),
    ("SET CONSTRAINTS ALL DEFERRED", "SET CONSTRAINTS", "session", False, "", "", ""),
    ("SET ROLE bob", "SET ROLE", "admin", False, "", "", "role"),
    ("SET LOCAL ROLE NONE", "SET ROLE", "admin", False, "", "", "role"),
    ("SET role = 'bob'", "SET ROLE", "admin", False, "", "", "role"),
    ("SET \"ROLE\" TO bob", "SET ROLE", "admin", False, "", "", "role"),
    ("RESET ROLE", "RESET ROLE", "admin", False, "", "", "role"),
    ("SET SESSION AUTHORIZATION bob", "SET SESSION AUTHORIZATION", "admin", False, "", "", "session_authorization"),
    ("SET SESSION SESSION AUTHORIZATION DEFAULT", "SET SESSION AUTHORIZATION", "admin", False, "", "", "session_authorization"),
    ("SET session_authorization TO bob", "SET SESSION AUTHORIZATION", "admin", False, "", "", "session_authorization"),
    ("RESET SESSION AUTHORIZATION", "RESET SESSION AUTHORIZATION", "admin", False, "", "", "session_authorization"),
    ("RESET search_path", "RESET", "session", False, "", "", "search_path"),
    ("RESET ALL", "RESET", "session", False, "", "", "all"),
    ("DISCARD ALL", "DISCARD", "session", False, "", "", ""),
    ("LISTEN c", "LISTEN", "session", False, "", "", ""),
    ("UNLISTEN *", "UNLISTEN", "session", False, "", "", ""),
    ("DEALLOCATE ALL", "DEALLOCATE", "session", False, "", "", ""),
    ("CLOSE c", "CLOSE", "session", False, "", "", ""),
    ("FETCH 10 FROM c", "FETCH", "session", False, "", "", ""),
    ("PREPARE p (int) AS SELECT a FROM t WHERE b = $1", "PREPARE", "session", False, "public.t:r", "", ""),
    ("DECLARE c BINARY NO SCROLL CURSOR WITH HOLD FOR SELECT * FROM t", "DECLARE", "read", True, "public.t:r", "", ""),
    ("COPY t TO STDOUT", "COPY TO", "read", True, "public.t:r", "", ""),
    ("COPY BINARY t TO STDOUT", "COPY TO", "read", True, "public.t:r", "", ""),
    ("COPY (SELECT a FROM t) TO STDOUT (FORMAT csv)", "COPY TO", "read", True, "public.t:r", "", ""),
    ("COPY t TO '/tmp/x'", "COPY TO", "admin", False, "public.t:r", "", ""),
    ("COPY t FROM PROGRAM 'x'", "COPY FROM", "admin", False, "public.t:w", "", ""),
    ("COPY t FROM '/tmp/x'", "COPY FROM", "admin", False, "public.t:w", "", ""),
    ("EXPLAIN SELECT a FROM t", "EXPLAIN", "read", True, "public.t:r", "", ""),
    ("EXPLAIN VERBOSE DELETE FROM t", "EXPLAIN", "read", True, "public.t:r", "", ""),
    ("EXPLAIN (FORMAT json) INSERT INTO t VALUES (1)", "EXPLAIN", "read", True, "public.t:r", "", ""),
    ("EXPLAIN ANALYZE SELECT a FROM t", "EXPLAIN", "read", True, "public.t:r", "", ""),
    ("EXPLAIN (ANALYZE, BUFFERS) (SELECT a FROM t)", "EXPLAIN", "read", True, "public.t:r", "", ""),
    ("CREATE TABLE IF NOT EXISTS s.t (a int)", "CREATE TABLE", "define", False, "s.t:d", "", ""),
    ("CREATE TEMP TABLE t AS SELECT a FROM u WITH NO DATA", "CREATE TABLE AS", "define", False, "public.t:d public.u:r", "", ""),
    ("CREATE TABLE t AS TABLE u", "CREATE TABLE AS", "define", False, "public.t:d public.u:r", "", ""),
    ("CREATE OR REPLACE VIEW v (a) AS SELECT b FROM t WITH CHECK OPTION", "CREATE VIEW", "define", False, "public.t:r public.v:d", "", ""),
    ("CREATE MATERIALIZED VIEW v AS SELECT b FROM t", "CREATE MATERIALIZED VIEW", "define", False, "public.t:r public.v:d", "", ""),
    ("CREATE UNIQUE INDEX CONCURRENTLY i ON ONLY s.t (lower(a))", "CREATE INDEX", "define", False, "s.t:d", "", ""),
    ("CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()", "CREATE TRIGGER", "define", False, "public.t:d", "", ""),
    ("CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING", "CREATE RULE", "define", False, "public.t:d", "", ""),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE FUNCTION", "define", False, "", "", ""),
    ("ALTER TABLE IF EXISTS ONLY t ADD COLUMN a int", "ALTER TABLE", "define", False, "public.t:d", "", ""),
    ("DROP TABLE IF EXISTS a, s.b CASCADE", "DROP TABLE", "define", False, "public.a:d s.b:d", "", ""),
    ("DROP VIEW v", "DROP VIEW", "define", False, "public.v:d", "", ""),
    ("DROP INDEX i", "DROP INDEX", "define", False, "", "", ""),
    ("COMMENT ON COLUMN s.t.c IS 'x'", "COMMENT ON COLUMN", "define", False, "s.t:d", "", ""),
    ("COMMENT ON TABLE t IS NULL", "COMMENT ON TABLE", "define", False, "public.t:d", "", ""),
    ("CREATE POLICY p ON t FOR SELECT USING (true)", "CREATE POLICY", "grant", False, "public.t:g", "", ""),
    ("GRANT SELECT (a), UPDATE ON TABLE s.t, u TO bob", "GRANT", "grant", False, "public.u:g s.t:g", "", ""),
    ("GRANT ALL ON ALL TABLES IN SCHEMA s TO bob", "GRANT", "grant", False, "", "", ""),
    ("GRANT admin TO bob", "GRANT", "grant", False, "", "", ""),
    ("REVOKE GRANT OPTION FOR SELECT ON t FROM bob", "REVOKE", "grant", False, "public.t:g", "", ""),
    ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO bob", "ALTER DEFAULT PRIVILEGES", "grant", False, "", "", ""),
    ("CREATE ROLE bob", "CREATE ROLE", "admin", False, "", "", ""),
    ("ALTER USER bob SUPERUSER", "ALTER USER", "admin", False, "", "", ""),
    ("DROP OWNED BY bob", "DROP OWNED", "admin", False, "", "", ""),
    ("REASSIGN OWNED BY a TO b", "REASSIGN OWNED", "admin", False, "", "", ""),
    ("ALTER SYSTEM SET a = 1", "ALTER SYSTEM", "admin", False, "", "", ""),
    ("CREATE EXTENSION dblink", "CREATE EXTENSION", "admin", False, "", "", ""),
    ("CREATE DATABASE d", "CREATE DATABASE", "admin", False, "", "", ""),
    ("VACUUM (FULL, ANALYZE) t", "VACUUM", "admin", False, "public.t:w", "", ""),
    ("VACUUM", "VACUUM", "admin", False, "", "", ""),
    ("ANALYZE t (a), u", "ANALYZE", "admin", False, "public.t:w public.u:w", "", ""),
    ("CHECKPOINT", "CHECKPOINT", "admin", False, "", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "verb", "action", "read_only", "tables", "transaction", "setting"), OTHERS)
def test_other_statements(
    text: str, verb: str, action: str, read_only: bool, tables: str, transaction: str, setting: str
) -> None:
    got = one(text)
    assert (verb, action, read_only, tables, transaction, setting, True) == (
        got.verb, got.action, got.read_only, uses(got), got.transaction, got.setting, got.parsed,
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "garbage", "SELECT FROM WHERE", "SELECT 'x", "SELECT \x00", "CREATE BLUBB x", "\\d t", "'x'", "1", "$1", '"select" 1',
        "SELECT 1 UESCAPE 'x'", 'SELECT ""', "U&\"s\\0065lect\" 1", "SELECT x'1", "BEGIN x", "SAVEPOINT a b", "SELECT 123abc",
        "SELECT U&\"\\00zz\" FROM t", "EXPLAIN", "EXPLAIN BEGIN", "DECLARE c CURSOR FOR DROP TABLE x", "PREPARE p AS PREPARE q AS SELECT 1",
        "COPY t", "COPY t FROM x", "SELECT a.b.c.d.e FROM t", "WITH x AS (SELECT 1)", "SELECT " + "(" * 500 + "1" + ")" * 500, "SELECT " + "-" + " -" * 500 + " 1",
        "SELECT " + "NOT " * 500 + "true", "SELECT " + "+" * 60_000 + "1", "SELECT " + "CASE WHEN a THEN " * 500 + "1" + " END" * 500,
    ],
)  # fmt: skip
def test_what_is_not_understood_is_a_write_of_we_know_not_what(text: str) -> None:
    got = one(text)
    assert ("UNPARSED", "write", False, False, ()) == (got.verb, got.action, got.read_only, got.parsed, got.tables)
    assert got.why


def test_a_text_is_several_statements() -> None:
    got = understand("SELECT 1; /* ; */ DROP TABLE x ;; COMMIT -- done")
    assert [("SELECT 1", "SELECT"), ("/* ; */ DROP TABLE x", "DROP TABLE"), ("COMMIT -- done", "COMMIT")] == [
        (s.text, s.verb) for s in got
    ]


@pytest.mark.parametrize("text", ["", "  ", ";", " ; -- x\n ; /* y */ "])
def test_an_empty_text_is_no_statement(text: str) -> None:
    assert () == understand(text)


def test_a_text_beyond_the_limit_is_not_parsed() -> None:
    text = "SELECT '" + "x" * 10_000_000 + "'"
    got = one(text)
    assert ("UNPARSED", False, "?", text) == (got.verb, got.parsed, got.normalized, got.text)
    assert "SELECT" == one("SELECT '" + "x" * (STATEMENT_PARSE_BYTES_MAX - 100) + "'").verb


def test_nesting_up_to_the_limit_is_read() -> None:
    deep = SQL_NESTING_MAX
    assert one("SELECT " + "(" * deep + "1" + ")" * deep).read_only
    assert not one("SELECT " + "(" * (deep + 1) + "1" + ")" * (deep + 1)).parsed
    assert one("SELECT 1" + " WHERE EXISTS (SELECT 1" * deep + ")" * deep).read_only


def test_long_chains_are_read() -> None:
    assert one("SELECT 1 WHERE " + " AND ".join(["a = 1"] * 1000)).read_only
    assert one("SELECT 1 FROM t WHERE a IN (1" + ", 1" * 20_000 + ")").read_only
    assert 5000 == len(one("INSERT INTO t (a) VALUES (1)" + ", (1)" * 4999).keys)
    assert "more than is looked at" == one("SELECT 1 WHERE " + " AND ".join(["a = 1"] * 5000)).why
    assert {"too many statements"} == {s.why for s in understand("SELECT 1;" * 1001)}
    assert one(" UNION ALL ".join(["SELECT a FROM t"] * 500)).read_only


COLUMNS = [
    ("SELECT a, b FROM t WHERE c = 1 ORDER BY d", "public.t.a public.t.b public.t.c public.t.d"),
    ("SELECT x.a, y.b, c FROM t x, s.u y", "?.c public.t.a s.u.b"),
    ("SELECT * FROM t", "public.t.*"),
    ("SELECT x.* FROM t x, u", "public.t.*"),
    ("SELECT * FROM t, u", "public.t.* public.u.*"),
    ("SELECT count(*) FROM t", ""),
    ("SELECT t FROM t", "public.t.*"),
    ("SELECT row_to_json(x) FROM t x", "public.t.*"),
    ("SELECT s.t.a FROM s.t", "s.t.a"),
    ("SELECT (SELECT max(u.b) FROM u WHERE u.i = t.i) FROM t", "public.t.i public.u.b public.u.i"),
    ("SELECT (SELECT b FROM u) FROM t", "?.b"),
    ("SELECT x.a FROM (SELECT a FROM t) x", "?.a public.t.a"),
    ("SELECT a AS x FROM t ORDER BY x", "public.t.a"),
    ("SELECT a FROM t UNION SELECT b FROM u ORDER BY a", "public.t.a public.u.b"),
    ("SELECT a FROM t JOIN u USING (i)", "?.a ?.i"),
    ('SELECT "A b" FROM t', "public.t.A b"),
    ("INSERT INTO t (a, b) VALUES (1, 2)", "public.t.a public.t.b"),
    ("INSERT INTO t VALUES (1)", "public.t.*"),
    ("UPDATE t SET a = b, (c, d) = (1, 2) WHERE e = 1 RETURNING f", " ".join(f"public.t.{c}" for c in "abcdef")),
    ("COPY t (a, b) TO STDOUT", "public.t.a public.t.b"),
    ("COPY t FROM STDIN", "public.t.*"),
]


@pytest.mark.parametrize(("text", "expected"), COLUMNS)
def test_columns(text: str, expected: str) -> None:
    assert expected == " ".join(c.replace(" b", "_b") if "A b" in c else c for c in one(text).columns).replace(
        "_b", " b"
    )


def key(column: str, value: int | str, table: str = "t", schema: str = "public", array: bool = False) -> KeyUse:
    kind = "parameter" if isinstance(value, int) else "literal"
    return KeyUse(schema, table, column, (kind, value), array)


KEYS = [
    ("SELECT 1 FROM t WHERE id = 7", {key("id", "7")}),
    ("SELECT 1 FROM t WHERE 7 = id AND x > 3", {key("id", "7")}),
    ("SELECT 1 FROM t WHERE id = -7", {key("id", "-7")}),
    ("SELECT 1 FROM t WHERE id = '7'", {key("id", "7")}),
    ("SELECT 1 FROM t WHERE id = ('a''b'::text)", {key("id", "a'b")}),
    ("SELECT 1 FROM t WHERE id = E'a\\'\\n\\x41\\u00e9\\303\\251'", {key("id", "a'\nAéé")}),
    ("SELECT 1 FROM t WHERE id = U&'\\00e9\\+01F600'", {key("id", "é😀")}),
    ("SELECT 1 FROM t WHERE id = 'a' -- it's\n 'b'", {key("id", "ab")}),
    ("SELECT 1 FROM t WHERE id = $q$7$q$", {key("id", "7")}),
    ("SELECT 1 FROM t WHERE id = $1 OR id = $2::int", {key("id", 1), key("id", 2)}),
    ("SELECT 1 FROM t WHERE id IN (1, $2, 'x')", {key("id", "1"), key("id", 2), key("id", "x")}),
    ("SELECT 1 FROM t WHERE id = ANY ($1::int[])", {key("id", 1, array=True)}),
    ("SELECT 1 FROM t WHERE id IS NOT DISTINCT FROM 7", {key("id", "7")}),
    ("SELECT 1 FROM t WHERE id <> 7", set()),
    ("SELECT 1 FROM t, u WHERE u.id = 7", {key("id", "7", "u")}),
    ("SELECT 1 FROM t, u WHERE id = 7", {key("id", "7", "?", "?")}),
    ("SELECT 1 FROM s.t x WHERE x.id = CAST($3 AS int)", set()),
    ("INSERT INTO t (a, b) VALUES ($1, 'x'), (2, DEFAULT)", {key("a", 1), key("b", "x"), key("a", "2")}),
    ("INSERT INTO t VALUES (1)", set()),
    ("INSERT INTO t (a, b) VALUES (-1, NULL), (now(), $2)", {key("a", "-1"), key("b", 2)}),
    (
        "INSERT INTO t (a) VALUES (1), (2); DELETE FROM t WHERE a NOT IN (3, -4)",
        {key("a", "1"), key("a", "2"), key("a", "3"), key("a", "-4")},
    ),
    ("SELECT 1 FROM (VALUES (1), (2)) v(a) WHERE v.a = 3", {key("a", "3", "?", "?")}),
    ("SELECT 1 FROM t WHERE id IN (3, lower('x'))", {key("id", "3")}),
    ("SELECT 1 FROM t WHERE (id, x) IN ((1, 2))", set()),
    ("UPDATE t SET a = 'n' WHERE id = $1", {key("a", "n"), key("id", 1)}),
    ("DELETE FROM t WHERE id = 'k'", {key("id", "k")}),
    ("MERGE INTO t USING s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (9)", {key("id", "9")}),
]


@pytest.mark.parametrize(("text", "expected"), KEYS)
def test_keys(text: str, expected: set[KeyUse]) -> None:
    assert expected == {k for statement in understand(text) for k in statement.keys}


def test_functions_are_as_written() -> None:
    got = one('SELECT PG_CATALOG.Lower(a), "Evil"(b), count(*) FROM unnest($1) u')
    assert ("Evil", "count", "pg_catalog.lower", "unnest") == got.functions


@pytest.mark.parametrize(
    ("search_path", "expected"),
    [
        (("public",), "pg_catalog.pg_class:r public.t:r"),
        (("a", "b"), "a.t:r pg_catalog.pg_class:r"),
        (("pg_catalog", "a"), "a.t:r pg_catalog.pg_class:r"),
        (("a", "pg_catalog"), "a.pg_class:r a.t:r"),
        ((), "pg_catalog.pg_class:r pg_catalog.t:r"),
    ],
)
def test_names_without_a_schema(search_path: tuple[str, ...], expected: str) -> None:
    assert expected == uses(one("SELECT 1 FROM t, pg_class", search_path))


def test_a_path_that_searches_the_catalogue_later_proves_no_function() -> None:
    text = "SELECT lower('x')"
    assert [True, False, True] == [
        one(t, p).read_only
        for t, p in ((text, ("a",)), (text, ("a", "pg_catalog")), ("SELECT pg_catalog.lower('x')", ("a", "pg_catalog")))
    ]


def test_names_are_cut_as_the_server_cuts_them() -> None:
    assert f"public.{'x' * 63}:r" == uses(one(f"SELECT 1 FROM {'X' * 80}"))


PSQL_AND_TOOLS = [
    "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relname OPERATOR(pg_catalog.~) '^(t)$' COLLATE pg_catalog.default AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 2, 3;",
    "SELECT c.relkind, c.reltablespace, CASE WHEN c.reloftype = 0 THEN '' ELSE c.reloftype::pg_catalog.regtype::pg_catalog.text END, pg_catalog.array_to_string(c.reloptions || array(select 'toast.' || x from pg_catalog.unnest(tc.reloptions) x), ', ') FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_class tc ON (c.reltoastrelid = tc.oid) WHERE c.oid = '16388';",
    "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef), (SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t WHERE c.oid = a.attcollation AND t.oid = a.atttypid AND a.attcollation <> t.typcollation) AS attcollation FROM pg_catalog.pg_attribute a WHERE a.attrelid = '16388' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum;",
    "SELECT c2.relname, i.indisprimary, pg_catalog.pg_get_indexdef(i.indexrelid, 0, true), pg_catalog.pg_get_constraintdef(con.oid, true) FROM pg_catalog.pg_class c, pg_catalog.pg_class c2, pg_catalog.pg_index i LEFT JOIN pg_catalog.pg_constraint con ON (conrelid = i.indrelid AND conindid = i.indexrelid AND contype IN ('p','u','x')) WHERE c.oid = '16388' AND c.oid = i.indrelid AND i.indexrelid = c2.oid ORDER BY i.indisprimary DESC, c2.relname;",
    "SELECT pol.polname, CASE WHEN pol.polroles = '{0}' THEN NULL ELSE pg_catalog.array_to_string(array(select rolname from pg_catalog.pg_roles where oid = any (pol.polroles) order by 1),',') END, pg_catalog.pg_get_expr(pol.polqual, pol.polrelid) FROM pg_catalog.pg_policy pol WHERE pol.polrelid = '16388' ORDER BY 1;",
    "SELECT n.nspname AS \"Name\", pg_catalog.array_to_string(n.nspacl, E'\\n') FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1;",
    "SELECT c.oid::pg_catalog.regclass FROM pg_catalog.pg_class c, pg_catalog.pg_inherits i WHERE c.oid = i.inhrelid AND i.inhparent = '1' ORDER BY pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT', c.oid::pg_catalog.regclass::pg_catalog.text;",
    "select o.n, p.partstrat, pg_catalog.count(i.inhparent) from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n on (n.oid = c.relnamespace) cross join lateral (select pg_catalog.array_position(pg_catalog.current_schemas(true), n.nspname)) as o(n) left join pg_catalog.pg_partitioned_table as p on (p.partrelid = c.oid) left join pg_catalog.pg_inherits as i on (c.oid = i.inhparent) where c.relname = 'pgbench_accounts' and o.n is not null group by 1, 2 order by 1 asc limit 1",
    "select count(*) from pgbench_branches",
    asyncpg.introspection.INTRO_LOOKUP_TYPES,
    asyncpg.introspection.INTRO_LOOKUP_TYPES_13,
    asyncpg.introspection.TYPE_BY_NAME,
]  # fmt: skip


@pytest.mark.parametrize("text", PSQL_AND_TOOLS)
def test_introspection_is_a_read(text: str) -> None:
    assert ("read", True, "") == (one(text).action, one(text).read_only, one(text).why)


@pytest.mark.parametrize("info", [TypeInfo, CompositeInfo, EnumInfo, RangeInfo, MultirangeInfo])
def test_psycopg_introspection_is_a_read(info: type[TypeInfo]) -> None:
    class Connection:
        class info:
            server_version = 160000
            vendor = "PostgreSQL"

    query = info._get_info_query(Connection())  # type: ignore[arg-type]
    text = (query if isinstance(query, str) else query.as_string(None)).replace("%(name)s", "$1")
    assert (True, "") == (one(text).read_only, one(text).why)


def test_pgbench_transaction() -> None:
    got = understand(
        "BEGIN;\nUPDATE pgbench_accounts SET abalance = abalance + -17 WHERE aid = 5;\n"
        "SELECT abalance FROM pgbench_accounts WHERE aid = 5;\n"
        "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 2, 5, -17, CURRENT_TIMESTAMP);\nEND;"
    )
    assert ["BEGIN", "UPDATE", "SELECT", "INSERT", "COMMIT"] == [s.verb for s in got]
    assert [True, False, True, False, False] == [s.read_only for s in got]
    assert {("tid", "1"), ("bid", "2"), ("aid", "5"), ("delta", "-17")} == {(k.column, k.value[1]) for k in got[3].keys}


def test_the_cache_forgets_the_shape_unused_longest() -> None:
    understanding = Understanding(2)
    for text in ("SELECT 1", "SELECT a", "SELECT 2", "SELECT b", "SELECT 3"):
        assert understand(text) == understanding.understand(text)
    assert 2 == len(understanding)


def test_the_cache_keeps_search_paths_apart() -> None:
    understanding = Understanding()
    assert ["public.t:r", "s.t:r"] == [
        uses(understanding.understand("SELECT 1 FROM t", path)[0]) for path in (("public",), ("s",))
    ]


def test_a_cached_shape_gets_the_literals_of_each_statement() -> None:
    understanding = Understanding()
    texts = [f"SELECT 1 FROM t WHERE id = {n}; SELECT 2 FROM u WHERE k = '{'x' * n}';" for n in (1, 22, 333)]
    assert [understand(t) for t in texts] == [understanding.understand(t) for t in texts]
    assert 1 == len(understanding)
