"""The timeline of the console: the query is the page, wrong ones are shown at their place, and everything is text."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Iterator

import pytest
from consolecase import Desk
from office import PEOPLE, Office, office

from affidavit.cli.main import run
from affidavit.limits import CONSOLE_ROWS
from affidavit.server.console.timeline import command_line

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>'\"&"
ALLOW = 'permit (principal, action == Action::"read", resource == Table::"clinic/public.visits");'


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(tmp_path_factory.mktemp("office")) as one:
        one.apply({**PEOPLE, "policy/visits": {"text": ALLOW}})
        yield one


@pytest.fixture
def desk(whole: Office) -> Desk:
    return Desk(whole)


def rows_of(page: str) -> list[int]:
    return [int(index) for index in re.findall(r'<a class="go" href="/record/(\d+)"', page)]


def test_it_says_what_the_api_says(desk: Desk) -> None:
    denied, allowed = desk.office.access("ana", "public.patients"), desk.office.access("ana", "public.visits")
    browser = desk.logged_in()
    for query in (
        "-kind:log.read",
        "kind:access",
        "decision:deny kind:access",
        "patients OR visits",
        "-kind:context,log.read index:2..",
    ):
        expected = desk.office.admin.get("/v1/records", query=query, limit=CONSOLE_ROWS)
        got = browser.get("/timeline", params={"query": query})
        assert (200, [view["index"] for view in expected["records"]]) == (got.status_code, rows_of(got.text))
        assert expected == browser.get("/timeline.json", params={"query": query}).json()
    page = browser.get("/timeline", params={"query": "kind:access"}).text
    assert [allowed, denied] == rows_of(page)[:2]
    assert [True, True] == [f'<span class="tag {tone}">' in page for tone in ("allow", "deny")]
    assert {401} == {desk.browser().get(path).status_code for path in ("/timeline", "/timeline.json")}


def test_pages_follow_each_other_by_key(desk: Desk) -> None:
    for _ in range(CONSOLE_ROWS // 2):
        desk.office.access("ana", "public.visits")
    browser, found, path = desk.logged_in(), [], "/timeline?query=system%3Aclinic"
    while path:
        page = browser.get(path).text
        found += rows_of(page)
        assert len(rows_of(page)) <= CONSOLE_ROWS
        path = "".join(html.unescape(link) for link in re.findall(r'<a href="([^"]+)" rel="next">', page))
    expected = desk.office.admin.get("/v1/records", query="system:clinic", limit=10_000)["records"]
    assert [view["index"] for view in expected] == found
    assert len(found) > CONSOLE_ROWS


@pytest.mark.parametrize(("query", "column"), [("acter:ana", 1), ("kind:access (patients", 13), ('  "open', 3)])
def test_what_cannot_be_read_is_shown_at_its_column(desk: Desk, query: str, column: int) -> None:
    got = desk.logged_in().get("/timeline", params={"query": query})
    assert 400 == got.status_code
    shown = re.search(r"<pre>([^\n]*)\n\n?( *)<span class=\"mark\"", got.text)
    assert shown is not None, got.text
    assert (query, column) == (html.unescape(shown[1]), len(shown[2]) + 1)
    assert f"At column {column}:" in got.text


def test_an_empty_answer_teaches(desk: Desk) -> None:
    browser = desk.logged_in()
    page = browser.get("/timeline", params={"query": "nothing-has-this-word"}).text
    assert "No record matches" in page
    examples = re.findall(r'<dt><a href="(/timeline\?query=[^"]+)"', page)
    assert len(examples) >= 3
    assert {200} == {browser.get(html.unescape(path)).status_code for path in examples}


def test_every_example_of_the_help_can_be_asked(desk: Desk) -> None:
    browser = desk.logged_in()
    page = browser.get("/timeline").text
    examples = [html.unescape(one) for one in re.findall(r"<tr><td><code>\S+</code></td><td><code>(.*?)</code>", page)]
    assert len(examples) > 20
    wrong = {one: browser.get("/timeline", params={"query": one}).status_code for one in examples}
    # People and systems of the examples need not exist in this log.
    assert {} == {one: status for one, status in wrong.items() if status != 200 and not one.startswith("actor:")}


def test_what_people_typed_is_text(desk: Desk) -> None:
    whole = desk.office
    whole.apply({"identity/mallory": {"kind": "human", "name": SCRIPT}}, SCRIPT)
    strange = whole.access("ana", "public.visits", verb=SCRIPT)
    browser = desk.logged_in()
    for query in ("", SCRIPT, f'"{SCRIPT}'):
        page = browser.get("/timeline", params={"query": query}).text
        assert [] == re.findall(r"<script(?! src=\"/static/console\.js\" defer>)|<img|onerror=(?!alert\(1\)&gt;)", page)
    assert strange in rows_of(browser.get("/timeline").text)
    assert "&lt;script&gt;" in browser.get("/timeline").text


def test_what_is_missing_is_visible(desk: Desk) -> None:
    gone = desk.office.access("ana", "public.visits")
    by = desk.office.admin.post(f"/v1/records/{gone}/erasure", {"reason": "it had to go"})["index"]
    page = desk.logged_in().get("/timeline", params={"query": f"index:{gone}"}).text
    assert f'What it said was erased by <a href="/record/{by}">' in page


@pytest.mark.parametrize("query", ["", "kind:access", "-kind:context", '"WHERE ward" OR it\'s', "$(reboot) `id`"])
def test_the_command_line_asks_the_same(desk: Desk, query: str, capfd: pytest.CaptureFixture[str]) -> None:
    page = desk.logged_in().get("/timeline", params={"query": query}).text
    shown = re.search(r'<code id="command">(.*?)</code>', page, re.DOTALL)
    assert shown is not None
    line = html.unescape(shown[1])
    assert command_line(query) == line
    name, *arguments = shlex.split(line)
    assert "affidavit" == name
    command, *asked = arguments
    assert query == " ".join(one for one in asked if one != "--")
    assert 0 == run([command, "--json", f"--data={desk.office.root}", *asked]), capfd.readouterr().err


def test_each_page_that_shows_records_is_a_record_of_who_looked(desk: Desk) -> None:
    looked_at = desk.office.access("ana", "public.visits")
    desk = Desk(desk.office.recording())
    browser = desk.logged_in()
    size = desk.office.ledger.size
    for path, said in (
        (f"/timeline?query=index%3A{looked_at}", f"searched the log for “index:{looked_at}” and was shown 1 record"),
        (
            f"/timeline.json?query=index%3A{looked_at}",
            f"searched the log for “index:{looked_at}” and was shown 1 record",
        ),
        (f"/record/{looked_at}", f"looked at record {looked_at}"),
        (f"/record/{looked_at}.json", f"looked at record {looked_at}"),
    ):
        assert 200 == browser.get(path).status_code
        record = desk.office.admin.get(f"/v1/records/{size}")
        assert ("log.read", "console") == (record["header"]["kind"], record["body"]["via"]["method"])
        assert said in record["sentence"]
        size += 1
    for path in ("/", "/timeline?query=acter%3Aana", "/record/4711", "/record/4711.json"):
        browser.get(path)
    assert size == desk.office.ledger.size
