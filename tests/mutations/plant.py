"""One defect: where it is planted, what it would cost, and the test that catches it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Catchers below these take more than a few seconds.
_SLOW = ("tests/simulation/", "tests/faults/", "tests/interop/", "tests/unit/ledger/test_after_a_kill.py")


@dataclass(frozen=True)
class Plant:
    """In `file` below src/affidavit each text of `edits`, which stands there once, becomes its value. `cost`: what the
    defect would cost. `catcher`: the narrowest test that fails with it, `file` or `file::test`."""

    name: str
    file: str
    edits: Mapping[str, str]
    cost: str
    catcher: str

    @property
    def quick(self) -> bool:
        """Whether its test is one of seconds."""
        return not self.catcher.startswith(_SLOW)

    @property
    def row(self) -> str:
        """Its line in docs/TESTING.md."""
        return f"| {self.name} | {self.cost} | `{self.catcher.removeprefix('tests/')}` |"

    def planted(self) -> str:
        """The text of `file` with the defect in it. Raises `ValueError` where it no longer applies."""
        text = (ROOT / "src" / "affidavit" / self.file).read_text(encoding="utf-8")
        for old, new in self.edits.items():
            if text.count(old) != 1 or old == new:
                raise ValueError(f"{self.name}: does not apply: what it replaces does not stand once in {self.file}")
            text = text.replace(old, new)
        return text
