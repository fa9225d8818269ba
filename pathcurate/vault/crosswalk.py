"""The crosswalk ``vault/crosswalk.db``: what stands behind each internal code, sealed row by row.

A row holds the code, a keyed hash of what stands behind it (so that an unchanged row is known without opening it) and that
itself, sealed with AES-256-GCM (NIST SP 800-38D) under a random 96-bit nonce. The row's place is authenticated with it
(version, kind, fingerprint of the key, code), so a row that was changed, swapped or brought from elsewhere does not open. A
keyed count of the rows tells of rows that were taken away. Random nonces bound a key to 2^32 rows (SP 800-38D 8.3), a
thousand times what an archive has.

After a rotation of the key the *bridge* leads from each old code to the one that followed it, sealed in the same way.
"""

import hashlib
import hmac
import json
import os
import sqlite3
import stat
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from json.encoder import encode_basestring_ascii
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pathcurate.errors import InputOutputError, LockedError, VaultError
from pathcurate.model.crosswalk import ORIGINALS, kind_of
from pathcurate.pseudonyms import keyed_digests
from pathcurate.storage import create_exclusively
from pathcurate.vault import Vault

CROSSWALK_FILE = "crosswalk.db"
_T = TypeVar("_T")
_VERSION = "crosswalk-v1"
_NONCE_BYTES, _HASH_BYTES = 12, 16
_CHUNK = 20_000
_TABLES = """
    CREATE TABLE rows (code TEXT PRIMARY KEY, keyed BLOB NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE bridge (old_key TEXT, code TEXT, sealed BLOB NOT NULL, PRIMARY KEY (old_key, code)) WITHOUT ROWID;
    CREATE TABLE state (only INTEGER PRIMARY KEY CHECK (only = 0), content TEXT NOT NULL, mac BLOB NOT NULL);
"""
_RESTORE = "Restore vault/crosswalk.db from a copy, or remove it and run `pathcurate deid apply`, which writes it again."


@dataclass(frozen=True, slots=True)
class State:
    """What the crosswalk says of itself, under a MAC of the vault's key.

    Attributes:
        key: fingerprint of the key.
        rows: number of rows.
        bridges: fingerprint of each retired key, oldest first, and the number of its codes.
        sources: for each kind what all its originals were last written from, as :func:`note_source` had it.
    """

    key: str
    rows: int
    bridges: tuple[tuple[str, int], ...]
    sources: Mapping[str, str] = field(default_factory=dict)


def write_crosswalk(vault: Vault, kind: str, codes: Sequence[str], originals: Iterable[Sequence[str]]) -> int:
    """Add rows of one kind, or replace those whose original has changed; all of them or, on any error, none.

    Args:
        vault: the vault.
        kind: kind of the codes, one of :data:`~pathcurate.model.crosswalk.ORIGINALS`.
        codes: internal codes; of one that is given twice the last original counts.
        originals: what stands behind each code, with the fields of its kind.

    Returns:
        Number of rows that were written. The same again writes none.

    Raises:
        VaultError: the crosswalk is damaged, or of another key.
        InputOutputError: it cannot be written.
    """
    fields = len(ORIGINALS[kind].fields)
    if any(kind_of(code) != kind for code in codes):
        raise ValueError(f"not all codes are of kind {kind}")
    payloads = {code: _payload(original, fields) for code, original in zip(codes, originals, strict=True)}
    with _opened(vault, writes=True) as (database, state):
        written = added = 0
        cipher, keyed = _Cipher(vault, "rows"), _hasher(vault)
        for chunk in _chunks(sorted(payloads)):
            between = database.execute("SELECT code, keyed FROM rows WHERE code BETWEEN ? AND ?", (chunk[0], chunk[-1]))
            known = dict(between)
            hashed = zip(chunk, keyed(map(payloads.__getitem__, chunk)), strict=True)
            changed = [(code, digest) for code, digest in hashed if known.get(code) != digest]
            added += sum(code not in known for code, _ in changed)
            written += len(changed)
            rows = ((code, digest, cipher.seal(code, payloads[code])) for code, digest in changed)
            database.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", rows)
        if written:
            # Of what all of them were made is said anew when all of them are there.
            others = {name: source for name, source in state.sources.items() if name != kind}
            _write_state(database, vault, replace(state, rows=state.rows + added, sources=others))
    return written


def sources(vault: Vault) -> Mapping[str, str]:
    """What the originals of each kind were last written from; none if rows were taken away or added since.

    Raises:
        VaultError: it is damaged, or of another key.
    """
    if not (vault.directory / CROSSWALK_FILE).exists():
        return {}
    with _opened(vault) as (database, state):
        return state.sources if _count(database) == state.rows else {}


def note_source(vault: Vault, kind: str, source: str) -> None:
    """Note what all originals of a kind have been written from, so that the same need not be gone through again.

    It counts until a row of the kind is written or any row is erased.

    Raises:
        VaultError: the crosswalk is damaged, or of another key.
        InputOutputError: it cannot be written.
    """
    with _opened(vault, writes=True) as (database, state):
        _write_state(database, vault, replace(state, sources={**state.sources, kind: source}))


def look_up(vault: Vault, codes: Collection[str]) -> dict[str, tuple[str, ...]]:
    """What stands behind codes, with the fields of its kind; unknown codes are not in it. Only these rows are opened.

    Raises:
        VaultError: one of the rows was changed, or the crosswalk is of another key.
    """
    if not (vault.directory / CROSSWALK_FILE).exists():
        return {}
    with _opened(vault) as (database, _):
        cipher, found = _Cipher(vault, "rows"), {}
        for code in sorted(set(codes)):
            row = database.execute("SELECT sealed FROM rows WHERE code = ?", (code,)).fetchone()
            if row is not None:
                found[code] = tuple(json.loads(cipher.open(code, row[0])))
        return found


def held(vault: Vault, codes: Collection[str]) -> dict[str, str]:
    """Each of these codes that the crosswalk has, by itself; nothing is opened for it."""
    if not (vault.directory / CROSSWALK_FILE).exists():
        return {}
    with _opened(vault) as (database, state):
        found = {code: code for code in codes if database.execute("SELECT 1 FROM rows WHERE code = ?", (code,)).fetchone()}
        if len(found) < len(set(codes)):
            # Before a code is called unknown: whether rows were taken away.
            _check_counts(database, state)
        return found


def internal_codes(vault: Vault, kind: str, old_key: str | None = None) -> Iterator[str]:
    """All codes of one kind, of the present key or of a retired one; nothing is opened for it."""
    if not (vault.directory / CROSSWALK_FILE).exists():
        return
    with _opened(vault) as (database, _):
        bounds = (f"{kind}-", f"{kind}.")  # the full stop follows the dash
        if old_key is None:
            found = database.execute("SELECT code FROM rows WHERE code > ? AND code < ?", bounds)
        else:
            found = database.execute(
                "SELECT code FROM bridge WHERE old_key = ? AND code > ? AND code < ?", (old_key, *bounds)
            )
        yield from (code for (code,) in found)


def cross(vault: Vault, old_key: str, codes: Collection[str]) -> dict[str, str]:
    """The present code for each code of a retired key, by that; codes that the bridge does not know are not in it.

    Raises:
        VaultError: a row of the bridge was changed.
    """
    if not (vault.directory / CROSSWALK_FILE).exists():
        return {}
    with _opened(vault) as (database, state):
        order = [key for key, _ in state.bridges]
        now = {code: code for code in codes}
        for key in order[order.index(old_key) :] if old_key in order else []:
            cipher, later = _Cipher(vault, f"bridge {key}"), {}
            for first, code in now.items():
                row = database.execute("SELECT sealed FROM bridge WHERE old_key = ? AND code = ?", (key, code)).fetchone()
                if row is not None:
                    later[first] = cipher.open(code, row[0]).decode()
            now = later
        return now if old_key in order else {}


def check_crosswalk(vault: Vault) -> State | None:
    """What the crosswalk says of itself if all its rows are there; None if there is none.

    Raises:
        VaultError: it is damaged, or of another key.
    """
    if not (vault.directory / CROSSWALK_FILE).exists():
        return None
    with _opened(vault) as (database, state):
        _check_counts(database, state)
        return state


def rewrite(old: Vault, new: Vault, recode: Callable[[str, Sequence[str]], str]) -> int:
    """Write the crosswalk of a new key from that of the old one, with a bridge from the old codes to the new.

    Args:
        old: the vault with its present key.
        new: where the new crosswalk goes, with the new key; it must have none.
        recode: kind and keyed values of an original to its code under the new key.

    Returns:
        Number of rows.

    Raises:
        VaultError: a row of the old one does not open.
    """
    if not (old.directory / CROSSWALK_FILE).exists():
        return 0
    with _opened(old) as (source, state), _opened(new, writes=True) as (target, _):
        _check_counts(source, state)
        opens, seals, bridge = _Cipher(old, "rows"), _Cipher(new, "rows"), _Cipher(new, f"bridge {old.fingerprint}")
        keyed = _hasher(new)

        def rewritten() -> Iterator[tuple[str, str, bytes]]:
            for code, sealed in source.execute("SELECT code, sealed FROM rows"):
                payload = opens.open(code, sealed)
                yield code, recode(code[0], json.loads(payload)[: ORIGINALS[code[0]].keyed]), payload

        for chunk in _chunks(rewritten()):
            target.executemany(
                "INSERT INTO rows VALUES (?, ?, ?)",
                (
                    (code, digest, seals.seal(code, payload))
                    for (_, code, payload), digest in zip(chunk, keyed(payload for *_, payload in chunk), strict=True)
                ),
            )
            target.executemany(
                "INSERT INTO bridge VALUES (?, ?, ?)",
                ((old.fingerprint, code, bridge.seal(code, then.encode())) for code, then, _ in chunk),
            )
        for key, _ in state.bridges:
            _reseal_bridge(source, target, key, _Cipher(old, f"bridge {key}"), _Cipher(new, f"bridge {key}"))
        bridges = (*state.bridges, (old.fingerprint, state.rows))
        _write_state(target, new, State(new.fingerprint, state.rows, bridges))
        return state.rows


def _reseal_bridge(
    source: sqlite3.Connection, target: sqlite3.Connection, key: str, opens: "_Cipher", seals: "_Cipher"
) -> None:
    rows = source.execute("SELECT code, sealed FROM bridge WHERE old_key = ?", (key,))
    target.executemany(
        "INSERT INTO bridge VALUES (?, ?, ?)",
        ((key, code, seals.seal(code, opens.open(code, sealed))) for code, sealed in rows),
    )


def erase(vault: Vault, codes: Collection[str]) -> int:
    """Remove rows, and what leads to them over the bridge; the number of rows that were there.

    Raises:
        VaultError: the crosswalk is damaged, or of another key.
    """
    if not (vault.directory / CROSSWALK_FILE).exists():
        return 0
    with _opened(vault, writes=True) as (database, state):
        rows = sum(database.execute("DELETE FROM rows WHERE code = ?", (code,)).rowcount for code in set(codes))
        gone, bridges = set(codes), []
        for key, count in reversed(state.bridges):
            cipher = _Cipher(vault, f"bridge {key}")
            before = database.execute("SELECT code, sealed FROM bridge WHERE old_key = ?", (key,))
            gone = {code for code, sealed in before if cipher.open(code, sealed).decode() in gone}
            database.executemany("DELETE FROM bridge WHERE old_key = ? AND code = ?", ((key, code) for code in gone))
            bridges.append((key, count - len(gone)))
        _write_state(database, vault, State(state.key, state.rows - rows, tuple(reversed(bridges))))
        return rows


# --- Rows ----------------------------------------------------------------------------------------------------------------


class _Cipher:
    """Seals and opens one table's rows under one key."""

    def __init__(self, vault: Vault, table: str) -> None:
        self._cipher = AESGCM(vault.subkey(f"crosswalk {table}"))
        self._fingerprint = vault.fingerprint

    def _place(self, code: str) -> bytes:
        return f"{_VERSION}|{code[:1]}|{self._fingerprint}|{code}".encode()

    def seal(self, code: str, payload: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, payload, self._place(code))

    def open(self, code: str, sealed: bytes) -> bytes:
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._place(code))
        except (InvalidTag, ValueError, TypeError):
            raise VaultError(f"the crosswalk's row of {code} was changed", _RESTORE) from None


def _payload(original: Sequence[str], fields: int) -> bytes:
    if len(original) != fields:
        raise ValueError(f"an original has {len(original)} fields instead of {fields}")
    # What json.dumps writes of texts, without making an encoder for each of millions of rows. JSON of ASCII keeps lone
    # surrogates, by which a path's bytes that are no UTF-8 are written.
    return f"[{', '.join(map(encode_basestring_ascii, original))}]".encode("ascii")


def _hasher(vault: Vault) -> Callable[[Iterable[bytes]], Iterator[bytes]]:
    key = vault.subkey("crosswalk look-up")
    return lambda payloads: (digest[:_HASH_BYTES] for digest in keyed_digests(key, b"", payloads))


def _chunks(items: Iterable[_T]) -> Iterator[list[_T]]:
    remaining = iter(items)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk


# --- The file ------------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(vault: Vault, *, writes: bool = False) -> Iterator[tuple[sqlite3.Connection, State]]:
    """The database in one transaction, and its state; a write makes it on first use."""
    path = vault.directory / CROSSWALK_FILE
    try:
        if writes and not path.exists():
            create_exclusively(path, _empty(vault), mode=0o600)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise VaultError("the crosswalk can be read by other users", "Run `chmod 600 vault/crosswalk.db`.")
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)) as database:
            database.execute("PRAGMA secure_delete = ON")
            database.execute("PRAGMA cache_size = -100000")
            database.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            yield database, _read_state(database, vault)
            database.execute("COMMIT")
    except sqlite3.Error as error:
        raise _told(error) from None


def _empty(vault: Vault) -> bytes:
    """A crosswalk without rows."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(_TABLES)
        _write_state(database, vault, State(vault.fingerprint, 0, ()))
        database.commit()
        return database.serialize()


def _told(error: sqlite3.Error) -> InputOutputError | LockedError | VaultError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return LockedError("the crosswalk is in use by another run", "Wait until it ends, then run the command again.")
    if code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}:
        reason = "its disk is full" if code == sqlite3.SQLITE_FULL else getattr(error, "sqlite_errorname", "error")
        return InputOutputError(
            f"the crosswalk cannot be used ({reason})", "Check the disk and who owns vault/; nothing half-written is kept."
        )
    return VaultError("the crosswalk is damaged", _RESTORE)


def _mac(vault: Vault, content: str) -> bytes:
    return hmac.digest(vault.subkey("crosswalk state"), content.encode(), hashlib.sha256)


def _write_state(database: sqlite3.Connection, vault: Vault, state: State) -> None:
    content = json.dumps({"version": _VERSION, **asdict(state)})
    database.execute("INSERT OR REPLACE INTO state VALUES (0, ?, ?)", (content, _mac(vault, content)))


def _read_state(database: sqlite3.Connection, vault: Vault) -> State:
    row = database.execute("SELECT content, mac FROM state").fetchone()
    try:
        content, mac = row
        told: Mapping[str, object] = json.loads(content)
        key = str(told["key"])
        is_ours = hmac.compare_digest(mac, _mac(vault, content))
        bridges = tuple((str(old), int(count)) for old, count in json.loads(content)["bridges"]) if is_ours else ()
        # Not there in what an earlier version wrote.
        made_of = {str(kind): str(source) for kind, source in json.loads(content).get("sources", {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise VaultError("the crosswalk is damaged", _RESTORE) from None
    if key != vault.fingerprint:
        raise VaultError(
            "the crosswalk was made with another key than the vault's",
            "Restore the key and the crosswalk that belong together.",
        )
    if not is_ours:
        raise VaultError("the crosswalk's state was changed", _RESTORE)
    return State(key, int(str(told["rows"])), bridges, made_of)


def _check_counts(database: sqlite3.Connection, state: State) -> None:
    rows = _count(database)
    bridges = dict(database.execute("SELECT old_key, count(*) FROM bridge GROUP BY old_key"))
    if rows != state.rows or bridges != {key: count for key, count in state.bridges if count}:
        raise VaultError("rows of the crosswalk are missing, or there are too many", _RESTORE)


def _count(database: sqlite3.Connection) -> int:
    return int(database.execute("SELECT count(*) FROM rows").fetchone()[0])
