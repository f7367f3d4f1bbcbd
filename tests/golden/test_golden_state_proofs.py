"""Proofs of state as earlier versions wrote them still verify; and a checker that shares nothing with Affidavit, written
from docs/spec/stateproof.md alone, agrees about each of them and about each altered copy."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from affidavit.errors import AffidavitError
from affidavit.tlog.keys import VerifierKey
from affidavit.verify.stateproof import check_state_proof

FOLDER = Path(__file__).parent / "affidavit-state-proof-v1"
PROOFS = sorted(FOLDER.glob("*.proof"))
VKEY = (FOLDER / "vkey").read_text().strip()
ANA, THEO = "u-" + "1" * 16, "u-" + "2" * 16
ZERO = bytes(32)


# -- a checker of its own ----------------------------------------------------------------------------------------------


class Wrong(Exception):
    """The file does not hold."""


def demand(so: object) -> None:
    if not so:
        raise Wrong


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def b64(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    demand(base64.b64encode(data).decode() == text)
    return data


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def binary(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)


def owner(name: str) -> str:
    parts = name.split("/")
    return "/".join(parts[:2]) if parts[0] in ("grant", "membership") else parts[0]


def half(text: str) -> bytes:
    return sha(text.encode())[:16]


def check_note(note: str, vkey: str) -> tuple[int, bytes]:
    """Size and root of a checkpoint, once the key's Ed25519 signature under it was verified."""
    name, _, key = vkey.split("+", 2)
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    for line in lines.splitlines():
        dash, signer, signature = line.split(" ")
        if dash == "\u2014" and signer == name:
            public = Ed25519PublicKey.from_public_bytes(b64(key)[1:])
            public.verify(b64(signature)[4:], text.encode())
            origin, size, root = text.splitlines()
            demand(origin == name)
            return int(size), b64(root)
    raise Wrong


def tree_root(low: int, high: int, leaves: dict[int, bytes], spare: Iterator[bytes]) -> bytes:
    """The root of a range of the log's tree (RFC 6962), from the leaves that are known and what stands for the rest."""
    if not any(low <= index < high for index in leaves):
        return next(spare)
    if high - low == 1:
        return leaves[low]
    split = 1
    while split * 2 < high - low:
        split *= 2
    left = tree_root(low, low + split, leaves, spare)
    return sha(b"\x01" + left + tree_root(low + split, high, leaves, spare))


class Map:
    """The state map under each root: by hash, so that it does not matter in which order the items stand."""

    def __init__(self, items: list[Any]) -> None:
        self.nodes: dict[bytes, tuple[str, bytes, bytes]] = {}
        self.leaves: dict[bytes, dict[str, Any]] = {}
        self.used: set[bytes] = set()
        for item in items:
            if isinstance(item, list):
                bits, left, right = item[0], b64(item[1]), b64(item[2])
                demand(ZERO not in (left, right))
                node = sha(b"\x01" + left + right)
                for bit in bits[::-1]:
                    node = sha(b"\x01" + (node + ZERO if bit == "0" else ZERO + node))
                self.nodes[node] = (bits, left, right)
                continue
            leaf = dict(item)
            path = b64(leaf["path"]) if "path" in leaf else half(owner(leaf["name"])) + half(leaf["name"])
            if "value" in leaf:
                leaf["hash"] = sha(base64.urlsafe_b64decode(leaf["salt"] + "==") + canonical(leaf["value"]))
            else:
                leaf["hash"] = b64(leaf["hash"])
            leaf["bits"] = binary(path)
            found = self.leaves.setdefault(sha(b"\x00" + path + leaf["hash"]), leaf)
            found.update(leaf)

    def below(self, node: bytes, prefix: str, walked: str = "") -> list[dict[str, Any]]:
        """All leaves under `node` whose paths begin with `prefix`."""
        if node == ZERO:
            return []
        self.used.add(node)
        if node in self.leaves:
            leaf = self.leaves[node]
            demand(leaf["bits"].startswith(walked))
            return [leaf] if leaf["bits"].startswith(prefix) else []
        demand(node in self.nodes)
        bits, left, right = self.nodes[node]
        walked += bits
        shorter = min(len(walked), len(prefix))
        if walked[:shorter] != prefix[:shorter]:
            return []
        found = []
        for bit, side in (("0", left), ("1", right)):
            if len(walked) >= len(prefix) or prefix[len(walked)] == bit:
                found += self.below(side, prefix, walked + bit)
        return found

    def of(self, root: bytes, name: str) -> dict[str, Any] | None:
        found = self.below(root, binary(half(owner(name)) + half(name)))
        return found[0] if found else None

    def owned(self, root: bytes, name: str) -> list[dict[str, Any]]:
        return self.below(root, binary(half(name)))

    def holders(self, root: bytes, principal: str) -> set[str]:
        """The principal and all groups around it."""
        found, new = {principal}, {principal}
        while new:
            groups = {
                "group:" + leaf["name"].split("/")[2] for one in new for leaf in self.owned(root, f"membership/{one}")
            }
            new = groups - found
            found |= new
        return found


def roots_of(headers: dict[int, Any], first: int, last: int) -> list[tuple[int, bytes]]:
    """(position, root) of each state between two positions, newest first."""
    newest = headers[last - 1]
    after = last if "root" in newest else newest["log"]["state"]
    found = []
    while after > first:
        found.append((after, bytes.fromhex(headers[after - 1]["root"])))
        after = headers[after - 1]["log"]["state"]
    found.append((first, bytes.fromhex(headers[after - 1]["root"]) if after else ZERO))
    return found


def independent(data: bytes, vkey: str) -> dict[str, Any]:
    """The statement, if the proof holds; else `Wrong` or whatever its parts stumble over."""
    proof = json.loads(data)
    demand(canonical(proof) + b"\n" == data)
    demand(proof["format"] == "affidavit state proof v1")
    size, root = check_note(proof["checkpoint"], vkey)
    headers = {one["index"]: one["header"] for one in proof["records"]}
    leaves = {index: sha(b"\x00" + canonical(header)) for index, header in headers.items()}
    spare = iter([b64(text) for text in proof["hashes"]])
    demand(tree_root(0, size, leaves, spare) == root and next(spare, None) is None)
    statement: dict[str, Any] = proof["statement"]
    first, last = statement["from"], statement["to"]
    for one in (first, last):
        if "time" in one:
            demand(headers[one["index"] - 1]["log"]["at"] <= one["time"] < headers[one["index"]]["log"]["at"])
    state = Map(proof["map"])
    states = roots_of(headers, first["index"], last["index"])[::-1]
    if statement["shows"] == "object":
        demand(list(versions(state, states, statement)) == [canonical(one) for one in statement["versions"]])
    for _, at in states:
        if statement["shows"] == "no_grant":
            for holder in state.holders(at, statement["principal"]):
                for leaf in state.owned(at, f"grant/{holder}"):
                    demand("system" in statement)
                    demand(leaf["value"]["resource"]["id"].split("/")[0] != statement["system"])
        if statement["shows"] == "no_membership":
            demand(f"group:{statement['group']}" not in state.holders(at, statement["principal"]))
    demand(statement["shows"] in ("object", "no_grant", "no_membership"))
    if "principal" in statement:
        principal, root = statement["principal"], states[-1][1]
        state.of(root, principal.replace(":", "/") if principal.startswith("group:") else f"identity/{principal}")
        for kind in ("system", "group"):
            if kind in statement:
                state.of(root, f"{kind}/{statement[kind]}")
    demand(state.used == {*state.nodes, *state.leaves})
    return statement


def versions(state: Map, states: list[tuple[int, bytes]], statement: dict[str, Any]) -> Iterator[bytes]:
    before: object = "nothing yet"
    for since, root in states:
        leaf = state.of(root, statement["name"])
        now = None if leaf is None else leaf["hash"]
        if now != before:
            before = now
            if leaf is None:
                yield canonical({"since": since})
            elif "value" in leaf:
                yield canonical({"since": since, "value": leaf["value"]})
            else:
                yield canonical({"since": since, "hash": base64.b64encode(leaf["hash"]).decode()})


# -- both of them ------------------------------------------------------------------------------------------------------


def test_there_are_golden_proofs() -> None:
    names = ["absent", "no-grant", "no-grant-at-all", "no-membership", "present", "versions", "withheld"]
    assert names == sorted(path.stem for path in PROOFS)


@pytest.mark.parametrize("path", PROOFS, ids=[path.stem for path in PROOFS])
def test_it_still_verifies_and_somebody_else_agrees(path: Path) -> None:
    data = path.read_bytes()
    verdict = check_state_proof(data, [VerifierKey.parse(VKEY)])
    assert independent(data, VKEY) == verdict.statement
    assert (0, 15) == (verdict.exit_status, verdict.size)


def test_what_they_say() -> None:
    said = {path.stem: independent(path.read_bytes(), VKEY) for path in PROOFS}
    assert [{"since": 15}] == said["absent"]["versions"]
    assert "clinic/public.visits" == said["present"]["versions"][0]["value"]["resource"]["id"]
    assert [0, 12, 13, 14] == [one["since"] for one in said["versions"]["versions"]]
    assert ["hash", "since"] == sorted(said["withheld"]["versions"][0])
    assert (ANA, "clinic") == (said["no-grant"]["principal"], said["no-grant"]["system"])
    assert (THEO, False) == (said["no-grant-at-all"]["principal"], "system" in said["no-grant-at-all"])
    assert (ANA, "house") == (said["no-membership"]["principal"], said["no-membership"]["group"])


@pytest.mark.parametrize("path", PROOFS, ids=[path.stem for path in PROOFS])
def test_an_altered_copy_fails_or_is_the_proof_of_something_else(path: Path) -> None:
    """That one name is absent may show that another is, too; then both checkers say so."""
    data, chosen = path.read_bytes(), random.Random(path.stem)
    said = independent(data, VKEY)
    refused = 0
    for _ in range(60):
        at, other = chosen.randrange(len(data)), bytes([chosen.choice(b'0123456789abcdefA=/+"{} ')])
        altered = data[:at] + other + data[at + 1 :]
        try:
            statement = check_state_proof(altered, [VerifierKey.parse(VKEY)]).statement
        except AffidavitError:
            refused += 1
            continue
        assert altered == data or statement != said
        assert independent(altered, VKEY) == statement
    assert refused > 45
