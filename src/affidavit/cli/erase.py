"""`affidavit erase INDEX`: erase the content of one record."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from affidavit.cli.client import connect
from affidavit.cli.options import DEFAULTS, Common, Reason, Ticket, index_of
from affidavit.cli.output import print_json, say
from affidavit.evidence.wording import list_words


def erase(
    index: str,
    /,
    *,
    reason: Reason,
    ticket: Ticket = "",
    legal_basis: Annotated[
        str, Parameter(help="The law or contract that asks for it, such as GDPR Art. 17(1)(b).", show_default=False)
    ] = "",
    common: Common = DEFAULTS,
) -> int:
    """Erase the body of record INDEX, for good. Its header stays, the proofs hold, and a record says who did it.

    Takes the right to administer the log. See docs/howto/erase.md for what is left, and for copies elsewhere.

    affidavit erase 214 --reason "Asked by the data subject" --ticket DSR-88 --legal-basis "GDPR Art. 17(1)(b)"
    """
    wish = {"reason": reason, "ticket": ticket, "legal_basis": legal_basis}
    with connect(common, writes=True) as client:
        answer = client.post(f"/v1/records/{index_of(index)}/erasure", wish)
    if common.json:
        print_json(answer)
        return 0
    say(f"Record {answer['index']}: the body of record {answer['erased']} ({answer['kind']}) is erased.")
    if answer["also"]:
        say(f"Some of the same still stands in record {list_words([str(at) for at in answer['also']])}.", "unknown")
    say("Copies elsewhere still hold it: run `affidavit backup` again, and see docs/howto/erase.md for the rest.")
    return 0
