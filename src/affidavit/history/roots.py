"""The roots of many changes in a row, hashed in a process of its own while this one reads, checks and folds them.

Theory. Of a change that is folded, hashing the new root takes as long as all the rest: some 130 hashes one after the
other, which one interpreter cannot share among processors. A root depends on nothing but the paths and leaf hashes that
the changes put and delete, so another process can be told these and compares each root with the recorded one.

What it is told and what it answers are no evidence: whoever asks believes the answer as they would their own hashing.
It reads no file and holds no key. When this process ends, so does the pipe and then the other one. When the other one
ends first, `OSError` is raised, and the caller hashes by itself, from the first change on.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import msgspec

from affidavit.pipes import read_message, write_message
from affidavit.state.trie import Leaf, Trie

#: What one change does to the state map (`entries_of`), and the root that is recorded after it, 64 hex digits.
Step = tuple[Sequence[tuple[bytes, bytes]], str]
_encode = msgspec.msgpack.Encoder().encode
_steps = msgspec.msgpack.Decoder(list[tuple[list[tuple[bytes, bytes]], str]])
_count = msgspec.msgpack.Decoder(int)


class Roots:
    """Compares roots from the first change of a log on. Leaving its context ends the process. For one thread."""

    def __init__(self) -> None:
        """Raises `OSError` where no process can be started."""
        # -P: a module that lies in the current folder is never run. A session of its own: ^C is for who asks.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "affidavit.history.roots"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise OSError("The process that hashes has no pipes.")
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()

    def __enter__(self) -> Roots:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # it has nothing to lose
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def give(self, steps: Sequence[Step]) -> None:
        """Hand over the next changes. Raises `OSError` where nobody takes them."""
        write_message(self._to, _encode(steps))

    def right(self) -> int:
        """How many of the oldest changes that were given and not answered had the recorded root, before one had not.

        Waits for the answer. Raises `OSError` where none comes.
        """
        answer = read_message(self._from)
        if answer is None:
            raise OSError("The process that hashes has ended.")
        return _count.decode(answer)


def _right(trie: Trie[None], steps: Sequence[Step]) -> int:
    for number, (entries, root) in enumerate(steps):
        for path, leaf in entries:
            place = int.from_bytes(path, "big")
            if leaf:
                trie.put(Leaf(place, leaf, None))
            else:
                trie.delete(place)
        if trie.root().hex() != root:
            return number
    return len(steps)


def main() -> None:
    """Answer on standard output what comes on standard input, until it ends."""
    trie: Trie[None] = Trie()
    while (message := read_message(0)) is not None:
        write_message(1, _encode(_right(trie, _steps.decode(message))))


if __name__ == "__main__":
    main()
