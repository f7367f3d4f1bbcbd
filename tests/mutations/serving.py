"""Defects of what speaks with others: gateway, heartbeats, witness, the public log."""

from __future__ import annotations

from mutations.plant import Plant

_GATEWAY = "tests/unit/capture/test_gateway_session.py"
_WITNESS = "tests/unit/server/test_witness_service.py"

SERVING = (
    Plant(
        "an answer leaves before its record is durable",
        "capture/gateway/answers.py",
        {"            unit.gate = self._session.outbox.gate()\n": "            pass\n"},
        "rows are read that the log does not know of",
        "tests/unit/capture/test_gateway_session.py::test_the_answer_to_a_read_is_held_until_its_record_is_durable",
    ),
    Plant(
        "a write is forwarded before its intent is durable",
        "capture/gateway/session.py",
        {
            "        self.append(tuple(self.recorder.intent(unit) for unit in units), sealed)\n": (
                "        send()\n        self.append(tuple(self.recorder.intent(unit) for unit in units), sealed)\n"
            )
        },
        "an effect happens that the log does not know of",
        "tests/unit/capture/test_gateway_session.py::test_a_write_runs_only_after_its_intent_is_durable",
    ),
    Plant(
        "an answer that was held is not decided again",
        "capture/gateway/answers.py",
        {"        if allowed:\n            self.record(unit)\n": "        if True:\n            self.record(unit)\n"},
        "rows leave after the permission was taken away",
        "tests/unit/capture/test_gateway_session.py::test_revoked_while_the_answer_is_held_withholds_it",
    ),
    Plant(
        "a source that fell silent is not recorded",
        "capture/heartbeats.py",
        {
            "            elif heard.gap is None and now_ns - since_ns > (one.heartbeat_s + one.tolerance_s) * NS:\n": (
                "            elif False:\n"
            )
        },
        "a source that was switched off looks like one to which nothing happened",
        "tests/unit/capture/test_heartbeats.py::test_a_silence_is_recorded_once_and_its_end_once",
    ),
    Plant(
        "a consistency proof is not verified before a checkpoint is cosigned",
        "tlog/witness.py",
        {
            '        verify_consistency(size, new.size, b"" if latest is None else latest.root, new.root, request.proof)\n': (
                "        pass\n"
            )
        },
        "a witness cosigns a second history",
        "tests/unit/tlog/test_witness_requests.py::test_422_what_does_not_continue",
    ),
    Plant(
        "the size that a witness saw last is not compared",
        "tlog/witness.py",
        {"    if request.old_size != size:\n": "    if False:\n"},
        "a witness cosigns a log that was put back",
        "tests/unit/tlog/test_witness_requests.py::test_409_names_the_size_that_was_cosigned_last",
    ),
    Plant(
        "a checkpoint is cosigned that the log did not sign",
        "tlog/witness.py",
        {"        return Refusal(403, str(error))\n": "        lines = ()\n"},
        "anybody exhausts a log's name at a witness, and the log is stopped",
        "tests/unit/tlog/test_witness_requests.py::test_403_without_a_known_key_or_with_one_that_fails",
    ),
    Plant(
        "a witness answers before it remembers",
        "server/witness.py",
        {
            "                self._folder.cosigned(origin, request.note + lines)\n": (
                "                later = threading.Timer(1, self._folder.cosigned, (origin, request.note + lines))\n"
                "                later.start()\n"
            )
        },
        "a witness that is killed cosigns a second history after its next start",
        "tests/unit/server/test_witness_service.py::test_a_checkpoint_is_cosigned_kept_and_shown",
    ),
    Plant(
        "a witness that lost its memory begins anew",
        "server/witness_folder.py",
        {
            "        if note is None:\n            raise _lost(origin)\n": "        if note is None:\n            return None\n"
        },
        "who removes one file of a witness gets a second history cosigned",
        "tests/unit/server/test_witness_service.py::test_a_log_whose_memory_is_gone_is_not_cosigned",
    ),
    Plant(
        "a witness's answer is added unverified",
        "tlog/witness.py",
        {"    return open_note(note, [key]).verified\n": "    return tuple(parse_note(note)[1])\n"},
        "a note is spoiled by a line that fails, and rejected by everybody",
        "tests/unit/tlog/test_witness_requests.py::test_a_cosignature_is_verified_before_it_is_taken",
    ),
    Plant(
        "the public log serves whatever lies there",
        "server/publiclog.py",
        {
            "        except InvalidInput:\n            return None\n        data = self._read(address)\n": (
                "        except InvalidInput:\n"
                "            rest = self._source.get(path, BUNDLE_BYTES_MAX)\n"
                "            return None if rest is None else _Found(rest, _BYTES, _NEVER)\n"
                "        data = self._read(address)\n"
            )
        },
        "files are published that nobody meant to",
        "tests/unit/server/test_public_log.py::test_nothing_else_is_there",
    ),
    Plant(
        "the public log is served from the data folder",
        "compose/public.py",
        {"PublicLog(Folder(site.layout.log), prefix)": "PublicLog(Folder(site.layout.root), prefix)"},
        "bodies and secrets lie one name away from everybody",
        "tests/unit/compose/test_public.py::test_nothing_but_the_log_is_public",
    ),
    Plant(
        "a path may leave its folder",
        "archive/source.py",
        {'any(part in ("", ".", "..") for part in parts)': 'any(part in ("", ".") for part in parts)'},
        "a reader is given a file that is none of the log's",
        "tests/unit/archive/test_folder_source.py::test_paths_that_leave_or_are_odd_are_refused",
    ),
    Plant(
        "links are followed",
        "archive/folder.py",
        {"os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK": "os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK"},
        "the same, and a verdict about files that are elsewhere tomorrow",
        "tests/unit/archive/test_folder_source.py::test_links_are_not_followed",
    ),
)
