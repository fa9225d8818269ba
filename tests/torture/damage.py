"""Damage to files: cut, with flipped bits, with holes, with foreign parts; of the hospital, and of the workspace itself."""

import random
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.torture.house import House

_STORES = (
    "catalog", "vault", "deid", "releases", "cohorts", "products", "registry.db", "trust.yaml", "pathcurate.yaml", "recipes",
)  # fmt: skip
_INPUTS = (".svs", ".tif", ".dcm", ".csv", ".tsv", ".geojson", ".yaml", ".ndpi", ".mrxs")
_NASTY = (
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"\r", b"," * 40, b"\xf0\x28\x8c\x28", b"9" * 400, b"-1", b"{[",
    b"!!python/object:os.system x", b"&a [*a]", b"=cmd|' /C calc'!A0", b"\xed\xa0\x80", b"1e999", b"NaN", b"9999-99-99",
    "\u202e\u0000".encode(), b"A" * 70_000,
)  # fmt: skip


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _flipped(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 4, 30))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _flipped_ahead(data: bytes, rng: random.Random) -> bytes:
    return _flipped(data[:600], rng) + data[600:]


def _hole(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    length = rng.choice((1, 64, 4096))
    return data[:start] + bytes(min(length, len(data) - start)) + data[start + length :]


def _grown(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + rng.choice(_NASTY) + data[start:]


def _doubled(data: bytes, _rng: random.Random) -> bytes:
    return data + data


def _nothing(_data: bytes, _rng: random.Random) -> bytes:
    return b""


def _drawn(data: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(min(len(data), 5000))


_WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _cut, _flipped, _flipped_ahead, _hole, _grown, _grown, _doubled, _nothing, _drawn,
)  # fmt: skip


def damaged(data: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Bytes with some damage, and in a word which."""
    way = rng.choice(_WAYS)
    return way(data, rng), way.__name__.strip("_")


def of_inputs(house: House, rng: random.Random, corpus: Sequence[Path] = ()) -> str:
    """Damage some of the hospital's files: mostly tables, of which there are few, and a handful of slides.

    Args:
        house: where they are.
        rng: draws them.
        corpus: nasty files, which take the place of those with the same ending.
    """
    files = sorted(path for path in (house.root / "hospital").rglob("*") if path.suffix in _INPUTS)
    tables = [path for path in files if path.suffix in {".csv", ".tsv", ".geojson"}]
    return _damage(house, [*rng.sample(tables, k=rng.randint(1, 4)), *rng.sample(files, k=4)], rng, corpus)


def of_stores(house: House, rng: random.Random) -> str:
    """Damage one file of the workspace's own."""
    files = sorted(
        path
        for name in _STORES
        for path in ((house.root / name).rglob("*") if (house.root / name).is_dir() else [house.root / name])
        if path.is_file()
    )
    # Each kind of file is as likely as any other, for there are dozens of tables and one key.
    kinds = sorted({_kind(house, path) for path in files})
    kind = rng.choice(kinds)
    return _damage(house, [rng.choice([path for path in files if _kind(house, path) == kind])], rng)


def _kind(house: House, path: Path) -> str:
    parts = path.relative_to(house.root).parts
    return f"{parts[0]} {path.suffix or path.name} {'_log' in parts}"


def _damage(house: House, paths: list[Path], rng: random.Random, corpus: Sequence[Path] = ()) -> str:
    told = []
    for path in dict.fromkeys(paths):
        foreign = [one for one in corpus if one.suffix == path.suffix]
        if foreign and rng.random() < 0.5:
            chosen = rng.choice(foreign)
            data, how = chosen.read_bytes(), f"is {chosen.name}"
        else:
            data, how = damaged(path.read_bytes(), rng)
        state = path.stat()
        path.chmod(stat.S_IMODE(state.st_mode) | stat.S_IWUSR)
        path.write_bytes(data)
        path.chmod(stat.S_IMODE(state.st_mode))
        told.append(f"{path.relative_to(house.root).as_posix()} {how}")
    return "; ".join(told)
