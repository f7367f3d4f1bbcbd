"""Reference pages made from the code: commands, endpoints, error codes. Compared by tests/unit/cli/test_reference.py."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path
from unittest.mock import patch

from affidavit import errors
from affidavit.cli.main import make_app
from affidavit.errors import AffidavitError
from affidavit.server.app import ROUTES

SOURCE = Path(errors.__file__).parent
PAGES = SOURCE.parents[1] / "docs" / "reference"
_CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, AffidavitError) and kind is not AffidavitError
}
_CLI_HEAD = """# Commands

Made from the code; `AFFIDAVIT_REFERENCE=write` with the tests writes it anew.

Exit status: 0 it holds or is done, 1 it does not hold or is not allowed, 2 wrong input, 3 something could not be
reached or read; 4 `order` cannot tell; 141 when whoever reads the output stopped reading, as `head` does. An error is one line on standard
error that says what to do. Tables and colour appear on a terminal only. While the server runs (`affidavit up`),
commands speak to it over the local socket; else they open the log themselves, and what they record is marked as file access. `--data` or `AFFIDAVIT_DATA` names the data folder,
`--token` or `AFFIDAVIT_TOKEN` acts as the owner of a personal token.

## The query

`timeline`, `export` and `follow` take terms, joined by *and*:

| term | finds |
|---|---|
| `actor:ana` | what Ana did, by handle or identity id |
| `kind:change,proposal` | records of these kinds |
| `system:` `action:` `decision:` `outcome:` `basis:` `guarantee:` | the header's value; commas give alternatives |
| `session:811` `context:` `ref:` | records of a session, under a context, about a record |
| `table:public.patients` or `table:patients` | accesses that touched it |
| `verb:` `sqlstate:` `application:` `client:` `ticket:` | what the body says |
| `object:grant/ana` | changes of objects whose name begins so; people by handle |
| `at:2026-11-22T14:17` | the producer's time begins so; `at:FROM..TO` is a range, both ends included, UTC |
| `index:100..200` | positions; either end may be left out |
| `patients`, `"WHERE ward"` | the statement or the reason contains it |

A minus before a term negates it. A record whose body cannot be read matches no term about its body.

"""
_HTTP_HEAD = """# HTTP API

Made from the code; `AFFIDAVIT_REFERENCE=write` with the tests writes it anew.

Served on the unix socket that `affidavit.toml` names. The actor is the peer's uid, through `credential/uid-HOST-UID`,
or the owner of `Authorization: Bearer aff_…`. Reading the log takes the right to `read` or to `admin` on `Log::"log"`.
Bodies are JSON objects of at most 8 MiB; unknown members are refused. An error is `{code, message, hint, exit_status}`
with status 400 (wrong input), 401 (nobody proved), 403 (not allowed), 404, 405, 409 (the state moved on), 500 (stored
bytes are wrong, or a defect), 503 (not now).

The public log, where `[public]` is configured, is served elsewhere and without any of this: see
[Publish the log](../howto/publish.md).

"""
_ERRORS_HEAD = """# Error codes

Made from the code; `AFFIDAVIT_REFERENCE=write` with the tests writes it anew. The class says what to do next.

"""


def cli_page() -> str:
    """Every command with its options."""
    with patch.object(sys, "argv", ["affidavit"]):  # the usage lines begin with it
        text = make_app(whole=True).generate_docs(output_format="markdown", heading_level=2)
    return _CLI_HEAD + re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def http_page() -> str:
    """Every endpoint with its own words."""
    lines = []
    for method, path, endpoint in ROUTES:
        words = inspect.getdoc(endpoint) or ""
        head, _, rest = words.partition(": ")
        lines += [f"## `{head}`", "", rest[:1].upper() + rest[1:], ""]
        assert head.partition("?")[0] == f"{method} {path}", head
    return _HTTP_HEAD + "\n".join(lines).rstrip() + "\n"


def errors_page() -> str:
    """Every code that is raised by name, with its class and the words of its message."""
    parts = [_ERRORS_HEAD.rstrip()]
    found = sorted(_raised())
    for name, kind in _CLASSES.items():
        rows = [(code, message) for code, class_name, message in found if class_name == name]
        if rows:
            words = " ".join((inspect.getdoc(kind) or "").split())
            parts.append(f"## {name}: exit status {kind.exit_status}\n\n{words}\n\n| code | says |\n|---|---|")
            parts[-1] += "".join(f"\n| `{code}` | {message} |" for code, message in rows)
    return "\n\n".join(parts) + "\n"


def _raised() -> set[tuple[str, str, str]]:
    found: dict[tuple[str, str], str] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CLASSES:
                arguments = node.args
                if len(arguments) >= 2 and isinstance(arguments[0], ast.Constant):
                    found.setdefault((str(arguments[0].value), node.func.id), _words(arguments[1]))
    return {(code, name, message) for (code, name), message in found.items()}


def _words(node: ast.expr) -> str:
    """The message with … for what is filled in."""
    if isinstance(node, ast.Constant):
        text = str(node.value)
    elif isinstance(node, ast.JoinedStr):
        text = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    else:
        text = "…"
    return " ".join(text.replace("|", "\\|").split())
