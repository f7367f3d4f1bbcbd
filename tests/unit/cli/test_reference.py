"""The reference pages say what the code does. AFFIDAVIT_REFERENCE=write writes them anew."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import reference

from affidavit import config, limits
from affidavit.search.fields import FIELDS


@pytest.mark.parametrize(
    ("name", "page"),
    [("cli.md", reference.cli_page), ("http.md", reference.http_page), ("errors.md", reference.errors_page)],
)
def test_a_reference_page_is_what_the_code_makes(name: str, page: Callable[[], str]) -> None:
    path = reference.PAGES / name
    if os.environ.get("AFFIDAVIT_REFERENCE") == "write":
        path.write_text(page(), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == page()


def test_every_configuration_key_is_described() -> None:
    text = (reference.PAGES / "configuration.md").read_text(encoding="utf-8")
    keys = (*config._TOP_KEYS, *config._SERVER_KEYS, *config._GATEWAY_KEYS, *config._OUTSIDE_KEYS)
    assert [key for key in keys if f"`{key}`" not in text and f"[{key}]" not in text] == []


def test_a_query_may_use_every_field() -> None:
    assert limits.QUERY_TERMS_MAX > len(FIELDS)
