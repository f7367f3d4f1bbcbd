"""The words that people at a gateway are shown."""

from __future__ import annotations

from collections.abc import Sequence


def denial_words(index: int, policies: Sequence[str], *, errs: bool) -> tuple[str, str, str]:
    """Message, detail and hint of the error that a refused statement, record `index`, is answered with.

    `policies` determined it, sorted; `errs`: one of the policies could not be evaluated.
    """
    if errs:
        why = "A policy could not be evaluated, so it counts as a refusal."
    elif policies:
        why = f"Forbidden by {', '.join(policies)}."
    else:
        why = "No policy or grant allows it."
    return (
        f"permission denied by Affidavit (record {index})",
        why,
        f"affidavit explain {index} tells which rules and facts decided.",
    )
