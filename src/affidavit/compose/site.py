"""A data folder with what every way of opening it needs."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from affidavit.archive.folder import Folder
from affidavit.capture.administration import Administration, ReadOnly
from affidavit.capture.erasing import Erasing
from affidavit.capture.producer import Producer
from affidavit.capture.readings import Readings
from affidavit.capture.tokens import Tokens, TokenStore
from affidavit.capture.watch.status import WatchStatus
from affidavit.clock import Clock, SystemClock, boot_id
from affidavit.compose.authorities import trusted
from affidavit.compose.places import make_places
from affidavit.compose.witnessed import witness_stamps
from affidavit.config import CONFIG_NAME, load_config
from affidavit.durable import Disk, OsDisk
from affidavit.errors import Corruption, InvalidInput, Unavailable
from affidavit.evidence.explain import Explainer
from affidavit.evidence.export import Bounds
from affidavit.evidence.timing import Timing
from affidavit.history.live import Live
from affidavit.history.reviews import Reviews
from affidavit.history.shared import SharedRecords
from affidavit.history.store import History
from affidavit.ledger.agent import AgentKeys
from affidavit.ledger.keys import Secrets
from affidavit.ledger.layout import Layout
from affidavit.ledger.ledger import Ledger
from affidavit.ledger.own import Own, denied_rotation
from affidavit.ledger.publication import Publication
from affidavit.ledger.publisher import read_checkpoint
from affidavit.ledger.reader import Reader
from affidavit.ledger.recovery import Progress
from affidavit.ledger.rotate import FileKeys, Keyring, known_keys, own_chain
from affidavit.ledger.timestamping import AuthorityStatus
from affidavit.record.kinds import STATE_KINDS
from affidavit.record.read import Record
from affidavit.record.tags import Tagger
from affidavit.search.answers import Answers
from affidavit.search.index import Index
from affidavit.server.identity import host_name
from affidavit.server.services import Services
from affidavit.timekeeping.sources import clock_sources
from affidavit.tlog.keys import ED25519, ML_DSA_44
from affidavit.tlog.rotation import KeyChain

_STREAM_BYTES = 16


class Site:
    """A data folder with what every way of opening it needs."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.config = load_config(self.root)
        self.disk: Disk = OsDisk()
        self.clock: Clock = SystemClock()
        self.layout = Layout(self.root)
        #: Where the search index lies.
        self.search = self.root / "search"
        load = Secrets.load if self.config.signer is None else Secrets.load_without_signers
        self.secrets = load(self.disk, self.layout.secrets)
        if self.secrets.origin != self.config.origin:
            raise InvalidInput(
                "secrets.origin",
                f"{CONFIG_NAME} names the log {self.config.origin}, its keys belong to {self.secrets.origin}.",
                "Put back the configuration or the secrets that belong to this log.",
            )
        self.keyring = self._keyring()
        self._rotating = threading.Lock()
        self.boot = boot_id()
        #: All public keys that the log had, for its places; a rotation adds to it.
        self.own_keys = list(known_keys(self.disk, self.layout, self.secrets.verifiers))
        self.places = make_places(self.config, self.disk, self.layout, self.clock, self.own_keys)

    def _keyring(self) -> Keyring:
        if self.config.signer is None:
            return FileKeys(self.disk, self.layout, self.secrets.signers, os.urandom)
        return AgentKeys(self.config.signer, self.disk, self.layout, self.secrets.verifiers)

    def keys(self) -> KeyChain:
        """All keys that the log had, as they are now. Raises `Corruption` where they do not follow from each other."""
        return own_chain(self.disk, self.layout, self.secrets.verifiers)

    def open_ledger(self, progress: Progress | None = None) -> Ledger:
        """The log, open for writing; what it publishes is pushed to its places until `close_ledger`. `progress` hears
        how far reading has got where the log is folded anew.

        Raises `Corruption` where a place holds what this log does not continue, or where it is a copy, or half
        recovered, and `recover` has not spoken yet; `Unavailable` where a place does not answer and has to.
        """
        self.check_pending()
        unguarded = self.check_places()
        ledger = Ledger.open(
            self.root,
            self.disk,
            self.clock,
            self.secrets,
            self.config.origin,
            self.boot,
            os.urandom,
            clock_sources(os.urandom),
            progress,
            unguarded=unguarded,
            keyring=self.keyring,
        )
        self.places.start(ledger)
        return ledger

    def close_ledger(self, ledger: Ledger, reason: str) -> None:
        """Close the log, and push its last checkpoint while it is still held. Raises as `Ledger.close`."""
        try:
            ledger.close(reason, self.places.close)
        finally:
            self.places.close()

    def check_pending(self) -> None:
        """Raise `Corruption` where this is a copy, or half recovered, and `recover` has not spoken yet."""
        if self.disk.exists(self.layout.pending):
            raise Corruption(
                "recover.pending",
                f"{self.layout.pending} lies there: this is a copy that was brought back, or a recovery that stopped.",
                "Run `affidavit recover`: it says what is there and what is possible.",
            )

    def check_places(self) -> tuple[str, ...]:
        """Ask each place whether this log continues what it holds; the names of those that did not answer.

        Raises `Corruption` where one holds more or something else, `Unavailable` where the configuration wants all to
        answer.
        """
        read_checkpoint(self.disk, self.layout, self.keys())
        unguarded = self.places.guard()
        if unguarded and self.config.unguarded == "refuse":
            raise Unavailable(
                "fork.unguarded",
                f"Nobody can say whether this log may go on: {', '.join(unguarded)} did not answer.",
                'Bring it back; or write unguarded = "start", and the log starts, records that and asks again.',
            )
        return unguarded

    def history(self, records: SharedRecords) -> History:
        """The store for as-of answers over `records`, in `DIR/history`. Its `load` gives the live state."""
        key = self.secrets.body_keys[0].key
        return History(records, self.config.origin, self.root / "history", key)

    def index(self, records: SharedRecords) -> Index:
        """The search index over `records`, in `DIR/search`. Nothing is read before it is asked."""
        keys = self.secrets.body_keys
        told = hashlib.blake2b(b"".join(sorted(key.id for key in keys)), digest_size=16).hexdigest()
        return Index(self.search, keys[0].key, f"{self.config.origin} {told}", records, self.disk)

    def read_only(self) -> SharedRecords:
        """The records as they are now, without taking the writer's lock."""
        keys = self.secrets.body_keys_by_id
        return SharedRecords(Reader.of_folder(self.root, self.disk, keys, self.keys()))

    def producer(self, ledger: Ledger, loop: asyncio.AbstractEventLoop) -> Producer:
        """A producer of its own stream, that answers in `loop`."""
        return Producer(ledger, os.urandom(_STREAM_BYTES).hex(), self.boot, loop.call_soon_threadsafe)

    def services(
        self,
        live: Live,
        history: History,
        records: SharedRecords,
        appender: Producer | None,
        ending: threading.Event,
        *,
        file_access: bool,
        ledger: Ledger | None,
        index: Index,
        newest_anchor: Callable[[], int | None] = lambda: None,
        authorities: Callable[[], tuple[AuthorityStatus, ...]] | None = None,
        watches: Callable[[], tuple[WatchStatus, ...]] | None = None,
    ) -> Services:
        """What the API is given. Without `appender` and `ledger` it only reads.

        `authorities` and `watches` tell how it goes with each.
        """
        administration = Administration(live, records, appender or ReadOnly(), self.clock, os.urandom)
        bounds = Bounds(records)
        store = TokenStore(self.disk, self.layout.secrets / "scram")
        return Services(
            origin=self.config.origin,
            host=host_name(),
            file_access=file_access,
            live=live,
            history=history,
            records=records,
            public_log=Folder(self.layout.log),
            reviews=Reviews(records),
            clock=self.clock,
            randomness=os.urandom,
            tokens=Tokens(live, store, administration, self.clock, os.urandom),
            administration=administration,
            readings=Readings(appender, self.clock, os.urandom),
            writes=appender is not None,
            bounds=bounds,
            explainer=Explainer(records, history.at, live.name_of, bounds),
            timing=Timing(
                records,
                self.config.origin,
                trusted(self.config, self.disk),
                newest_anchor,
                lambda: witness_stamps(self.config, self.disk, self.layout, self.own_keys),
            ),
            tag_key_of=Tagger(self.secrets.tag_key).key_of,
            authorities=authorities or self._authorities,
            watches=watches or self._watches,
            places=self.places.report,
            status=self._status,
            publication=partial(self._published, records) if ledger is None else lambda: ledger.publication,
            stopping=ending.is_set,
            receipt=_no_receipt if ledger is None else ledger.receipt,
            keys=self.keys,
            rotate=_no_rotation if ledger is None else partial(self._rotate, ledger),
            erasing=Erasing(
                live,
                records,
                self.clock,
                _no_erasing if ledger is None else ledger.erase,
                partial(_forgetting, history, index),
            ),
            search=Answers(records, index, bounds),
            rotation_denied=_no_denial if ledger is None else partial(_record_denial, ledger),
        )

    def _authorities(self) -> tuple[AuthorityStatus, ...]:
        return tuple(AuthorityStatus(one.name, one.url, one.interval_s) for one in self.config.authorities)

    def _watches(self) -> tuple[WatchStatus, ...]:
        """For a process that has no gateways."""
        return tuple(
            WatchStatus(one.system, one.database, one.upstream_user, one.watch_interval_s, runs=False)
            for one in self.config.gateways
        )

    def _rotate(
        self,
        ledger: Ledger,
        post_quantum: bool | None,
        reason: str,
        content: Mapping[str, Any],
        fields: Mapping[str, Any],
    ) -> int:
        """Give the log new keys, which its places are told of first. Raises as `Ledger.rotate`."""
        both = len(ledger.verifiers) > 1 if post_quantum is None else post_quantum
        types = (ED25519, ML_DSA_44) if both else (ED25519,)
        with self._rotating:  # an agent keeps one set of keys to come
            successor = self.keyring.successor(types)
            self.own_keys.extend(successor.signer.verifiers)
            return ledger.rotate(successor, reason, content, fields)

    def _published(self, records: SharedRecords) -> Publication:
        """For a process that only reads."""
        published = read_checkpoint(self.disk, self.layout, self.keys())
        return Publication(records.size, published.size, runs=False)

    def _status(self) -> dict[str, Any]:
        published = read_checkpoint(self.disk, self.layout, self.keys())
        return {
            "published": {"size": published.size, "root": published.root.hex()},
            "gateways": [
                {"system": item.system, "listen": str(item.listen), "database": item.database}
                for item in self.config.gateways
            ],
        }


@contextmanager
def _forgetting(history: History, index: Index, record: Record) -> Iterator[None]:
    """While the body of `record` is erased, no file that is made from the log holds anything of it."""
    with index.forgetting(record.index), history.forgetting() if record.header.kind in STATE_KINDS else nullcontext():
        yield


def _no_rotation(post_quantum: bool | None, reason: str, content: Mapping[str, Any], fields: Mapping[str, Any]) -> int:
    """For a process that only reads. Raises `Unavailable`."""
    del post_quantum, content, fields
    raise Unavailable("log.read_only", f"This process only reads the log; it cannot rotate its key: {reason[:100]}.")


def _record_denial(ledger: Ledger, reason: str, content: Mapping[str, Any], fields: Mapping[str, Any]) -> int:
    """Record that somebody asked for a rotation who may not; the record's index. Raises `Unavailable`."""
    return ledger.record(denied_rotation(reason, content, fields))


def _no_denial(reason: str, content: Mapping[str, Any], fields: Mapping[str, Any]) -> int:
    """As `_no_rotation`."""
    return _no_rotation(None, reason, content, fields)


def _no_erasing(index: int, own: Own) -> int:
    """For a process that only reads. Raises `Unavailable`."""
    del own
    raise Unavailable("log.read_only", f"This process only reads the log; it erases nothing of record {index}.")


def _no_receipt(index: int) -> bytes:
    """For a process that only reads. Raises `Unavailable`."""
    raise Unavailable("receipt.read_only", f"This process wrote no record {index}, so it has no receipt for it.")
