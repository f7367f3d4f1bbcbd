"""Templates made into pages. Everything that a template is given is text to it: it is escaped, whoever wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from affidavit.server.console.showing import as_json, moment_parts, number

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_ENVIRONMENT.filters |= {"as_json": as_json, "number": number, "moment": moment_parts}


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """The page that `template` makes of `values`."""
    return HTMLResponse(_ENVIRONMENT.get_template(template).render(values), status)
