"""Write the golden proofs of state: `python tests/golden/remake_proofs.py`, once for each version of their format.

All are of the log that `proofcase.story` plays, by the tests' own key.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from logmaker import SIGNER, T0_NS  # noqa: E402
from proofcase import ANA, THEO, no_grant, no_membership, proof_of, story, was  # noqa: E402

from affidavit.record.moment import format_moment  # noqa: E402
from affidavit.state.prooffile import FORMAT  # noqa: E402
from affidavit.state.statement import NoGrant, Position  # noqa: E402


def main() -> None:
    """Refuses to replace proofs that are there."""
    folder = HERE / FORMAT.replace(" ", "-")
    folder.mkdir()
    paper = story()
    first, last = (format_moment(T0_NS + seconds * 1_000_000_000 + 500) for seconds in (9, 10))
    moments = NoGrant(first=Position(10, first), last=Position(11, last), principal=ANA, system="clinic")
    for name, statement, withheld in (
        ("present", was("grant/group:house/visits", 9), False),
        ("absent", was("grant/group:house/visits", 15), False),
        ("versions", was(f"grant/{ANA}/visits", 0, 15), False),
        ("withheld", was("grant/group:ward/tests", 7, 15), True),
        ("no-grant", moments, False),
        ("no-grant-at-all", no_grant(THEO, 0, 15, None), False),
        ("no-membership", no_membership(ANA, "house", 0, 5), False),
    ):
        (folder / f"{name}.proof").write_bytes(proof_of(paper, statement, withheld=withheld))
    (folder / "vkey").write_text(SIGNER.verifier.to_text() + "\n")


if __name__ == "__main__":
    main()
