"""Proofs of state, checked: statements whose truth is known by heart, and every way in which a file can be wrong."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from logmaker import GATEWAY, LEDGER, ORIGIN, SIGNER, T0_NS, Paper, with_fields
from proofcase import (
    ANA,
    LABS,
    THEO,
    PaperRecords,
    Proved,
    changed,
    closed,
    grant_on,
    no_grant,
    no_membership,
    note_of,
    objects,
    opened,
    proof_of,
    proved,
    public,
    story,
    was,
)

from affidavit.errors import AffidavitError, InvalidInput, VerificationError
from affidavit.evidence.stateproof import prove
from affidavit.record.moment import format_moment
from affidavit.state.change import decode_ops
from affidavit.state.prooffile import StateProof
from affidavit.state.statement import Contradiction, NoGrant, ObjectWas, Position, Statement
from affidavit.tlog.checkpoint import Checkpoint
from affidavit.tlog.keys import COSIGNATURE_ED25519, SignerKey
from affidavit.tlog.notes import parse_note, sign_note
from affidavit.tlog.policy import Policy
from affidavit.tlog.rotation import KeyChain, Rotation, encode_sizes, rotation_path
from affidavit.verify.keys import read_keys
from affidavit.verify.stateproof import check_state_proof

KEY = [SIGNER.verifier]
HOUSE = "grant/group:house/visits"


def second(index: int) -> str:
    """The moment at which the record `index` was sealed."""
    return format_moment(T0_NS + index * 1_000_000_000)


def code_of(data: bytes, **options: Any) -> str:
    with pytest.raises(AffidavitError) as error:
        check_state_proof(data, KEY, **options)
    return error.value.code


# -- true statements, and false ones ----------------------------------------------------------------------------------


def versions(paper: Paper, name: str, first: int, last: int) -> list[tuple[int, Any]]:
    verdict = check_state_proof(proof_of(paper, was(name, first, last)), KEY)
    return [(one["since"], one.get("value")) for one in verdict.statement["versions"]]


def test_an_object_at_each_position() -> None:
    paper = story()
    for position in range(1, 16):
        held = [(position, grant_on("clinic"))] if position == 9 else [(position, None)]
        assert held == versions(paper, HOUSE, position, position), position


def test_the_versions_of_an_object_between_two_positions() -> None:
    paper, value = story(), grant_on("clinic")
    assert [(0, None), (9, value), (10, None)] == versions(paper, HOUSE, 0, 15)
    assert [(10, None)] == versions(paper, HOUSE, 10, 15)  # never existed
    assert [(11, None), (12, value), (13, value), (14, None)] == versions(paper, f"grant/{ANA}/visits", 11, 15)
    assert [(6, grant_on("labs", LABS))][0][1] == versions(paper, "grant/group:ward/tests", 7, 15)[0][1]
    assert 1 == len(versions(paper, "grant/group:ward/tests", 7, 15))  # never changed
    assert 2 == len(versions(paper, "grant/group:ward/tests", 6, 15))


@pytest.mark.parametrize(
    ("statement", "contradiction"),
    [
        (no_grant(ANA, 0, 8), None),
        (no_grant(ANA, 0, 9), Contradiction(HOUSE, 9, ("ward", "house"))),
        (no_grant(ANA, 9, 10), Contradiction(HOUSE, 9, ("ward", "house"))),
        (no_grant(ANA, 10, 11), None),
        (no_grant(ANA, 10, 15), Contradiction(f"grant/{ANA}/visits", 12, ())),
        (no_grant(ANA, 13, 13), Contradiction(f"grant/{ANA}/visits", 13, ())),
        (no_grant(ANA, 14, 15), None),
        (no_grant(ANA, 14, 15, None), Contradiction("grant/group:ward/tests", 14, ("ward",))),
        (no_grant(ANA, 0, 6, None), None),
        (no_grant(THEO, 0, 15, None), None),
        (no_grant("group:ward", 0, 15), Contradiction(HOUSE, 9, ("house",))),
        (no_grant("group:house", 0, 15, "labs"), None),
        (no_membership(ANA, "house", 0, 5), None),
        (no_membership(ANA, "house", 0, 6), Contradiction("membership/group:ward/house", 6, ("ward",))),
        (no_membership(ANA, "ward", 5, 15), Contradiction(f"membership/{ANA}/ward", 6, ())),
        (no_membership(THEO, "house", 0, 15), None),
        (no_membership("group:house", "ward", 0, 15), None),
    ],
)
def test_a_proof_is_made_where_the_statement_is_true(statement: Statement, contradiction: Contradiction | None) -> None:
    made = proved(story(), statement)
    if contradiction is not None:
        assert contradiction == made
        return
    assert isinstance(made, Proved)
    verdict = check_state_proof(made.file, KEY)
    assert (0, ORIGIN, 15) == (verdict.exit_status, verdict.origin, verdict.size)
    assert made.verdict == verdict


def test_what_was_shown_is_said_and_what_was_not() -> None:
    verdict = check_state_proof(proof_of(story(), no_grant(ANA, 10, 11)), KEY)
    assert f"{ANA} held no grant on the system clinic, neither directly nor through a group" in verdict.shown
    assert "from position 10" in verdict.shown and "position 11, after record 10" in verdict.shown
    assert ("grant/group:ward/tests",) == verdict.elsewhere
    said = "\n".join(verdict.not_shown)
    for words in ("the writer's word", "--kept", "a policy may allow without any grant", "names stand in profiles"):
        assert words in said
    assert 1 == verdict.states


def test_lapses_and_drifts_are_states_too() -> None:
    """What no change says happens to the state all the same: both kinds stand in the chain."""
    paper = story()
    ended = {**grant_on("clinic"), "end": second(15)}
    objects(paper, {f"grant/{ANA}/short": ended})
    lapse = {"objects": [{"op": "delete", "name": f"grant/{ANA}/short", "based": 15}], "expired": second(15)}
    paper.add("lapse", LEDGER, lapse, decided=paper.state.index)
    seen = {"op": "put", "name": "observed/clinic/app", "based": None, "value": {}, "salt": paper.salt_text()}
    paper.add("drift", GATEWAY, {"objects": [seen]}, system="clinic", decided=paper.state.index)
    paper.clock("interval")
    assert [(14, None), (16, ended), (17, None)] == versions(paper, f"grant/{ANA}/short", 14, 19)
    assert [(17, None), (18, {})] == versions(paper, "observed/clinic/app", 17, 19)
    assert isinstance(proved(paper, no_grant(ANA, 17, 19)), Proved)
    assert Contradiction(f"grant/{ANA}/short", 16, ()) == proved(paper, no_grant(ANA, 15, 19))


def test_a_name_that_nothing_had_is_said() -> None:
    stranger = "u-" + "9" * 16
    said = "\n".join(check_state_proof(proof_of(story(), no_grant(stranger, 0, 15, "clinik")), KEY).not_shown)
    assert f"`identity/{stranger}` did not exist at the end" in said
    assert "`system/clinik` did not exist at the end" in said
    said = "\n".join(check_state_proof(proof_of(story(), no_membership(ANA, "wart", 0, 15)), KEY).not_shown)
    assert "`group/wart` did not exist at the end" in said


def test_a_value_can_be_withheld() -> None:
    file = proof_of(story(), was("grant/group:ward/tests", 7, 15), withheld=True)
    assert b"public.labs" not in file
    verdict = check_state_proof(file, KEY)
    assert "existed and did not change" in verdict.shown and "withheld" in verdict.shown
    assert 1 == len(verdict.statement["versions"])


def test_a_moment_lies_between_two_records() -> None:
    moment = format_moment(T0_NS + 9_500_000_000)
    statement = ObjectWas(first=Position(10, moment), last=Position(10, moment), name=HOUSE, versions=())
    file = proof_of(story(), statement)
    assert moment in check_state_proof(file, KEY).shown
    # A record sealed in that very nanosecond counts: the moment of position 10 begins with record 9.
    for time, good in ((second(9), True), (second(10), False), (format_moment(T0_NS + 8_999_999_999), False)):
        value = opened(file)
        value["statement"]["from"]["time"] = value["statement"]["to"]["time"] = time
        if good:
            check_state_proof(closed(value), KEY)
        else:
            assert "stateproof.time" == code_of(closed(value))


def test_the_beginning_of_the_log_has_moments_too() -> None:
    before = format_moment(T0_NS - 1)
    statement = NoGrant(first=Position(0, before), last=Position(8, second(7)), principal=ANA, system="clinic")
    verdict = check_state_proof(proof_of(story(), statement), KEY)
    assert f"from {before}, which is the beginning of the log," in verdict.shown


# -- files that are wrong ----------------------------------------------------------------------------------------------


def test_every_byte_counts() -> None:
    """Each byte in turn, changed to a digit, a letter or a space: none of them passes."""
    file = proof_of(story(), no_grant(ANA, 10, 11))
    passed = []
    for at in range(len(file)):
        others = [other for other in (b"0", b"f", b" ") if file[at : at + 1] != other]
        other = others[at % len(others)]
        try:
            check_state_proof(file[:at] + other + file[at + 1 :], KEY)
            passed.append((at, other))
        except AffidavitError:
            pass
    assert [] == passed


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -2])
def test_a_file_that_is_cut_or_longer_is_refused(cut: int) -> None:
    file = proof_of(story(), was(HOUSE, 9))
    assert "stateproof.malformed" == code_of(file[:cut])
    assert "stateproof.malformed" == code_of(file + b"\n")
    assert "stateproof.malformed" == code_of(b" " + file)


def _set(*path: Any, to: Any) -> Callable[[Any], None]:
    def change(value: Any) -> None:
        for step in path[:-1]:
            value = value[step]
        value[path[-1]] = to

    return change


def _grant_gone(value: Any) -> None:
    value["statement"]["versions"] = [{"since": 9}]


def _moved(by: int) -> Callable[[Any], None]:
    def change(value: Any) -> None:
        for end in ("from", "to"):
            value["statement"][end]["index"] += by
        value["statement"]["versions"][0]["since"] += by

    return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_set("format", to="affidavit state proof v2"), "stateproof.format"),
        (_set("format", to="a shopping list"), "stateproof.malformed"),
        (_set("more", to=1), "stateproof.malformed"),
        (_set("rotations", to=[]), "stateproof.malformed"),
        (_set("statement", "name", to="grant/group:house/other"), "stateproof.malformed"),
        (_set("statement", "name", to="grant/house/visits"), "stateproof.malformed"),
        (_set("statement", "shows", to="everything"), "stateproof.malformed"),
        (_set("statement", "versions", 0, "value", "reason", to="another"), "stateproof.untrue"),
        (_set("statement", "versions", 0, "value", "extra", to=1), "stateproof.untrue"),
        (_set("statement", "versions", 0, "hash", to="A" * 43 + "="), "stateproof.malformed"),
        (_set("statement", "versions", to=[]), "stateproof.untrue"),
        (_grant_gone, "stateproof.untrue"),
        (_moved(-1), "stateproof.records"),
        (_moved(1), "stateproof.records"),
        (_set("statement", "from", "index", to=8), "stateproof.records"),
        (_set("statement", "from", "index", to=10), "stateproof.malformed"),
        (_set("statement", "from", "time", to=second(9)), "stateproof.records"),
        (_set("statement", "from", "time", to="yesterday"), "stateproof.malformed"),
        (_set("statement", "from", "time", to=None), "stateproof.malformed"),
        (_set("records", 0, "index", to=9), "proof.several"),
        (_set("records", 0, "header", "root", to="00" * 32), "proof.several"),
        (_set("records", 0, "header", "log", "state", to=0), "proof.several"),
        (_set("records", 0, "header", "note", to="added"), "proof.several"),
        (_set("records", to=[]), "proof.several"),
        (_set("hashes", to=[]), "proof.several"),
        (_set("map", to=[]), "stateproof.malformed"),
        (lambda value: value["map"].append(value["map"][0]), "stateproof.malformed"),
        (lambda value: value["map"].pop(), "stateproof.malformed"),
        (_set("map", 0, 0, to="1"), "stateproof.map"),
        (_set("map", -1, "value", "reason", to="another"), "stateproof.map"),
        (_set("map", -1, "salt", to="A" * 22), "stateproof.map"),
        (_set("map", -1, "name", to="grant/group:house/other"), "stateproof.map"),
        (_set("checkpoint", to="nothing"), "note.malformed"),
    ],
)
def test_a_change_that_keeps_the_form_is_found(change: Callable[[Any], None], code: str) -> None:
    value = opened(proof_of(story(), was(HOUSE, 9)))
    assert "grant/group:house/visits" == value["map"][-1]["name"]
    change(value)
    assert code == code_of(closed(value)) or code == "stateproof.malformed"


def test_true_is_not_one() -> None:
    """They are equal in Python, and the statement is what people read."""
    value = opened(proof_of(story(), was("settings/organisation", 1)))
    assert [{"since": 1}] == value["statement"]["versions"]
    value["statement"]["versions"] = [{"since": True}]
    assert "stateproof.malformed" == code_of(closed(value))


def test_a_statement_about_somebody_else_or_another_time_is_found() -> None:
    base = opened(proof_of(story(), no_grant(ANA, 10, 11)))
    for change in (
        _set("statement", "principal", to=THEO),
        _set("statement", "principal", to="group:ward"),
        _set("statement", "principal", to="ana"),
        _set("statement", "system", to="labs"),
        lambda value: value["statement"].pop("system"),
        _set("statement", "from", "index", to=9),
        _set("statement", "from", "index", to=0),
        _set("statement", "to", "index", to=12),
        _set("statement", "to", "index", to=15),
        lambda value: value["statement"].update(shows="no_membership", group="house"),
    ):
        value = copy.deepcopy(base)
        change(value)
        with pytest.raises(VerificationError):
            check_state_proof(closed(value), KEY)


# -- another log, another history --------------------------------------------------------------------------------------


def _parts(file: bytes) -> StateProof:
    return StateProof.decode(file)


def test_another_logs_key_is_refused() -> None:
    other = SignerKey("other.example/audit", bytes(32))
    with pytest.raises(VerificationError) as error:
        check_state_proof(proof_of(story(), was(HOUSE, 9)), [other.verifier])
    assert "note.unknown" == error.value.code


def test_parts_of_two_proofs_do_not_fit_together() -> None:
    """An older root, another position's records, another history's items, each under the same key."""
    paper = story()
    here, before = _parts(proof_of(paper, was(HOUSE, 11))), _parts(proof_of(paper, was(HOUSE, 12)))
    assert 2 == len(here.records)
    twin = story()
    twin.records.pop()
    objects(twin, {"group/late": {"description": ""}})
    there = _parts(proof_of(twin, was(HOUSE, 11)))
    for mixed in (
        replace(here, records=before.records, hashes=before.hashes),
        replace(here, items=before.items),
        replace(here, statement=before.statement),
        replace(here, checkpoint=there.checkpoint),
        replace(here, records=here.records[::-1]),
        replace(here, records=(here.records[0], *here.records)),
    ):
        with pytest.raises(VerificationError):
            check_state_proof(mixed.encode(), KEY)


def test_headers_that_contradict_each_other_are_refused() -> None:
    """A writer that signs what no sequencer would: the last change left out of the chain, time running backwards."""
    for change, code in (
        (lambda h: with_fields(h, log=replace_state(h, 9)), None),
        (lambda h: with_fields(h, log=replace_state(h, 11)), "stateproof.chain"),
        (lambda h: with_fields(h, log=replace_state(h, 5)), "stateproof.chain"),
        (lambda h: with_fields(h, log=replace_state(h, -1)), "stateproof.chain"),
    ):
        paper = story()
        paper.records[10] = replace(paper.records[10], header=change(paper.records[10].header))
        if code is None:
            # It names the state after record 8, and hides record 9: only `verify` on the whole log can see that.
            assert [(11, grant_on("clinic"))] == versions(paper, HOUSE, 11, 11)
            continue
        with pytest.raises(AffidavitError) as error:
            proof_of(paper, was(HOUSE, 11))
        assert code == error.value.code


def replace_state(header: Any, state: int) -> Any:
    return type(header.log)(header.log.at, state)


def test_a_kept_checkpoint_of_the_same_size_must_be_the_same() -> None:
    paper = story()
    file = proof_of(paper, was(HOUSE, 9))
    kept = note_of(PaperRecords(paper.records).raw)
    verdict = check_state_proof(file, KEY, [kept])
    assert ("consistent", 0) == (verdict.kept[0].result, verdict.exit_status)
    assert not any("--kept" in line for line in verdict.not_shown)
    fork = story()
    fork.records.pop()
    objects(fork, {"group/late": {"description": ""}})
    assert "kept.forked" == code_of(file, kept=[note_of(PaperRecords(fork.records).raw)])
    older = check_state_proof(file, KEY, [note_of(PaperRecords(paper.records).raw[:12])])
    assert ("not compared", 3) == (older.kept[0].result, older.exit_status)
    assert any("--kept" in line for line in older.not_shown)


def test_an_object_changed_in_the_past_with_everything_sealed_anew_is_a_fork() -> None:
    """The thief has the log's key, and lets ana's grant never have been: whoever kept a checkpoint sees two histories."""
    honest, false = story(), Paper()
    false.genesis()
    for record in honest.records[3:]:
        content = record.content
        ops = decode_ops(content["objects"]) if "objects" in content else ()
        if not ops or any(op.name == f"grant/{ANA}/visits" for op in ops):
            false.clock("interval")
        else:
            changed(false, *ops)
    kept = note_of(PaperRecords(honest.records).raw)
    lie = proof_of(false, no_grant(ANA, 10, 15))
    assert isinstance(proved(honest, no_grant(ANA, 10, 15)), Contradiction)
    assert any("--kept" in line for line in check_state_proof(lie, KEY).not_shown)  # alone, it holds, and says so
    assert "kept.forked" == code_of(lie, kept=[kept])
    with pytest.raises(InvalidInput) as error:
        proved(false, no_grant(ANA, 10, 15), kept)
    assert "stateproof.fork" == error.value.code


def test_a_proof_can_be_made_under_a_kept_checkpoint() -> None:
    paper = story()
    raw = PaperRecords(paper.records).raw
    kept = note_of(raw[:12])
    made = proved(paper, was(HOUSE, 9), kept)
    assert 12 == made.verdict.size
    assert "consistent" == check_state_proof(made.file, KEY, [kept]).kept[0].result
    with pytest.raises(InvalidInput) as beyond:
        proved(paper, was(HOUSE, 13), kept)
    assert "stateproof.beyond" == beyond.value.code
    with pytest.raises(InvalidInput) as ahead:
        proved(paper, was(HOUSE, 9), note_of([*raw, raw[3]]))
    assert "stateproof.ahead" == ahead.value.code
    with pytest.raises(InvalidInput) as fork:
        proved(paper, was(HOUSE, 9), note_of([*raw[:11], raw[3]]))
    assert "stateproof.fork" == fork.value.code
    with pytest.raises(InvalidInput) as other:
        proved(paper, was(HOUSE, 9), note_of(raw, SignerKey("other.example/audit", bytes(32))))
    assert "stateproof.checkpoint" == other.value.code


def test_witnesses_count_as_a_policy_asks() -> None:
    witness = SignerKey("witness.example", bytes([7]) * 32, COSIGNATURE_ED25519)
    policy = Policy.parse(f"witness w {witness.verifier.to_text()}\nquorum w\n".encode())
    paper = story()
    raw = PaperRecords(paper.records).raw
    alone = proof_of(paper, was(HOUSE, 9))
    assert "witness.quorum" == code_of(alone, policy=policy)
    records = PaperRecords(paper.records)
    cosigned = public(raw, note_of(raw, SIGNER, witness))
    made = prove(was(HOUSE, 9), records, cosigned, KeyChain.unbroken(KEY))
    assert isinstance(made, Proved)
    verdict = check_state_proof(made.file, KEY, policy=policy)
    assert ["w"] == [one.witness for one in verdict.cosigned]
    assert not any("--policy" in line for line in verdict.not_shown)


def test_a_key_from_before_a_rotation_is_followed() -> None:
    """The proof brings the rotation notes along: who knows only the first key can check it, and an altered one fails."""
    new = SignerKey(ORIGIN, bytes([9]) * 32)
    paper = story()
    raw = PaperRecords(paper.records).raw
    last = Checkpoint.parse(parse_note(note_of(raw[:12]))[0])
    rotation = sign_note(Rotation(last, (new.verifier,)).format(), SIGNER, new)
    files = public(raw, note_of(raw, new))
    files.files |= {"key/sizes": encode_sizes([12]), rotation_path(12): rotation}
    chain = read_keys(files, ORIGIN, KEY).chain
    made = prove(was(HOUSE, 9), PaperRecords(paper.records), files, chain)
    assert isinstance(made, Proved)
    for key in (SIGNER, new):
        assert 15 == check_state_proof(made.file, [key.verifier]).size
    value = opened(made.file)
    del value["rotations"]
    assert "note.unknown" == code_of(closed(value))
    value = opened(made.file)
    value["rotations"] *= 2
    assert "rotation.sizes" == code_of(closed(value))
    value["rotations"] = [value["checkpoint"]]
    assert "rotation.malformed" == code_of(closed(value))
    older = prove(was(HOUSE, 9), PaperRecords(paper.records), files, chain, note_of(raw[:12]))
    assert isinstance(older, Proved)
    assert 12 == check_state_proof(older.file, KEY).size


# -- questions that cannot be answered ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        (was(HOUSE, 0), "stateproof.interval"),
        (was(HOUSE, 9, 8), "stateproof.interval"),
        (was(HOUSE, 16), "stateproof.beyond"),
        (was("grant/house", 9), "state.name"),
        (no_grant("ana", 0, 8), "state.name"),
        (no_grant(f"{ANA}/visits", 0, 8), "state.name"),
        (no_grant(ANA, 0, 8, "log"), "state.name"),
        (no_membership(ANA, "group:ward", 0, 8), "state.name"),
        (NoGrant(first=Position(8, second(9)), last=Position(9, second(8)), principal=ANA), "stateproof.interval"),
    ],
)
def test_a_question_that_makes_no_statement(statement: Statement, code: str) -> None:
    with pytest.raises(InvalidInput) as error:
        proved(story(), statement)
    assert code == error.value.code


def test_too_long_an_interval_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("affidavit.evidence.stateproof.STATE_PROOF_CHANGES_MAX", 3)
    with pytest.raises(InvalidInput) as error:
        proved(story(), no_grant(THEO, 0, 15))
    assert "stateproof.changes" == error.value.code
    monkeypatch.setattr("affidavit.state.prooffile.STATE_PROOF_BYTES_MAX", 1_000)
    with pytest.raises(InvalidInput) as error:
        proved(story(), was(HOUSE, 9))
    assert "stateproof.size" == error.value.code


def test_a_log_whose_tiles_are_wrong_gives_no_proof() -> None:
    paper = story()
    records = PaperRecords(paper.records)
    files = public(records.raw)
    path = next(path for path in files.files if path.startswith("tile/0/"))
    files.files[path] = bytes(32) + files.files[path][32:]
    with pytest.raises(AffidavitError) as error:
        prove(was(HOUSE, 9), records, files, KeyChain.unbroken(KEY))
    assert ("stateproof.broken", 3) == (error.value.code, error.value.exit_status)
