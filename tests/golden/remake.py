"""Write the golden log of this version: `python tests/golden/remake.py`, once, when a version is released.

The keys are the tests' own and open nothing else.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from logmaker import BODY_KEY, SIGNER, afternoon, write_log  # noqa: E402

from affidavit import __version__  # noqa: E402


def main() -> None:
    """Refuses to replace a log that is there: what was released stays as it was."""
    folder = HERE / __version__
    if folder.exists():
        sys.exit(f"{folder} exists: golden logs are never written anew.")
    notes = write_log(folder, afternoon(5).paper.records, (3, 11))
    shutil.rmtree(folder / "secrets")
    (folder / "vkey").write_text(SIGNER.verifier.to_text() + "\n")
    (folder / "body.keys").write_text(BODY_KEY.key.hex() + "\n")
    (folder / "kept").write_bytes(notes[1])


if __name__ == "__main__":
    main()
