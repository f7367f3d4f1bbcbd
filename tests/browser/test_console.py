"""The console as people use it: in Chromium, at two widths, light and dark, with nothing but this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from accessible import faults
from browserlog import CHROMIUM, Told
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
_SIZES = {"desk": (1280, 900), "phone": (390, 844)}
_LOOKS = [(size, scheme) for size in _SIZES for scheme in ("light", "dark")]
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def inside(chromium: Browser, told: Told) -> Iterator[BrowserContext]:
    """A browser that was let in by the link that `affidavit up` printed."""
    context = chromium.new_context(timezone_id="Pacific/Auckland")
    page = context.new_page()
    page.goto(told.link)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{told.url}/")
    yield context
    context.close()


@pytest.fixture
def page(inside: BrowserContext, told: Told) -> Iterator[Page]:
    """A page whose requests are watched: none may leave for elsewhere, and no script may complain."""
    page = inside.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    page.close()
    assert [] == [url for url in asked if not url.startswith(f"{told.url}/")]
    assert [] == complaints


def pictured(page: Page, told: Told, path: str, name: str) -> None:
    """Look at a page in every way that people do: it is for everybody in each."""
    wrong = {}
    page.goto(f"{told.url}{path}")
    for size, scheme in _LOOKS:
        width, height = _SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        folder = os.environ.get("AFFIDAVIT_SCREENSHOTS")
        if folder:
            page.screenshot(path=Path(folder) / f"{name}-{size}-{scheme}.png", full_page=True)
        wrong[size, scheme] = faults(page)
    assert {look: [] for look in _LOOKS} == wrong


def affidavit(told: Told, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "affidavit.cli.main", *arguments, "--data", str(told.root)],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def test_the_link_of_the_command_lets_in_once_and_logging_out_ends_it(
    chromium: Browser, inside: BrowserContext, told: Told
) -> None:
    del inside  # let in before by the link of `up`, which the new one voids
    said = affidavit(told, "login", "--json")
    assert (0, "") == (said.returncode, said.stderr)
    link = json.loads(said.stdout)["url"]
    for expected in ("State of the evidence · Affidavit", "Log in · Affidavit"):
        context = chromium.new_context()
        page = context.new_page()
        page.goto(link)
        page.get_by_role("button", name="Log in").click()
        expect(page).to_have_title(expected)
        if expected.startswith("State"):
            page.get_by_role("button", name="Log out").click()
            expect(page).to_have_url(f"{told.url}/login")
            page.goto(f"{told.url}/")
            assert page.get_by_role("heading", name="Nobody is logged in here").is_visible()
        context.close()


def test_it_opens_on_the_state_of_the_evidence(page: Page, told: Told) -> None:
    pictured(page, told, "/", "evidence")
    assert page.get_by_text("No checkpoint is kept outside").is_visible()
    shown = page.locator("time").first
    assert shown.get_attribute("title", timeout=1_000).find(" UTC ") > 0  # type: ignore[union-attr]


def test_who_is_not_logged_in_is_told_how(chromium: Browser, told: Told) -> None:
    context = chromium.new_context()
    pictured(context.new_page(), told, "/login", "login")
    context.close()


def test_the_timeline_is_asked_and_walked_by_keys(page: Page, told: Told) -> None:
    pictured(page, told, "/timeline", "timeline")
    page.keyboard.press("/")
    page.keyboard.type("decision:deny kind:access")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{told.url}/timeline?query=decision%3Adeny+kind%3Aaccess")
    assert "decision:deny kind:access" == page.get_by_role("searchbox").input_value()
    page.keyboard.press("j")
    focused = page.locator("a.go:focus")
    assert f"/record/{told.denied}" == focused.get_attribute("href")
    assert "was refused SELECT of public.patients on clinic" == focused.inner_text()
    page.keyboard.press("?")
    assert page.get_by_text("Terms are joined by").is_visible()


def test_times_are_the_viewers_with_utc_on_hover(page: Page, told: Told) -> None:
    page.goto(f"{told.url}/timeline?query=kind:access")
    time = page.locator("time").first
    machine, title = time.get_attribute("datetime") or "", time.get_attribute("title") or ""
    assert f"{machine[:10]} {machine[11:23]} UTC" in title
    assert "Pacific/Auckland" == page.locator(".zone").inner_text()
    expected = page.evaluate(
        "(at) => new Date(at).toLocaleTimeString('en-GB', {timeZone: 'Pacific/Auckland'}) + at.slice(19, 23)", machine
    )
    assert expected == time.locator(".clock").inner_text()
    assert machine[11:23] != expected


def test_a_wrong_query_is_shown_at_its_place(inside: BrowserContext, told: Told) -> None:
    page = inside.new_page()  # unwatched: the browser itself complains about the status 400
    pictured(page, told, "/timeline?query=kind:access%20acter:ana", "wrong")
    assert page.get_by_text("At column 13:").is_visible()
    page.close()


def test_nothing_that_matches_is_a_page_too(page: Page, told: Told) -> None:
    pictured(page, told, "/timeline?query=nothing-has-this-word", "nothing")
    page.locator("main").get_by_role("link", name="decision:deny").click()
    assert page.locator("li.denied").count() >= 1


def test_what_people_typed_stays_text_in_the_browser(page: Page, told: Told) -> None:
    for path in ("/timeline", "/timeline?query=%3Cscript%3Edocument.title%3D%27owned%27%3C%2Fscript%3E"):
        page.goto(f"{told.url}{path}")
        assert "owned" != page.title()
        assert 0 == page.locator("main img, main script").count()
        assert page.get_by_text("<script>document.title='owned'").first.is_visible()


def test_a_denied_access_says_why(page: Page, told: Told) -> None:
    page.goto(f"{told.url}/timeline?query=decision:deny+kind:access")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{told.url}/record/{told.denied}")
    sentence = page.get_by_role("heading", level=1).inner_text()
    assert "ana was refused SELECT of public.patients on clinic" in sentence
    assert sentence.endswith("denied because no rule allows it.")
    why = page.locator("#why")
    assert "No rule allows it. Rules that could have matched:" in why.inner_text()
    assert "the same" in why.inner_text()
    assert "Its bytes lead to the root of the published checkpoint" in page.locator("#proof").inner_text()


@pytest.mark.parametrize("what", ["denied", "change", "erased"])
def test_a_record_is_for_everybody(page: Page, told: Told, what: str) -> None:
    pictured(page, told, f"/record/{getattr(told, what)}", what)


def test_a_record_of_scripts_is_text(page: Page, told: Told) -> None:
    page.goto(f"{told.url}/record/{told.strange}")
    assert "owned" != page.title()
    assert 0 == page.locator("main img, main script").count()
    assert "<script>document.title='owned'" in page.locator("pre").first.inner_text()
