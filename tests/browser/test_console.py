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
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

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
    context = chromium.new_context(timezone_id="Europe/Lisbon")
    page = context.new_page()
    page.goto(told.link)
    page.get_by_role("button", name="Log in").click()
    assert f"{told.url}/" == page.url
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
    for size, scheme in _LOOKS:
        width, height = _SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.goto(f"{told.url}{path}")
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
        assert expected == page.title()
        if expected.startswith("State"):
            page.get_by_role("button", name="Log out").click()
            assert f"{told.url}/login" == page.url
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
