"""A log with a story for the browser, and where the browser is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from office import PEOPLE, office

CHROMIUM = Path("/usr/bin/chromium")
SCRIPT = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
READ = (
    """permit (principal in Group::"analysts", action == Action::"read", resource == Table::"clinic/public.visits");"""
)


@dataclass(frozen=True)
class Told:
    """The served log: where its console is, the link that `up` printed, and the records that the tests ask for."""

    root: Path
    url: str
    link: str
    allowed: int
    denied: int
    strange: int
    erased: int
    change: int


def tell(folder: Path) -> dict[str, int]:
    """Write the log: what was allowed and denied, changed and erased, and what somebody would have run in a browser."""
    with office(folder) as desk:
        desk.apply(PEOPLE, "the first people and rules")
        change = desk.apply({"policy/analysts-visits": {"text": READ}}, "analysts work on visits")["index"]
        allowed = desk.access("ana", "public.visits")
        denied = desk.access("ana", "public.patients")
        strange = desk.access("ana", "public.visits", verb=SCRIPT)
        desk.apply({"identity/mallory": {"kind": "human", "name": SCRIPT}}, SCRIPT)
        gone = desk.access("ana", "public.visits")
        desk.admin.post(f"/v1/records/{gone}/erasure", {"reason": "asked for by the person"})
        desk.access("ana", "public.visits")
    return {"allowed": allowed, "denied": denied, "strange": strange, "erased": gone, "change": change}
