"""Policies (C2SP tlog-policy): which logs are believed, which witnesses there are, and how many must have cosigned.

    log <vkey> [url]
    witness <name> <vkey> [url]
    group <name> all|any|<k> <name>...
    quorum <name>|none

One definition a line, fields separated by spaces and tabs, `#` begins a comment line. A name is used only after the
line that defines it, and is a member of at most one group, so each witness counts in one way. No public key stands
there twice, under whatever name: an Ed25519 cosignature does not bind its signer's name, so one key under two names
would count as two witnesses. Reading is strict: a policy that is not understood whole is no policy.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from affidavit.errors import InvalidInput
from affidavit.limits import POLICY_BYTES_MAX, POLICY_ENTRIES_MAX
from affidavit.tlog.keys import COSIGNATURE_ED25519, ED25519, SignatureLine, VerifierKey

NONE = "none"
_GAP = re.compile(r"[ \t]+")
_COUNT = re.compile(r"[1-9][0-9]{0,2}")
_FORMS = {
    "log": "log <vkey> [url]",
    "witness": "witness <name> <vkey> [url]",
    "group": "group <name> all|any|<k> <name>...",
    "quorum": "quorum <name>|none",
}


@dataclass(frozen=True, slots=True)
class PolicyLog:
    """A log whose checkpoints are believed. Its origin is the key's name. `url` is empty where none is given."""

    key: VerifierKey
    url: str


@dataclass(frozen=True, slots=True)
class PolicyWitness:
    """A witness under the name that this policy calls it by; its key may have another."""

    name: str
    key: VerifierKey
    url: str


@dataclass(frozen=True, slots=True)
class Group:
    """Has witnessed a checkpoint when at least `needed` of its members (1 to all of them) have."""

    name: str
    needed: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Quorum:
    """Whether enough have cosigned, the policy's names of those who did, and in words what was counted."""

    met: bool
    cosigned: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as its file states it, valid once built by `parse`. `quorum` is a name, or `none`."""

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[Group, ...]
    quorum: str

    @classmethod
    def parse(cls, data: bytes) -> Policy:
        """The policy in the bytes of a file. Raises `InvalidInput` that names the line and what to do."""
        if len(data) > POLICY_BYTES_MAX:
            raise InvalidInput(
                "policy.size", f"A policy has at most {POLICY_BYTES_MAX} bytes.", "Is it the right file?"
            )
        reader = _Reader()
        # Octets above 0x7f are opaque: they are compared, never interpreted, except in a key's own name.
        lines = data.decode("utf-8", "surrogateescape").split("\n")
        for number, line in enumerate(lines, 1):
            reader.take(number, line)
        if lines[-1].strip(" \t"):
            raise _refused(len(lines), "the last line does not end", "The file may be cut off: get it whole.")
        if reader.quorum is None:
            raise InvalidInput(
                "policy.quorum", "The policy has no quorum line.", "End it with `quorum <name>` or `quorum none`."
            )
        return cls(tuple(reader.logs), tuple(reader.witnesses.values()), tuple(reader.groups.values()), reader.quorum)

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """All keys that stand in it, the logs' first."""
        return (*(log.key for log in self.logs), *(witness.key for witness in self.witnesses))

    def log_keys(self, origin: str) -> tuple[VerifierKey, ...]:
        """The keys of the log `origin`; a log that changes its key has two for a while."""
        return tuple(log.key for log in self.logs if log.key.name == origin)

    def judge(self, verified: Iterable[SignatureLine]) -> Quorum:
        """Whether `verified`, lines of one checkpoint that these keys verified, are enough.

        A line that was not verified must not be given: it would count.
        """
        signed = {(line.name, line.key_id) for line in verified}
        return self._judge(tuple(one.name for one in self.witnesses if (one.key.name, one.key.key_id) in signed))

    def could_be_met(self, keys: Collection[VerifierKey]) -> bool:
        """Whether it would be enough if the witnesses of all these keys cosigned."""
        return self._judge(tuple(one.name for one in self.witnesses if one.key in keys)).met

    def _judge(self, cosigned: tuple[str, ...]) -> Quorum:
        if self.quorum == NONE:
            return Quorum(True, cosigned, "The policy asks for no cosignature.")
        reached, counts = set(cosigned), dict[str, int]()
        for group in self.groups:  # in the order of their definition: members are known already
            counts[group.name] = sum(member in reached for member in group.members)
            if counts[group.name] >= group.needed:
                reached.add(group.name)
        return Quorum(self.quorum in reached, cosigned, self._words(reached, counts))

    def _words(self, reached: set[str], counts: dict[str, int]) -> str:
        """What was counted, group by group as far as the quorum reaches."""
        groups = {group.name: group for group in self.groups}
        if self.quorum not in groups:
            return f"{shown(self.quorum)} {'cosigned' if self.quorum in reached else 'did not cosign'}."
        parts, waiting = [], [self.quorum]
        while waiting:
            group = groups[waiting.pop(0)]
            lacking = [shown(member) for member in group.members if member not in reached]
            said = f"{shown(group.name)} has {counts[group.name]} of the {group.needed} that it needs"
            parts.append(f"{said} (without {', '.join(lacking)})" if lacking else said)
            waiting += [member for member in group.members if member in groups]
        return f"{'; '.join(parts)}."


@dataclass
class _Reader:
    """What has been read so far."""

    logs: list[PolicyLog] = field(default_factory=list)
    witnesses: dict[str, PolicyWitness] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    quorum: str | None = None
    _keys: dict[bytes, int] = field(default_factory=dict)
    _grouped: dict[str, str] = field(default_factory=dict)

    def take(self, number: int, line: str) -> None:
        if any((character < " " and character != "\t") or character == "\x7f" for character in line):
            raise _refused(number, "it holds a control character", "Write it with a text editor, with LF line ends.")
        fields = _GAP.split(line.strip(" \t"))
        if fields == [""] or fields[0].startswith("#"):
            return
        word, given = fields[0], fields[1:]
        if word not in _FORMS:
            raise _refused(number, f"{word[:40]!r} is no keyword", f"Keywords are {', '.join(_FORMS)}.")
        {"log": self._log, "witness": self._witness, "group": self._group, "quorum": self._quorum}[word](number, given)

    def _log(self, number: int, given: Sequence[str]) -> None:
        if len(given) not in (1, 2):
            raise _form(number, "log")
        key = self._key(number, given[0])
        if key.type == COSIGNATURE_ED25519:
            raise _refused(number, f"a log's key is no key of type 0x{key.type:02x}", "Is it a witness's key?")
        self._bound(number, len(self.logs))
        self.logs.append(PolicyLog(key, "".join(given[1:])))

    def _witness(self, number: int, given: Sequence[str]) -> None:
        if len(given) not in (2, 3):
            raise _form(number, "witness")
        name = self._new_name(number, given[0])
        key = self._key(number, given[1])
        if key.type == ED25519:
            hint = "Its operator gives the key for cosignatures."
            raise _refused(number, "a witness's key is of a type for cosignatures, not 0x01", hint)
        self._bound(number, len(self.witnesses))
        self.witnesses[name] = PolicyWitness(name, key, "".join(given[2:]))

    def _group(self, number: int, given: Sequence[str]) -> None:
        if len(given) < 3:
            raise _form(number, "group")
        name, threshold, members = self._new_name(number, given[0]), given[1], tuple(given[2:])
        for member in members:
            self._known(number, member)
            if member in self._grouped:
                other = self._grouped[member]
                raise _refused(
                    number,
                    f"{shown(member)} is a member of {shown(other)} already",
                    "A name may be listed once: else one witness would count twice.",
                )
            self._grouped[member] = name
        self._bound(number, len(self.groups))
        self.groups[name] = Group(name, self._needed(number, threshold, len(members)), members)

    def _quorum(self, number: int, given: Sequence[str]) -> None:
        if len(given) != 1:
            raise _form(number, "quorum")
        if self.quorum is not None:
            raise _refused(number, "there is a quorum line already", "Keep one of them.")
        if given[0] != NONE:
            self._known(number, given[0])
        self.quorum = given[0]

    def _key(self, number: int, text: str) -> VerifierKey:
        try:
            key = VerifierKey.parse(text)
        except InvalidInput as error:
            raise _refused(number, error.message.rstrip("."), error.hint) from None
        other = self._keys.setdefault(key.public_key, number)
        if other != number:
            raise _refused(number, f"its key is that of line {other}", "Each log and each witness has its own key.")
        return key

    def _new_name(self, number: int, name: str) -> str:
        if name == NONE:
            raise _refused(number, "`none` cannot be a name", "Choose another.")
        if name in self.witnesses or name in self.groups:
            raise _refused(number, f"{shown(name)} is defined already", "Witnesses and groups share one set of names.")
        return name

    def _known(self, number: int, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise _refused(
                number,
                f"{shown(name)} is not defined above this line",
                "Define witnesses and groups before their use.",
            )

    @staticmethod
    def _needed(number: int, threshold: str, members: int) -> int:
        if threshold in ("all", "any"):
            return members if threshold == "all" else 1
        if not _COUNT.fullmatch(threshold) or int(threshold) > members:
            raise _refused(
                number, f"{threshold[:40]!r} of {members} members cannot be asked for", "Write all, any, or a number."
            )
        return int(threshold)

    @staticmethod
    def _bound(number: int, count: int) -> None:
        if count >= POLICY_ENTRIES_MAX:
            raise _refused(number, f"there are more than {POLICY_ENTRIES_MAX} of them", "Use fewer.")


def shown(name: str) -> str:
    """A name in a policy, with what cannot be shown in escapes."""
    return name if name.isprintable() else ascii(name)[1:-1]


def _form(number: int, word: str) -> InvalidInput:
    return _refused(number, f"it is not of the form `{_FORMS[word]}`", "Write it so.")


def _refused(number: int, why: str, hint: str) -> InvalidInput:
    return InvalidInput("policy.line", f"Line {number} of the policy: {why}.", hint)
