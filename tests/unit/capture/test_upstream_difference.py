"""What differs between two looks at an upstream, and what of ours explains it: worked out by hand."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from affidavit import canonical
from affidavit.capture.watch.difference import Told, bounded, difference, explained
from affidavit.capture.watch.enforced import Enforced, enforced, listed_sections
from affidavit.limits import BODY_BYTES_MAX, DRIFT_LINES_BYTES_MAX, OBJECT_BYTES_MAX

SECTIONS = (
    "column_grants", "extensions", "grants", "members", "memberships", "policies", "privileges", "role_settings",
    "roles", "row_security", "settings",
)  # fmt: skip


def seen(**given: dict[str, str]) -> Enforced:
    """What an upstream answers that has these entries."""
    found: dict[str, Any] = {"role": {"name": "app", "superuser": False}}
    for name in SECTIONS:
        entries = sorted(given.get(name, {}).items())
        digest = hashlib.sha256(canonical.encode([list(one) for one in entries])).hexdigest()
        found[name] = {"count": len(entries), "digest": digest, "first": [list(one) for one in entries[:5_000]]}
    return enforced(found)


def lines(before: Enforced, after: Enforced, remembered: bool = True) -> list[tuple[str, str, str]]:
    sections = before.sections if remembered else listed_sections(before.observed)
    found = difference(before.observed, sections, after.observed, after.sections)
    return [(line["field"], line["before"], line["after"]) for line in found]


def test_each_section_gives_its_lines() -> None:
    before = seen(roles={"ana": "login", "old": ""}, row_security={"public.a": ""}, settings={"ssl": "on"})
    after = seen(roles={"ana": "superuser login"}, row_security={"public.a": "forced"}, settings={"ssl": "off"})
    wanted = [
        ("roles ana", "login", "superuser login"),
        ("roles old", "present", ""),
        ("row_security public.a", "present", "forced"),
        ("settings ssl", "on", "off"),
    ]
    assert wanted == lines(before, after)
    assert wanted == lines(before, after, remembered=False)
    assert [] == lines(after, after, remembered=False)


def test_what_is_not_listed_is_still_seen() -> None:
    many = {f"public.table_{n:05}": "SELECT INSERT UPDATE DELETE" for n in range(3_000)}
    before, after = seen(privileges=many), seen(privileges={**many, "public.table_02999": "SELECT"})
    assert before.observed["complete"] is False
    assert before.observed["privileges"] == after.observed["privileges"], "the change lies behind the cut"
    assert before.observed != after.observed
    assert [("privileges public.table_02999", "SELECT INSERT UPDATE DELETE", "SELECT")] == lines(before, after)
    (forgotten,) = lines(before, after, remembered=False)
    assert ("privileges", "3,000 entries") == forgotten[:2]
    assert "the digest of the section differs" in forgotten[2]


def test_an_entry_that_comes_in_at_a_cut_is_no_change_of_another() -> None:
    many = {f"public.table_{n:05}": "SELECT" for n in range(3_000)}
    before, after = seen(privileges=many), seen(privileges={**many, "public.a": "SELECT"})
    assert [("privileges public.a", "", "SELECT")] == lines(before, after, remembered=False)


def test_the_object_fits_whatever_the_upstream_holds() -> None:
    wide = {f"public.{'x' * 200}{n:05}": '\x01"' * 400 for n in range(2_000)}
    whole = seen(**dict.fromkeys(SECTIONS, wide))
    assert len(canonical.encode(whole.observed)) <= OBJECT_BYTES_MAX
    found = difference(seen().observed, seen().sections, whole.observed, whole.sections)
    kept = bounded(found)
    assert len(canonical.encode(kept)) <= DRIFT_LINES_BYTES_MAX + 200
    assert len(canonical.encode([kept, whole.observed])) < BODY_BYTES_MAX
    assert kept[-1]["after"] == f"{len(found) - len(kept) + 1:,} further differences"


def test_an_older_observation_gives_no_lines_for_what_it_did_not_read() -> None:
    old = {"role": {"name": "app", "superuser": False}, "privileges": [{"table": "public.a", "held": "SELECT"}]}
    after = seen(privileges={"public.a": "SELECT"}, roles={"ana": "login"})
    assert [] == difference(old, listed_sections(old), after.observed, after.sections)


@pytest.mark.parametrize(
    ("field", "text", "named"),
    [
        ("grants public.patients to nurse", "GRANT SELECT ON patients TO nurse", True),
        ("grants public.patients to nurse", "GRANT SELECT ON visits TO nurse", False),
        ("grants public.patients to nurse", "GRANT SELECT ON patients TO clerk", False),
        ("grants public.patients to nurse", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO nurse", True),
        ("grants public.patients to nurse", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk", False),
        ("grants public.patients to public", "GRANT SELECT ON public.patients TO nurse", False),
        ("grants public.patients to public", "GRANT SELECT ON patients TO PUBLIC", True),
        ("grants public.mine to app", "CREATE TABLE mine (a int)", True),
        ("grants public.mine to app", "CREATE TABLE mine2 (a int)", False),
        ("column_grants public.patients.name to nurse", "GRANT SELECT (name) ON patients TO nurse", True),
        ("column_grants public.patients.name to nurse", "GRANT SELECT (born) ON patients TO nurse", False),
        ("members ana in app", "GRANT app TO ana", True),
        ("members ana in app", "GRANT other TO ana", False),
        ("roles nurse", 'ALTER ROLE "nurse" CREATEDB', True),
        ("roles nurse", "ALTER ROLE nurses CREATEDB", False),
        ("policies public.staff own", "CREATE POLICY own ON staff USING (true)", True),
        ("policies public.staff own", "CREATE POLICY own ON visits USING (true)", False),
        ("row_security public.staff", "ALTER TABLE staff ENABLE ROW LEVEL SECURITY", True),
        ("settings log_statement", "ALTER SYSTEM SET log_statement = 'none'", True),
        ("role_settings nurse in all work_mem", "ALTER ROLE nurse SET work_mem = '8MB'", True),
        ("role_settings nurse in all work_mem", "ALTER ROLE clerk SET work_mem = '8MB'", False),
        ("privileges", "GRANT SELECT ON privileges TO nurse", False),
    ],
)
def test_a_record_explains_only_what_it_names(field: str, text: str, named: bool) -> None:
    (line,) = explained([{"field": field, "before": "", "after": "x"}], [Told(7, text)], "app")
    assert named == ("record" in line)


def test_the_newest_record_that_names_it_is_given() -> None:
    told = [
        Told(9, "GRANT SELECT ON visits TO nurse"),
        Told(7, "GRANT a TO b"),
        Told(5, "GRANT SELECT ON visits TO nurse"),
    ]
    (line,) = explained([{"field": "grants public.visits to nurse", "before": "", "after": "SELECT"}], told, "app")
    assert 9 == line["record"]
