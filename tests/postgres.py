"""A PostgreSQL server of the tests' own, from Debian's package: in memory as far as it may be, and gone afterwards."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pathcurate.registryaddress import RegistryAddress

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
USER = "steward"
PASSWORD = "pässwort:@/?#[]%42"  # what an address would misread, were it ever part of one


@dataclass(frozen=True, slots=True)
class Server:
    """A running server.

    Attributes:
        directory: of its socket, through which everybody is trusted, and of ``server.crt``, which it shows on the network.
        port: on 127.0.0.1, where :data:`USER` needs :data:`PASSWORD`.
    """

    directory: Path
    port: int

    @property
    def address(self) -> RegistryAddress:
        """Of its database, through the socket."""
        return RegistryAddress.parse(f"postgresql://{USER}@:{self.port}/registry?host={self.directory}", self.directory)

    def connect(self, **parameters: Any) -> "psycopg.Connection[Any]":
        """A connection past the registry."""
        return psycopg.connect(
            host=str(self.directory), port=self.port, user=USER, dbname="registry", autocommit=True, **parameters
        )

    def clear(self) -> None:
        """Empty its database."""
        with self.connect() as connection:
            connection.execute("set client_min_messages = warning")
            connection.execute("drop schema public cascade")
            connection.execute("create schema public")


def _account() -> dict[str, Any]:
    """Who the server runs as: it refuses root."""
    if os.geteuid():
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _certificate(directory: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1)).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (directory / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / "server.key").write_bytes(private)
    (directory / "server.key").chmod(0o600)


def _start(directory: Path) -> tuple[Server, "subprocess.Popen[bytes]"]:
    account = _account()
    (directory / "password").write_text(PASSWORD, encoding="utf-8")
    _certificate(directory)
    directory.chmod(0o755)
    if account:
        for path in (directory, *directory.iterdir()):
            os.chown(path, account["user"], account["group"])
    subprocess.run(
        [PROGRAMS[-1] / "initdb", "-D", directory / "data", "-U", USER, "--pwfile", directory / "password",
         "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8"],
        check=True, capture_output=True, cwd=directory, **account,
    )  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "listen_addresses": "127.0.0.1",
        "unix_socket_directories": directory, "ssl": "on", "ssl_cert_file": directory / "server.crt",
        "ssl_key_file": directory / "server.key", "autovacuum": "off", "shared_buffers": "32MB",
    }  # fmt: skip
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            [PROGRAMS[-1] / "postgres", "-D", directory / "data", "-p", str(port), *options],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory, **account,
        )  # fmt: skip
    return Server(directory, port), process


@contextmanager
def started() -> Iterator[Server]:
    """A server that runs for a while."""
    # Not in pytest's own directory, which others cannot enter and whose name is too long for a socket.
    directory = Path(tempfile.mkdtemp(prefix="pg-"))
    process = None
    try:
        server, process = _start(directory)
        _wait(process, directory, server.port)
        yield server
    finally:
        if process is not None:
            process.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
            process.wait(timeout=60)
        shutil.rmtree(directory, ignore_errors=True)


_SERVER = pytest.StashKey[Server]()


@pytest.fixture
def postgres(request: pytest.FixtureRequest) -> Server:
    """A server with an empty database; the first test of a process that needs it starts it, for all."""
    if not PROGRAMS:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    config = request.config
    if _SERVER not in config.stash:
        stack = ExitStack()
        config.add_cleanup(stack.close)
        config.stash[_SERVER] = stack.enter_context(started())
    config.stash[_SERVER].clear()
    return config.stash[_SERVER]


def _wait(process: "subprocess.Popen[bytes]", directory: Path, port: int) -> None:
    for _ in range(600):
        try:
            with psycopg.connect(
                host=str(directory), port=port, user=USER, dbname="postgres", autocommit=True
            ) as connection:
                connection.execute("create database registry")
                return
        except psycopg.OperationalError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
    raise AssertionError(f"PostgreSQL does not start:\n{(directory / 'log').read_text()}")
