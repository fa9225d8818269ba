"""Registries for tests: the same statements on an SQLite file and on a PostgreSQL server."""

import contextlib
import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, NullPool, create_engine

from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Command, Entry, Opened, State
from pathcurate.registries.sql import SqlRegistry, open_registry
from pathcurate.registries.sql.opening import postgresql_engine
from pathcurate.registryaddress import RegistryAddress

AT = "2026-11-20T08:00:00+00:00"
OTHER = "sha256:" + "a" * 64
Place = Path | RegistryAddress


def digest_of(text: str) -> str:
    return "sha256:" + sha256(text.encode()).hexdigest()


def entry(product: str = "thorax", version: str = "1.0.0", **parts: Any) -> Entry:
    values: dict[str, Any] = {
        "product": product,
        "version": version,
        "release_digest": digest_of(f"release {product} {version}"),
        "content_digest": digest_of(f"content {product}"),
        "state": State.FROZEN,
        "title": "胸科肿瘤数字病理切片数据集",
        "counts": {"slides": 60, "cases": 24, "patients": 20},
        "registered_at": AT,
        "actor": "steward",
    }
    return Entry(**{**values, **parts})


def command(name: str, subject: str = "thorax@1.0.0", machine: Machine = Machine.RELEASE, **parts: Any) -> Command:
    return Command(machine, subject, name, "steward", AT, **parts)


def contract(name: str, release: str = "thorax@1.0.0", **parts: Any) -> Opened:
    product, _, version = release.partition("@")
    return Opened(Machine.CONTRACT, name, product, version, release, "consumer", AT, **parts)


def delivery(name: str, of: str, release: str = "thorax@1.0.0", **parts: Any) -> Opened:
    product, _, version = release.partition("@")
    return Opened(Machine.DELIVERY, name, product, version, of, "steward", AT, **parts)


TO_OFFER = ("check", "approve", "submit", "receipt", "offer")
TO_ACTIVE = ("review", "approve", "sign", "activate")


def offered(registry: SqlRegistry, version: str = "1.0.0", product: str = "thorax") -> str:
    """Enter a release and bring it on offer; its id."""
    registered, _ = registry.register(entry(product, version))
    for name in TO_OFFER:
        registry.transition(command(name, registered.id))
    return registered.id


def active(registry: SqlRegistry, name: str, release: str = "thorax@1.0.0") -> str:
    """Enter a contract and bring it into force; its id."""
    registry.open(contract(name, release))
    for step in TO_ACTIVE:
        registry.transition(command(step, name, Machine.CONTRACT))
    return name


@pytest.fixture
def no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite does not wait for the disk: nobody cuts the power here."""
    connect = sqlite3.connect

    def hasty(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection = connect(*args, **kwargs)
        with contextlib.suppress(sqlite3.Error):  # of what is no database, the test is to hear from the registry
            connection.execute("pragma synchronous = off")
        return connection

    monkeypatch.setattr(sqlite3, "connect", hasty)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, no_sync: None) -> Place:
    """Where a registry may be made: a file that is not there, or an empty database."""
    if request.param == "sqlite":
        return tmp_path / "registry.db"
    server = request.getfixturevalue("postgres")
    address: RegistryAddress = server.address
    return address


@contextlib.contextmanager
def tampering(place: Place) -> Iterator[Connection]:
    """Somebody with a database shell, who has put the triggers and foreign keys out of the way."""
    if isinstance(place, Path):
        engine = create_engine(f"sqlite:///{place}", poolclass=NullPool)
        opening = ["drop trigger if exists no_update", "drop trigger if exists no_delete"]
    else:
        # Not the registry's own transactions, of which those that are not announced only read.
        engine = create_engine(postgresql_engine(place, None).url, poolclass=NullPool)
        opening = ["set session_replication_role = replica"]
    with engine.begin() as connection:
        for statement in opening:
            connection.exec_driver_sql(statement)
        yield connection
    engine.dispose()


def faults(place: Place) -> list[str]:
    with open_registry(place) as registry:
        return registry.verify()


@pytest.fixture
def filled(place: Place) -> Place:
    """A registry with five versions, events 1 to 5."""
    with open_registry(place) as registry:
        for version in ("1.0.0", "1.1.0", "1.2.0", "2.0.0", "2.0.1"):
            registry.register(entry(version=version))
    return place
