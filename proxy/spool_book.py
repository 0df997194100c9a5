"""The tables of an outage: who may come in, which tags are good, what the CSMS still has to be told."""

import hashlib
import hmac
import secrets
import sqlite3
from datetime import datetime, timedelta
from typing import Final

from domain.ids import ChargerId
from proxy.protocol.held import Doubt, Entry, Kind, Remembered, Stored, TagInfo
from proxy.protocol.replay import PROVISIONAL_FROM

_PROVISIONAL_COUNT: Final = 147_000_000
_KEEP: Final = timedelta(days=30)
_REPEATS_COME_WITHIN: Final = timedelta(days=1)
_DONE_KEYS: Final = 1000
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS charger (
  charger TEXT PRIMARY KEY, salt BLOB, digest BLOB, protocol TEXT, booted INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS tag (
  scope TEXT, tag TEXT, expires_at TEXT, parent TEXT, PRIMARY KEY (scope, tag)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entry (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, charger TEXT NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL,
  action TEXT NOT NULL, payload BLOB NOT NULL, at TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'pending',
  sends INTEGER NOT NULL DEFAULT 0, doubt INTEGER NOT NULL DEFAULT 0, provisional INTEGER, real INTEGER, done_at TEXT,
  UNIQUE (charger, key));
CREATE INDEX IF NOT EXISTS entry_pending ON entry (charger, seq) WHERE state = 'pending';
CREATE VIEW IF NOT EXISTS message AS
  SELECT seq, kind, action, payload, key, at, sends, doubt, provisional, real, state, charger FROM entry;
CREATE TABLE IF NOT EXISTS doubt (
  seq INTEGER PRIMARY KEY, charger TEXT NOT NULL, connector INTEGER, id_tag TEXT, started_at TEXT, provisional INTEGER,
  sends INTEGER NOT NULL, noted_at TEXT NOT NULL);
"""


class SpoolBook:
    """One SQLite database. Every method is one step of the transaction that its caller has opened."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute
        connection.executescript(_SCHEMA)

    # Who may come in.

    def remember(self, charger: ChargerId, authorization: bytes, protocol: str | None) -> None:
        """The CSMS has let this charger in with this Authorization: a salted hash of it is kept."""
        salt = secrets.token_bytes(16)
        self._run(
            "INSERT INTO charger (charger, salt, digest, protocol) VALUES (?, ?, ?, ?) ON CONFLICT (charger) DO UPDATE"
            " SET salt = excluded.salt, digest = excluded.digest, protocol = excluded.protocol",
            (charger, salt, _digest(salt, authorization), protocol),
        )

    def admits(self, charger: ChargerId, authorization: bytes) -> tuple[bool, str | None]:
        """Whether that is what the CSMS accepted last, and the subprotocol that it chose then."""
        row = self._run("SELECT salt, digest, protocol FROM charger WHERE charger = ?", (charger,)).fetchone()
        if row is None or row[1] is None or not hmac.compare_digest(_digest(row[0], authorization), row[1]):
            return False, None
        return True, row[2]

    def forget(self, charger: ChargerId, authorization: bytes) -> None:
        """The CSMS does not want this charger with this Authorization any more. One that it never accepted says nothing
        about the charger: anybody may come with a wrong password.
        """
        if self.admits(charger, authorization)[0]:
            self._run("UPDATE charger SET salt = NULL, digest = NULL, booted = 0 WHERE charger = ?", (charger,))

    def booted(self, charger: ChargerId, accepted: bool) -> None:
        """What the CSMS said to its BootNotification."""
        self._run(
            "INSERT INTO charger (charger, booted) VALUES (?, ?)"
            " ON CONFLICT (charger) DO UPDATE SET booted = excluded.booted",
            (charger, accepted),
        )

    def load(self, charger: ChargerId, now: datetime) -> Remembered:
        """What is known of a charger when its socket opens."""
        row = self._run("SELECT booted FROM charger WHERE charger = ?", (charger,)).fetchone()
        (pending,) = self._run(
            "SELECT count(*) FROM entry WHERE charger = ? AND state = 'pending'", (charger,)
        ).fetchone()
        transactions = self._run(
            "SELECT provisional, real FROM entry WHERE charger = ? AND real IS NOT NULL", (charger,)
        ).fetchall()
        done = self._run(
            "SELECT key, provisional FROM entry WHERE charger = ? AND state = 'done' AND kind != 'latest'"
            " AND done_at > ? ORDER BY seq DESC LIMIT ?",
            (charger, (now - _REPEATS_COME_WITHIN).isoformat(), _DONE_KEYS),
        ).fetchall()
        given_up = self._run(
            "SELECT provisional FROM entry WHERE charger = ? AND state = 'aside' AND kind = 'start'", (charger,)
        ).fetchall()
        booted = row is not None and bool(row[0])
        return Remembered(booted, pending, tuple(transactions), tuple(done), tuple(number for (number,) in given_up))

    # Tags.

    def tags(self, scope: str) -> dict[str, TagInfo]:
        """The id tags that a CSMS accepted."""
        rows = self._run("SELECT tag, expires_at, parent FROM tag WHERE scope = ?", (scope,))
        return {tag: TagInfo(_instant(expires_at), parent) for tag, expires_at, parent in rows}

    def set_tag(self, scope: str, tag: str, info: TagInfo | None) -> None:
        """The CSMS's newest word on a tag; None where it does not accept it."""
        if info is None:
            self._run("DELETE FROM tag WHERE scope = ? AND tag = ?", (scope, tag))
            return
        expires_at = None if info.expires_at is None else info.expires_at.isoformat()
        self._run("INSERT OR REPLACE INTO tag VALUES (?, ?, ?, ?)", (scope, tag, expires_at, info.parent))

    # Messages.

    def keep(self, charger: ChargerId, entry: Entry) -> Stored:
        """Write a message down, unless it is there already. `LATEST` takes the place of an older one, at the end."""
        if entry.kind is Kind.LATEST:
            self._run("DELETE FROM entry WHERE charger = ? AND key = ?", (charger, entry.key))
        else:
            row = self._run("SELECT * FROM message WHERE charger = ? AND key = ?", (charger, entry.key))
            if (known := row.fetchone()) is not None:
                return _stored(known, repeated=True)
        cursor = self._run(
            "INSERT INTO entry (charger, key, kind, action, payload, at, sends, doubt) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(charger, entry.key, entry.kind, entry.action, entry.payload, entry.at.isoformat()),
                *(entry.sends, entry.doubt),
            ),
        )
        seq = cursor.lastrowid
        assert seq is not None
        provisional = None
        if entry.kind is Kind.START:
            provisional = PROVISIONAL_FROM + seq % _PROVISIONAL_COUNT
            self._run("UPDATE entry SET provisional = ? WHERE seq = ?", (provisional, seq))
        return Stored(seq, entry, provisional)

    def head(self, charger: ChargerId, limit: int) -> list[Stored]:
        """The messages of a charger that wait longest for its CSMS."""
        rows = self._run(
            "SELECT * FROM message WHERE charger = ? AND state = 'pending' ORDER BY seq LIMIT ?",
            (charger, limit),
        )
        return [_stored(row) for row in rows]

    def sending(self, seq: int, doubt: Doubt | None) -> None:
        """A start is about to be sent; `doubt` where it was before, without a reply."""
        self._run("UPDATE entry SET sends = sends + 1 WHERE seq = ?", (seq,))
        if doubt is not None:
            self.note(seq, doubt)

    def note(self, seq: int, doubt: Doubt) -> None:
        """A start is in doubt from now on."""
        self._run(
            "INSERT OR REPLACE INTO doubt VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(seq, doubt.charger, doubt.connector, doubt.id_tag, doubt.started_at, doubt.transaction),
                *(doubt.sends, doubt.noted_at.isoformat()),
            ),
        )

    def count_starts_as_sent(self) -> None:
        """After a restore: a start that waits may have been told since, so it is in doubt when it is sent."""
        self._run("UPDATE entry SET sends = 1 WHERE state = 'pending' AND kind = ? AND sends = 0", (Kind.START,))

    def unsent(self, seq: int) -> None:
        """A start was answered with an error, so the CSMS does not hold it."""
        self._run("UPDATE entry SET sends = max(0, sends - 1) WHERE seq = ?", (seq,))

    def done(self, seq: int, real: int | None, now: datetime) -> None:
        """The CSMS has it, and gave it this transaction id. The key stays, so that a repeat is known."""
        self._run(
            "UPDATE entry SET state = 'done', real = ?, done_at = ?, payload = x'' WHERE seq = ?",
            (real, now.isoformat(), seq),
        )

    def set_aside(self, seq: int, doubt: Doubt | None) -> None:
        """It cannot be brought to the CSMS: it stays on disk for a person, and holds up no other."""
        self._run("UPDATE entry SET state = 'aside' WHERE seq = ?", (seq,))
        if doubt is not None:
            self.note(seq, doubt)

    def doubts(self) -> list[Doubt]:
        """The starts in doubt, oldest first."""
        rows = self._run(
            "SELECT doubt.charger, connector, id_tag, started_at, doubt.provisional, entry.real, doubt.sends, noted_at"
            " FROM doubt LEFT JOIN entry USING (seq) ORDER BY seq"
        )
        return [
            Doubt(charger, connector, tag, started_at, provisional, real, sends, datetime.fromisoformat(noted_at))
            for charger, connector, tag, started_at, provisional, real, sends, noted_at in rows
        ]

    def waiting(self) -> dict[str, int]:
        """How many messages of each charger wait for its CSMS."""
        return dict(
            self._run("SELECT charger, count(*) FROM entry WHERE state = 'pending' GROUP BY charger ORDER BY 1")
        )

    def aside(self) -> list[tuple[str, Stored]]:
        """The messages that could not be brought to the CSMS, by charger, in their order."""
        rows = self._run("SELECT * FROM message WHERE state = 'aside' ORDER BY charger, seq")
        return [(row[-1], _stored(row)) for row in rows]

    def prune(self, now: datetime) -> None:
        """Forget what the CSMS has had for a month."""
        before = (now - _KEEP).isoformat()
        self._run("DELETE FROM entry WHERE state = 'done' AND done_at < ?", (before,))
        self._run("DELETE FROM doubt WHERE noted_at < ? AND seq NOT IN (SELECT seq FROM entry)", (before,))


_Row = tuple[int, str, str, bytes, str, str, int, int, int | None, int | None, str, str]


def _stored(row: _Row, *, repeated: bool = False) -> Stored:
    seq, kind, action, payload, key, at, sends, doubt, provisional, real, state, _ = row
    entry = Entry(Kind(kind), action, payload, key, datetime.fromisoformat(at), sends, bool(doubt))
    return Stored(seq, entry, provisional, real, repeated, state == "done")


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _digest(salt: bytes, authorization: bytes) -> bytes:
    # 16 random bytes and more are a key's length in OCPP: the hash has to be salted, and need not be slow.
    return hashlib.scrypt(authorization, salt=salt, n=2**10, r=8, p=1, dklen=32)
