"""Sessions at the command line as text: each `*.txt` beside this file is run, line by line, and compared.

`$ affidavit …` runs a command as a process of its own; `$ as NAME affidavit …` as the owner of a token made for NAME;
`$ affidavit up &` starts a server (`$ affidavit witness serve … &` too) and `$ stop` ends the one started last; `$ write
FILE` writes the indented lines that follow, `$ append FILE` adds them; `$ access HANDLE TABLE` records an access as a
gateway would. In those, $PORT is a free port of this machine
(as in commands), and `$(FILE)` is what that file holds. What
differs from run to run (ids, keys, times, this machine) is replaced on both sides. Where a status other than 0 comes
back, a last line says so. AFFIDAVIT_TRANSCRIPTS=write writes the files anew: read the difference before you keep it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from office import opened

import affidavit

HERE = Path(__file__).parent
COMMAND = [sys.executable, "-c", "from affidavit.cli.main import main; main()"]
TIMEOUT_S = 60
ANSWERS = re.compile(r"^The witness answers on .*|^.* runs: .*", re.MULTILINE)
REPLACED = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC)?( \(unbounded\)| ± [\d.]+ (µs|ms|s))?", "TIME"),
        (r"u-[0-9a-f]{16}", "u-ID"),
        (r"aff_[\w-]{43}", "aff_TOKEN"),
        (r"\bg-[0-9a-f]{10}", "g-ID"),
        (r"\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+", "+KEY"),
        (r"(\+|under the key )[0-9a-f]{8}\b", r"\1ID"),
        (r"\b[0-9a-f]{64}\b", "DIGEST"),
        (r"\b[0-9a-f]{16}\b", "THUMBPRINT"),
        (r"uid-[a-z0-9-]+-\d+", "uid-HOST-UID"),
        (r"this machine's user \d+", "this machine's user UID"),
        (r"(less than a second|\d+ (second|minute)s?( \d+ seconds?)?) (before|after)", r"A WHILE \4"),
        (r"the clock was (not )?synchronised", "the clock was SO"),
        (r"(ok     |MISSING)  The clock is .*", "CHECKED  The clock is SO"),
        (r"  Its clock said .*", "  Its clock said SO"),
        (
            r"  (Nothing bounds or proves when it happened|It happened .*; nothing outside proves that)\.",
            "  IT HAPPENED SO",
        ),
        (r" +fix: Run a time service .*\n", ""),
        (r"Not ready: \d of \d+", "Not ready: N of N"),
        (r'"[\w-]{22}"', '"SALT"'),
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}", "UUID"),
        (r"\b[0-9a-f]{32}\b", "STREAM"),
        (r"[A-Za-z0-9+/]{90,}=*", "SIGNATURE"),
        (r"[A-Za-z0-9+/]{43}=", "ROOT"),
        (r"cedarpy [\d.]+", "cedarpy VERSION"),
        (r"\b[\d,]+ bytes\. Check it", "N bytes. Check it"),
        (r'(\(|"key_id": ")[0-9a-f]{8}(\)|")', r"\1KEY-ID\2"),
    )
)


def steps(text: str) -> Iterator[tuple[str, str]]:
    """Each command of a transcript with the text below it."""
    for part in re.split(r"^(?=\$ )", text, flags=re.MULTILINE):
        if part.startswith("$ "):
            command, _, below = part[2:].partition("\n")
            yield command, below.rstrip("\n")


class Runner:
    """Runs the steps of one transcript in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokens: dict[str, str] = {}
        self.servers: list[tuple[subprocess.Popen[bytes], Path]] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = str(free.getsockname()[1])
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AFFIDAVIT_")}
        source = str(Path(affidavit.__file__).parents[1])
        self.environment = {**kept, "AFFIDAVIT_DATA": "data", "COLUMNS": "120", "PYTHONPATH": source}

    def run(self, command: str, below: str) -> str:
        """What stands below the command this time."""
        words = [word.replace("$PORT", self.port) for word in shlex.split(command)]
        if words[0] in ("write", "append"):
            lines = "".join(f"{self.filled(line[2:])}\n" for line in below.splitlines())
            (self.folder / words[1]).parent.mkdir(exist_ok=True)
            with (self.folder / words[1]).open("w" if words[0] == "write" else "a") as file:
                file.write(lines)
            return below
        if words[0] == "stop":
            return self.stop()
        if words[0] == "access":
            with opened(self.folder / "data") as one:
                one.access(words[1], words[2])
            return ""
        token = self.token(words[1]) if words[0] == "as" else ""
        words = words[2:] if words[0] == "as" else words
        assert words[0] == "affidavit", command
        if words[-1] == "&":
            return self.start(words[1:-1])
        done = self.call(words[1:], token)
        status = [f"(status {done.returncode})"] if done.returncode else []
        return "\n".join([line for line in (done.stdout.rstrip("\n"), done.stderr.rstrip("\n")) if line] + status)

    def filled(self, line: str) -> str:
        """The line with the port and the files that it names put in."""
        return re.sub(
            r"\$\(([\w./]+)\)",
            lambda match: (self.folder / match[1]).read_text().strip(),
            line.replace("$PORT", self.port),
        )

    def call(self, words: list[str], token: str) -> subprocess.CompletedProcess[str]:
        environment = {**self.environment, **({"AFFIDAVIT_TOKEN": token} if token else {})}
        return subprocess.run(
            [*COMMAND, *words],
            cwd=self.folder,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )

    def token(self, name: str) -> str:
        if name not in self.tokens:
            made = self.call(["token", "create", name, "--json"], "")
            self.tokens[name] = json.loads(made.stdout)["token"]
        return self.tokens[name]

    def start(self, words: list[str]) -> str:
        """Start a server, and wait until it has said that it answers."""
        path = self.folder / f"server-{len(self.servers)}.txt"
        with path.open("wb") as output:
            server = subprocess.Popen(
                [*COMMAND, *words], cwd=self.folder, env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )
        self.servers.append((server, path))
        deadline = time.monotonic() + TIMEOUT_S
        while not (found := ANSWERS.search(path.read_text())):
            assert server.poll() is None, path.read_text()
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.02)
        return found[0] if words[0] == "witness" else ""

    def stop(self) -> str:
        """Stop the server that was started last: the last line that it said."""
        if not self.servers:
            return ""
        server, path = self.servers.pop()
        server.terminate()
        status = server.wait(TIMEOUT_S)
        last = path.read_text().splitlines()[-1:]
        return "\n".join([*last, *([f"(status {status})"] if status else [])])

    def end(self) -> None:
        """Stop all that still run."""
        while self.servers:
            self.stop()


def replaced(text: str, folder: Path, port: str) -> str:
    text = text.replace(str(folder), "DIR").replace(f"127.0.0.1:{port}", "127.0.0.1:PORT")
    for pattern, other in REPLACED:
        text = pattern.sub(other, text)
    return "\n".join(line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize("page", ["access-review", "what-could-they-see"])
def test_what_a_how_to_says_to_type_stands_in_its_transcript(page: str) -> None:
    text = (HERE.parents[1] / "docs" / "howto" / f"{page}.md").read_text(encoding="utf-8")
    shown = re.findall(r"^    (affidavit .*)$", text, re.MULTILINE)
    typed = {command for command, _ in steps((HERE / f"{page.replace('-', '_')}.txt").read_text(encoding="utf-8"))}
    assert shown
    assert [command for command in shown if command not in typed] == []


@pytest.mark.parametrize("path", sorted(HERE.glob("*.txt")), ids=lambda path: path.stem)
def test_transcript(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    head = re.split(r"^(?=\$ )", text, maxsplit=1, flags=re.MULTILINE)[0]
    runner = Runner(tmp_path)
    got, expected = [head.rstrip("\n")], [head.rstrip("\n")]
    try:
        for command, below in steps(text):
            said = runner.run(command, below)
            got.append(f"$ {command}\n{replaced(said, tmp_path, runner.port)}".rstrip("\n"))
            expected.append(f"$ {command}\n{replaced(below, tmp_path, runner.port)}".rstrip("\n"))
    finally:
        runner.end()
    if os.environ.get("AFFIDAVIT_TRANSCRIPTS") == "write":
        path.write_text("\n".join(got) + "\n", encoding="utf-8")
    assert expected == got


def test_the_how_to_is_what_was_run() -> None:
    """Every command and every file of docs/howto/onboarding.md stands in its transcript, in the same order."""
    how_to = (HERE.parents[1] / "docs" / "howto" / "onboarding.md").read_text(encoding="utf-8")
    transcript = (HERE / "onboarding.txt").read_text(encoding="utf-8")
    at = 0
    for language, block in re.findall(r"```(\w*)\n(.*?)```", how_to, re.DOTALL):
        indent = "  " if language else ""
        for line in block.splitlines():
            found = transcript.find(f"{indent}{line}\n", at)
            assert found >= 0, line
            at = found
