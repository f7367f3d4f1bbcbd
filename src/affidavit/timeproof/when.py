"""When something happened: what its own clock claims, what is proven, and whether both can be true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from affidavit.timeproof.interval import Interval

#: `agree`: one moment can lie in both. `contradict`: none can. `unbounded`: nothing is claimed that could be compared.
#: `unproven`: there is nothing to compare it with.
Agreement = Literal["agree", "contradict", "unbounded", "unproven"]
RestsOn = Literal["claim and proof", "proof", "claim", "nothing"]
_NOWHERE = Interval()


@dataclass(frozen=True, slots=True)
class When:
    """`claimed` is when it happened by the word of its own clock or source, `proven` by stamps alone."""

    claimed: Interval
    proven: Interval

    @property
    def agreement(self) -> Agreement:
        """Whether the claim and the proof can both be true."""
        if self.proven == _NOWHERE:
            return "unproven"
        if self.claimed == _NOWHERE:
            return "unbounded"
        return "agree" if self.claimed.meets(self.proven) else "contradict"

    @property
    def rests_on(self) -> RestsOn:
        """What `happened` rests on. A claim that what is proven contradicts counts for nothing."""
        match self.agreement:
            case "agree":
                return "claim and proof"
            case "unproven":
                return "nothing" if self.claimed == _NOWHERE else "claim"
            case _:
                return "proof"

    @property
    def happened(self) -> Interval:
        """The narrowest interval that may be said, with what it rests on."""
        both = self.claimed.both(self.proven)
        return self.proven if both is None else both
