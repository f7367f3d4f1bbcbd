"""Who gets into the console, and what a page of somebody else can make a browser do there: nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from consolecase import COOKIE, HERE, PORT, Desk, form_token, post
from office import PEOPLE, Office, office

from affidavit.errors import Denied, InvalidInput
from affidavit.limits import (
    CONSOLE_FORM_BYTES_MAX,
    CONSOLE_IDLE_S,
    CONSOLE_LINK_S,
    CONSOLE_SESSION_S,
    CONSOLE_SESSIONS_EACH_MAX,
)
from affidavit.record.moment import NS

READERS = 'permit (principal in Group::"analysts", action == Action::"read", resource == Log::"log");'


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(tmp_path_factory.mktemp("office")) as one:
        one.apply(PEOPLE)
        yield one


@pytest.fixture
def desk(whole: Office) -> Desk:
    return Desk(whole)


async def _parts() -> AsyncIterator[bytes]:
    yield b"link=a"


def cookie_of(answer: httpx.Response) -> str:
    return answer.headers["set-cookie"].partition(";")[0].partition("=")[2]


def test_a_link_lets_in_once(desk: Desk) -> None:
    secret, browser = desk.root_link(), desk.browser()
    assert 401 == browser.get("/").status_code
    page = browser.get(f"/login?link={secret}")
    assert (200, True) == (page.status_code, secret in page.text)
    answer = post(browser, "/login", {"link": secret})
    assert (303, "/") == (answer.status_code, answer.headers["location"])
    assert (200, True) == ((home := browser.get("/")).status_code, "office.example/audit" in home.text)
    again = post(desk.browser(), "/login", {"link": secret})
    assert (403, False, True) == (again.status_code, "set-cookie" in again.headers, "works once" in again.text)


def test_looking_at_a_link_does_not_use_it_up(desk: Desk) -> None:
    secret = desk.root_link()
    for _ in range(3):
        assert 200 == desk.browser().get(f"/login?link={secret}").status_code
    assert 303 == post(desk.browser(), "/login", {"link": secret}).status_code


def test_a_link_ends_after_minutes(desk: Desk) -> None:
    secret = desk.root_link()
    desk.clock.ahead_ns = (CONSOLE_LINK_S - 60) * NS
    late = desk.root_link()
    desk.clock.ahead_ns += (CONSOLE_LINK_S - 1) * NS
    assert 403 == post(desk.browser(), "/login", {"link": secret}).status_code
    assert 303 == post(desk.browser(), "/login", {"link": late}).status_code
    old = desk.root_link()
    desk.clock.ahead_ns += CONSOLE_LINK_S * NS
    assert 403 == post(desk.browser(), "/login", {"link": old}).status_code


def test_a_new_link_voids_the_one_before(desk: Desk) -> None:
    first, second = desk.root_link(), desk.root_link()
    assert 403 == post(desk.browser(), "/login", {"link": first}).status_code
    assert 303 == post(desk.browser(), "/login", {"link": second}).status_code


@pytest.mark.parametrize("wrong", ["", "0" * 64, "é" * 64, "a" * 1_000])
def test_a_wrong_link_lets_nobody_in(desk: Desk, wrong: str) -> None:
    secret = desk.root_link()
    assert post(desk.browser(), "/login", {"link": wrong}).status_code in (400, 403)
    assert 403 == post(desk.browser(), "/login", {"link": secret + "0"}).status_code
    assert 303 == post(desk.browser(), "/login", {"link": secret}).status_code


def test_a_session_begins_under_an_id_of_its_own(desk: Desk) -> None:
    """Fixation: neither an id that somebody else chose nor one that they know is ever a session afterwards."""
    planted = desk.browser(cookie=f"{COOKIE}={'f' * 64}")
    answer = post(planted, "/login", {"link": desk.root_link()})
    assert 303 == answer.status_code
    assert "f" * 64 != cookie_of(answer)
    assert 401 == desk.browser(cookie=f"{COOKIE}={'f' * 64}").get("/").status_code
    before = cookie_of(answer)
    again = post(desk.browser(cookie=f"{COOKIE}={before}"), "/login", {"link": desk.root_link()})
    assert before != cookie_of(again)
    assert 401 == desk.browser(cookie=f"{COOKIE}={before}").get("/").status_code
    assert 200 == desk.browser(cookie=f"{COOKIE}={cookie_of(again)}").get("/").status_code


def test_the_cookie_is_for_this_host_and_no_script(desk: Desk) -> None:
    answer = post(desk.browser(), "/login", {"link": desk.root_link()})
    _, _, attributes = answer.headers["set-cookie"].partition("; ")
    found = {item.partition("=")[0].lower(): item.partition("=")[2] for item in attributes.split("; ")}
    assert {"httponly": "", "max-age": str(CONSOLE_SESSION_S), "path": "/", "samesite": "strict"} == found


def test_a_session_ends_by_itself(desk: Desk) -> None:
    browser = desk.logged_in()
    for _ in range(3):
        desk.clock.ahead_ns += (CONSOLE_IDLE_S - 60) * NS
        assert 200 == browser.get("/").status_code
    desk.clock.ahead_ns += CONSOLE_IDLE_S * NS
    assert 401 == browser.get("/").status_code
    busy = desk.logged_in()
    for _ in range(CONSOLE_SESSION_S // 1_440 - 1):
        desk.clock.ahead_ns += 1_440 * NS
        assert 200 == busy.get("/").status_code
    desk.clock.ahead_ns += 1_440 * NS
    assert 401 == busy.get("/").status_code


def test_the_oldest_of_too_many_sessions_ends(desk: Desk) -> None:
    browsers = [desk.logged_in() for _ in range(CONSOLE_SESSIONS_EACH_MAX + 1)]
    assert [401] + [200] * CONSOLE_SESSIONS_EACH_MAX == [one.get("/").status_code for one in browsers]


def test_logging_out_takes_the_form_of_the_session(desk: Desk) -> None:
    browser, other = desk.logged_in(), desk.logged_in()
    token, foreign = form_token(browser.get("/").text), form_token(other.get("/").text)
    for wrong in ({}, {"form_token": foreign}, {"form_token": ""}, {"form_token": "0" * 64}):
        assert post(browser, "/logout", wrong).status_code in (400, 403, 415)
        assert 200 == browser.get("/").status_code
    answer = post(browser, "/logout", {"form_token": token})
    assert (303, "/login") == (answer.status_code, answer.headers["location"])
    assert (401, 200) == (browser.get("/").status_code, other.get("/").status_code)
    assert 405 == other.get("/logout").status_code


def test_the_id_of_a_session_that_was_left_is_worth_nothing(desk: Desk) -> None:
    answer = post(desk.browser(), "/login", {"link": desk.root_link()})
    browser = desk.browser(cookie=f"{COOKIE}={cookie_of(answer)}")
    assert 303 == post(browser, "/logout", {"form_token": form_token(browser.get("/").text)}).status_code
    assert 401 == browser.get("/").status_code


@pytest.mark.parametrize(
    "origin", [None, "null", "", "http://evil.example", f"https://127.0.0.1:{PORT}", "http://127.0.0.1", f"{HERE}.x"]
)
def test_a_form_of_another_page_does_nothing(desk: Desk, origin: str | None) -> None:
    secret, browser = desk.root_link(), desk.logged_in()
    token = form_token(browser.get("/").text)
    assert 403 == post(browser, "/logout", {"form_token": token}, origin).status_code
    assert 200 == browser.get("/").status_code
    secret = desk.root_link()
    assert 403 == post(desk.browser(), "/login", {"link": secret}, origin).status_code
    assert 303 == post(desk.browser(), "/login", {"link": secret}).status_code


@pytest.mark.parametrize("host", ["", "evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", "localhost"])
def test_a_foreign_name_for_this_machine_is_not_answered(desk: Desk, host: str) -> None:
    browser = desk.logged_in()
    answer = browser.get("/", headers={"host": host})
    assert (421, False) == (answer.status_code, "office.example" in answer.text)
    assert 421 == browser.get("/static/console.css", headers={"host": host}).status_code


@pytest.mark.parametrize("host", [f"localhost:{PORT}", f"LOCALHOST:{PORT}", f"[::1]:{PORT}"])
def test_the_names_of_this_machine_are(desk: Desk, host: str) -> None:
    assert 401 == desk.browser().get("/", headers={"host": host}).status_code


def test_every_answer_forbids_what_no_page_needs(desk: Desk) -> None:
    browser = desk.logged_in()
    answers = [
        browser.get("/"),
        browser.get("/nothing"),
        browser.get("/static/console.js"),
        browser.get("/static/../app.py"),
        browser.get("/", headers={"host": "evil.example"}),
        desk.browser().get("/"),
        post(browser, "/logout", {}, "http://evil.example"),
        post(desk.browser(), "/login", {"link": desk.root_link()}),
    ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "no-store" == answer.headers["cache-control"]
        assert "nosniff" == answer.headers["x-content-type-options"]
        assert "same-origin" == answer.headers["referrer-policy"]
        assert not {"server", "access-control-allow-origin"} & set(answer.headers)
    assert [200, 404, 200, 404, 421, 401, 403, 303] == [answer.status_code for answer in answers]


def test_a_form_is_small_and_a_form(desk: Desk) -> None:
    browser = desk.browser(origin=HERE)
    large = browser.post("/login", data={"link": "a" * CONSOLE_FORM_BYTES_MAX})
    endless = browser.post("/login", content=_parts(), headers={"content-type": "application/x-www-form-urlencoded"})
    json = browser.post("/login", json={"link": desk.root_link()})
    text = browser.post("/login", content=b"link=a", headers={"content-type": "text/plain"})
    broken = browser.post("/login", content=b"\xff", headers={"content-type": "application/x-www-form-urlencoded"})
    many = browser.post("/login", data={f"a{n}": "b" for n in range(9)})
    answers = (large, endless, json, text, broken, many)
    assert [413, 411, 415, 415, 400, 400] == [answer.status_code for answer in answers]
    assert {405} == {browser.request(method, "/").status_code for method in ("PUT", "DELETE", "OPTIONS", "TRACE")}


def test_a_session_may_what_its_identity_may(desk: Desk) -> None:
    """Rights are asked at each request: what is taken away is gone with the next page, and so is a credential."""
    whole = desk.office
    whole.apply({"policy/analysts-read": {"text": READERS}, "identity/eva": {"kind": "human", "name": "Eva"}})
    token = whole.admin.post("/v1/tokens", {"who": "ana"})
    thumbprint = f"token-{token['thumbprint']}"
    browser = desk.browser()
    assert 303 == post(browser, "/login", {"link": desk.link("ana", thumbprint)}).status_code
    assert 200 == browser.get("/").status_code
    whole.apply({"policy/analysts-read": None})
    denied = browser.get("/")
    assert (403, True) == (denied.status_code, "Policy does not let you read this log." in denied.text)
    whole.apply({"policy/analysts-read": {"text": READERS}})
    assert 200 == browser.get("/").status_code
    whole.admin.delete(f"/v1/tokens/{token['thumbprint']}", {})
    assert 401 == browser.get("/").status_code
    whole.apply({"policy/analysts-read": None})


def test_who_has_no_console_has_no_link(desk: Desk) -> None:
    with pytest.raises(InvalidInput, match="serves no console"):
        desk.office.admin.post("/v1/login", {})
    with pytest.raises(Denied, match="Policy does not let you read"):
        desk.office.client(desk.office.token("ana")).post("/v1/login", {})


def test_templates_are_loaded_only_where_pages_are_served() -> None:
    code = "import sys, affidavit.compose.run, affidavit.compose.serving, affidavit.cli.login; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "False\n" == done.stdout
