"""`affidavit verify`: check a log offline, trusting nothing but a public key. Imports nothing that writes logs."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from affidavit.archive.folder import Folder
from affidavit.archive.open import Archive, open_archive
from affidavit.cli.output import print_error, print_json, print_table, say
from affidavit.cli.proofcheck import check_proof
from affidavit.cli.sifting import sifting
from affidavit.cli.watching import progress
from affidavit.errors import AffidavitError, InvalidInput, Unavailable
from affidavit.limits import (
    AUTHORITY_FILE_BYTES_MAX,
    NOTE_BYTES_MAX,
    POLICY_BYTES_MAX,
    STATE_PROOF_BYTES_MAX,
    VERIFY_KEY_FILE_BYTES_MAX,
)
from affidavit.record.body import KEY_BYTES, BodyKey
from affidavit.tlog.keys import VerifierKey
from affidavit.tlog.policy import Policy
from affidavit.verify.verdict import Verdict
from affidavit.verify.verify import verify as judge
from affidavit.verify.wording import COLUMNS, conclusion, findings, rows, sentences

if TYPE_CHECKING:
    from affidavit.timeproof.token import Authority

_BODY_KEYS = "body.keys"
_PRIVATE = "PRIVATE+KEY+"


def verify(
    location: str,
    *,
    key: str,
    body_keys: Path | None = None,
    kept: Annotated[list[Path] | None, Parameter(negative="")] = None,
    authority: Annotated[list[Path] | None, Parameter(negative="")] = None,
    policy: Path | None = None,
    only: Literal["structure"] | None = None,
    processes: int | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Check a log, believing nothing its maker says; or a proof of state, which `affidavit state prove` made of one.

    Exit status: 0 it holds and everything asked was checked; 1 it does not hold; 2 wrong input; 3 it could not be
    read, or something asked could not be checked.

    Parameters
    ----------
    location
        A data folder, a log's own folder, or the URL of a log; or the file of a proof, which needs --key alone and
        takes --kept, --policy and --json.
    key
        The log's verifier key, or a file that holds it (and witnesses' keys), one a line.
    body_keys
        File of the keys that open bodies, one in hex a line. Default: DIR/secrets/body.keys where it can be read.
    kept
        A checkpoint kept elsewhere; may be given several times.
    authority
        PEM file of the certificates of a time-stamp authority that you trust; may be given several times.
    policy
        C2SP policy file: which witnesses there are, and how many of them must have cosigned.
    only
        structure: leave out what takes the bodies.
    processes
        How many processes look at records; 1: only this one. Default: for a long log one for each processor, at most 4.
    json
        Print the whole verdict as JSON.
    """
    try:
        if Path(location).is_file():
            _check_options(body_keys, authority, only, processes)
            return _verify_proof(Path(location), key, kept or [], policy, json=json)
        archive = open_archive(location)
        _check_served(location, archive)
        keys, notes = verifier_keys(key, archive)
        opened = _body_keys(body_keys, archive) if only is None else {}
        checkpoints = [read_file(path, NOTE_BYTES_MAX) for path in kept or []]
        trusted = _authority(authority or [])
        wanted = None if policy is None else Policy.parse(read_file(policy, POLICY_BYTES_MAX))
        with progress(shown=not json and sys.stderr.isatty()) as watch, sifting(processes) as mapper:
            verdict = judge(
                archive,
                keys,
                opened,
                checkpoints,
                authority=trusted,
                policy=wanted,
                only=only or "all",
                progress=watch,
                mapper=mapper,
            )
    except AffidavitError as error:
        return print_error(error)
    verdict = replace(verdict, scope=replace(verdict.scope, notes=(*verdict.scope.notes, *notes)))
    if json:
        print_json(verdict.as_dict())
    else:
        _print(verdict)
    return verdict.exit_status


def _verify_proof(path: Path, key: str, kept: list[Path], policy: Path | None, *, json: bool) -> int:
    wanted = None if policy is None else Policy.parse(read_file(policy, POLICY_BYTES_MAX))
    checkpoints = [read_file(one, NOTE_BYTES_MAX) for one in kept]
    keys, _ = verifier_keys(key, None)
    return check_proof(read_file(path, STATE_PROOF_BYTES_MAX), keys, checkpoints, wanted, json=json)


def _check_options(*of_a_log: object) -> None:
    """Raise `InvalidInput` where an option was given that says nothing about the file of a proof."""
    if any(of_a_log):
        raise InvalidInput(
            "cli.usage",
            "--body-keys, --authority, --only and --processes are for a log, and this is a file.",
            "Leave them out: a proof of state needs nothing but the key.",
        )


def _check_served(location: str, archive: Archive) -> None:
    """A server that gives no checkpoint serves no log: nothing was judged, so there is no verdict."""
    if location.startswith(("http://", "https://")) and archive.log.get("checkpoint", NOTE_BYTES_MAX) is None:
        raise Unavailable(
            "verify.no_log", f"There is no log at {location}: it gives no checkpoint.", "Give the address of DIR/log."
        )


def _print(verdict: Verdict) -> None:
    print_table(COLUMNS, rows(verdict))
    say()
    for line in findings(verdict):
        say(line, "deny")
    say(conclusion(verdict), {0: "allow", 1: "deny"}.get(verdict.exit_status, "unknown"))
    say()
    for line in sentences(verdict.scope):
        say(line)


def verifier_keys(text: str, archive: Archive | None) -> tuple[list[VerifierKey], tuple[str, ...]]:
    """The keys that a text or the file of that name holds, and what is to be said about where they came from; nothing
    where there is no archive, only a file."""
    if text.count("+") >= 2 and not Path(text).exists():
        return [VerifierKey.parse(text.strip())], ()
    path = Path(text)
    lines = _decode(path, read_file(path, VERIFY_KEY_FILE_BYTES_MAX)).split()
    if not lines:
        raise InvalidInput("verify.key", f"{path} holds no verifier key.", "It holds one a line: name+id+key.")
    if any(line.startswith(_PRIVATE) for line in lines):
        raise InvalidInput(
            "verify.private",
            f"{path} holds a private key.",
            "Give the public one, such as log.vkey, and keep this secret.",
        )
    secrets = None if archive is None else archive.secrets
    inside = secrets is not None and path.resolve().is_relative_to(secrets.resolve().parent)
    said = f"The key was read from {path}, beside the log itself: whoever forges the log can put another key there."
    return [VerifierKey.parse(line) for line in lines], (said,) if inside else ()


def _authority(paths: list[Path]) -> Authority | None:
    """The authority with the certificates of all of these files; None where there are none."""
    if not paths:
        return None
    from affidavit.timeproof.token import Authority  # noqa: PLC0415  heavy rooms only when needed

    parts = [read_file(path, AUTHORITY_FILE_BYTES_MAX) for path in paths]
    for path, data in zip(paths, parts, strict=True):
        Authority.of_pem(data, str(path))  # raises for the one that is wrong, by its name
    return Authority.of_pem(b"\n".join(parts), ", ".join(map(str, paths)))


def _body_keys(path: Path | None, archive: Archive) -> dict[bytes, BodyKey]:
    """The keys by id. Without a file, those in the archive's secrets, or none where they cannot be read."""
    if path is None:
        if archive.secrets is None:
            return {}
        path = archive.secrets / _BODY_KEYS
        try:
            data = Folder(archive.secrets).get(_BODY_KEYS, VERIFY_KEY_FILE_BYTES_MAX)
        except AffidavitError:
            data = None  # the verdict says that bodies were not readable
    else:
        data = read_file(path, VERIFY_KEY_FILE_BYTES_MAX)
    keys = [_body_key(path, line) for line in _decode(path, data or b"").split()]
    return {key.id: key for key in keys}


def _body_key(path: Path, line: str) -> BodyKey:
    try:
        raw = bytes.fromhex(line)
    except ValueError:
        raw = b""
    if len(raw) != KEY_BYTES:
        raise InvalidInput(
            "verify.body_keys", f"{path} holds a line that is no body key.", "It holds 64 hex digits a line."
        )
    return BodyKey(raw)


def read_file(path: Path, limit: int) -> bytes:
    """The file, at most `limit` bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        why = error.strerror or "input error"
        raise InvalidInput("verify.file", f"{path} cannot be read: {why}.", "Check the path.") from None
    if len(data) > limit:
        raise InvalidInput("verify.file", f"{path} is larger than {limit} bytes.", "Is it the right file?")
    return data


def _decode(path: Path, data: bytes) -> str:
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise InvalidInput("verify.file", f"{path} is not a text file of keys.", "Is it the right file?") from None
