"""Duty 19: as many witnesses have cosigned as the policy asks, and over how much of the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from affidavit.archive.source import Source
from affidavit.errors import Corruption, InvalidInput, VerificationError
from affidavit.limits import NOTE_BYTES_MAX
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.notes import parse_note
from affidavit.tlog.policy import Policy, Quorum
from affidavit.verify.duties import Duty, Notebook
from affidavit.verify.keys import PLACE, Keys, Signed
from affidavit.verify.verdict import Cosignature, Witnessed

COSIGNED = "checkpoints/cosigned"


class Witnesses:
    """The checkpoint that the log shows, and the newest that the log itself kept as cosigned enough.

    Made before the tree is read, so that `sizes` tells at which size the tree's root is wanted.
    """

    def __init__(
        self, policy: Policy | None, folder: Source | None, keys: Keys, published: Signed, notes: Notebook
    ) -> None:
        """`folder` is `DIR/checkpoints`, where it is there. Raises `InvalidInput` for a policy of other logs."""
        self._policy = policy
        self._published = published
        self._notes = notes
        self._kept: Signed | None = None
        if policy is None:
            notes.not_applicable(Duty.WITNESSES, "no policy was given")
        else:
            origin = published.checkpoint.origin
            if policy.logs and not set(policy.log_keys(origin)) & set(keys.chain.keys):
                raise InvalidInput(
                    "verify.policy",
                    f"The policy names other logs, and not {origin} under a key of its.",
                    "Is it the right file?",
                )
            self._kept = None if folder is None else self._open(folder, keys)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The size at which the tree's root is compared, where there is one."""
        size = 0 if self._kept is None else self._kept.checkpoint.size
        return (size,) if 0 < size <= self._published.checkpoint.size else ()

    def finish(self, roots: Mapping[int, bytes], kept: Sequence[Signed]) -> Witnessed | None:
        """Judge the published checkpoint; where that has too few, the newest that has enough.

        `roots` are those that the entries gave; `kept` are checkpoints kept elsewhere that the log begins with.
        """
        if self._policy is None:
            return None
        self._notes.looked(Duty.WITNESSES)
        size = self._published.checkpoint.size
        quorum = self._judge(self._published)
        if quorum.met:
            return self._witnessed(self._published, quorum)
        earlier = [*([self._kept] if self._kept is not None and self._fits(self._kept, roots) else []), *kept]
        for one in sorted(earlier, key=lambda signed: signed.checkpoint.size, reverse=True):
            found = self._judge(one)
            if found.met:
                covered = one.checkpoint.size
                if covered < size:
                    self._notes.skip(
                        Duty.WITNESSES,
                        f"the records from {covered} on: no checkpoint over them has enough cosignatures yet",
                    )
                return self._witnessed(one, found)
        self._notes.fail(Duty.WITNESSES, "witness.quorum", PLACE, f"Too few have cosigned: {quorum.why}")
        return Witnessed(None, self._named(self._published, quorum), quorum.why)

    def _judge(self, signed: Signed) -> Quorum:
        return Quorum(False, (), "") if self._policy is None else self._policy.judge(signed.lines)

    def _fits(self, kept: Signed, roots: Mapping[int, bytes]) -> bool:
        """Whether what the log kept as cosigned is its own beginning; where it is not, that is a finding."""
        checkpoint, size = kept.checkpoint, self._published.checkpoint.size
        if checkpoint.size > size:
            self._notes.fail(
                Duty.WITNESSES,
                "witness.ahead",
                COSIGNED,
                f"Witnesses cosigned {checkpoint.size} records, but this log shows {size}: records were cut off.",
            )
            return False
        if checkpoint.size and roots.get(checkpoint.size) != checkpoint.root:
            message = (
                f"The first {checkpoint.size} entries are not those that witnesses cosigned: the log was rewritten."
            )
            self._notes.fail(Duty.WITNESSES, "witness.forked", COSIGNED, message)
            return False
        return True

    def _open(self, folder: Source, keys: Keys) -> Signed | None:
        try:
            note = folder.get("cosigned", NOTE_BYTES_MAX)
            if note is None:
                return None
            size = Checkpoint.parse(parse_note(note)[0]).size
            if keys.unjudged(size):
                self._notes.remark(Duty.WITNESSES, f"{COSIGNED} was signed before the oldest key that was given")
                return None
            return keys.open(note)
        except (Corruption, VerificationError) as error:
            self._notes.fail(Duty.WITNESSES, error.code, COSIGNED, error.message)
            return None

    def _witnessed(self, signed: Signed, quorum: Quorum) -> Witnessed:
        return Witnessed(signed.checkpoint.size, self._named(signed, quorum), quorum.why)

    def _named(self, signed: Signed, quorum: Quorum) -> tuple[Cosignature, ...]:
        """Who cosigned, by the policy's names, and when they say they did."""
        times = {(line.name, line.key_id): line.time_s for line in signed.lines}
        witnesses = () if self._policy is None else self._policy.witnesses
        return tuple(
            Cosignature(one.name, one.key.name, times.get((one.key.name, one.key.key_id)))
            for one in witnesses
            if one.name in quorum.cosigned
        )
