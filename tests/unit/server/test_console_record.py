"""The page of one record: what the API says of it, all of it as text, and a proof that would not hold if it were false."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from consolecase import Desk
from office import PEOPLE, Office, office

from affidavit.errors import VerificationError
from affidavit.evidence.inclusion import inclusion
from affidavit.tlog.hashing import leaf_hash
from affidavit.tlog.proofs import verify_inclusion

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>'\"&"
ALLOW = f'// {SCRIPT}\npermit (principal, action == Action::"read", resource == Table::"clinic/public.visits");'
WAIT_S = 30.0


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(tmp_path_factory.mktemp("office")) as one:
        one.apply({**PEOPLE, "policy/visits": {"text": ALLOW}})
        yield one


@pytest.fixture
def desk(whole: Office) -> Desk:
    return Desk(whole)


def published(desk: Desk, index: int) -> None:
    """Wait until the published log holds the record at `index`."""
    deadline = time.monotonic() + WAIT_S
    while desk.office.admin.get("/v1/status")["published"]["size"] <= index:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_says_what_explain_says(desk: Desk) -> None:
    browser = desk.logged_in()
    for table, word in (("public.visits", "allowed"), ("public.patients", "denied")):
        index = desk.office.access("ana", table)
        answer = desk.office.admin.get(f"/v1/records/{index}/explain")
        got = browser.get(f"/record/{index}")
        page = html.unescape(got.text)
        assert (200, True) == (got.status_code, f"Why it was {word}" in page)
        assert desk.office.admin.get(f"/v1/records/{index}")["sentence"] in page
        assert [] == [rule["text"] for rule in answer["rules"] if rule["text"] not in page]
        assert [] == [text for text in answer["when"]["sentences"] if text not in page]
        assert [] == [text for text in answer["behind"]["unknown"] if text not in page]
        assert [] == [item["name"] for item in answer["settings"] if item["name"] not in page]
        assert answer["last_change"]["sentence"] in page
        assert "the same</span>" in page
        assert desk.office.admin.get(f"/v1/records/{index}") == browser.get(f"/record/{index}.json").json()
    assert "No rule allows it." in page


def test_every_record_of_the_log_has_a_page(desk: Desk) -> None:
    gone = desk.office.access("ana", "public.visits", verb=SCRIPT)
    desk.office.apply({"identity/mallory": {"kind": "human", "name": SCRIPT}}, SCRIPT)
    by = desk.office.admin.post(f"/v1/records/{gone}/erasure", {"reason": SCRIPT})["index"]
    browser, size = desk.logged_in(), desk.office.services.records.size
    strange = []
    for index in range(size):
        got = browser.get(f"/record/{index}")
        assert 200 == got.status_code, index
        strange += re.findall(r"<script(?! src=\"/static/console\.js\" defer>)|<img", got.text)
    assert [] == strange
    assert f'was erased by <a href="/record/{by}">' in browser.get(f"/record/{gone}").text
    assert [404, 404, 400, 401] == [
        browser.get(f"/record/{size}").status_code,
        browser.get(f"/record/{10**15}").status_code,
        browser.get("/record/x").status_code,
        desk.browser().get("/record/0").status_code,
    ]


def test_the_proof_leads_from_the_record_to_the_published_root(desk: Desk) -> None:
    index = desk.office.access("ana", "public.visits")
    published(desk, index)
    services = desk.office.services
    page = desk.logged_in().get(f"/record/{index}").text
    leaf, *path, root = (bytes.fromhex(one) for one in re.findall(r"<span>([0-9a-f]{64})</span>", page))
    size = int("".join(re.findall(r"root of ([\d,]+)", page)).replace(",", ""))
    assert leaf_hash(services.records.record(index).raw) == leaf
    verify_inclusion(index, size, leaf, path, root)
    assert services.keys().open(services.public_log.get("checkpoint", 65_536) or b"")[0].root == root
    record = services.records.record(index)
    altered = replace(record, raw=record.raw.replace(b"visits", b"wisits").replace(b"allow", b"deny_"))
    with pytest.raises(VerificationError, match="does not lead to the root"):
        inclusion(services.public_log, services.keys(), altered)


def test_what_is_not_published_yet_is_said_to_be(desk: Desk) -> None:
    services = desk.office.services
    record = services.records.record(0)
    found = inclusion(services.public_log, services.keys(), replace(record, index=10**9))
    assert found.path is None


def test_neighbours_stand_in_the_order_of_the_log(desk: Desk) -> None:
    index = desk.office.access("ana", "public.visits")
    for _ in range(2):
        desk.office.access("ana", "public.patients")
    page = desk.logged_in().get(f"/record/{index}").text
    around = [int(one.replace(",", "")) for one in re.findall(r"#([\d,]+)</small></span>", page)]
    assert list(range(index - 3, index + 4)) == around
    assert 1 == page.count('aria-current="true"')
