"""Where the registry is kept, as ``registry:`` in ``pathcurate.yaml`` says: a file, or a database on a PostgreSQL server.

And where a password or another secret is, which is never written into that file.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote

from pathcurate.errors import UsageError, VaultError

FORM = "postgresql://USER@HOST:PORT/DATABASE"
NEVER = (
    "a secret is never written here: for a password write ${env:NAME} or ${file:PATH}, as in "
    "postgresql://steward:${env:PATHCURATE_REGISTRY_PASSWORD}@host/database"
)

_SCHEME = re.compile(r"postgres(ql)?(\+\w+)?://", re.ASCII)
_SECRETS = re.compile(r"password|passwd|pwd|secret|scram_\w*_key", re.IGNORECASE)
_REFERENCE = re.compile(r"\$\{(env|file):([^{}]+)\}")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z_.-]+)?(?::([0-9]{1,5}))?", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PATHS = frozenset({"sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir", "passfile", "host"})
"""Parameters that may name a file or a directory; ``host`` that of a socket."""
_PARAMETERS = _PATHS | {
    "application_name", "channel_binding", "gssencmode", "hostaddr", "keepalives", "keepalives_count", "keepalives_idle",
    "keepalives_interval", "krbsrvname", "options", "require_auth", "ssl_max_protocol_version", "ssl_min_protocol_version",
    "sslcompression", "sslmode", "sslnegotiation", "sslsni", "target_session_attrs", "tcp_user_timeout",
}  # fmt: skip
"""Those of https://www.postgresql.org/docs/current/libpq-connect.html that pass through; none of them holds a secret."""
_MOST_BYTES = 1024
_CALLED = "the registry's password"


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is to be found, which is nowhere in the workspace file.

    Attributes:
        source: ``env`` for a variable of the environment, ``file`` for a file that only its owner may read.
        name: of the variable, or the file's absolute path.
        what: what messages call it.
        key: of ``pathcurate.yaml`` that refers to it.
    """

    source: Literal["env", "file"]
    name: str
    what: str = _CALLED
    key: str = "registry"

    @classmethod
    def parse(cls, text: str, base: Path, what: str = _CALLED, key: str = "registry") -> "Secret | None":
        """From a reference such as ``${file:secrets/registry}`` or ``${env:NAME}``; None if the text is no reference.

        Args:
            text: as written.
            base: absolute directory that a relative path starts from.
            what: see :attr:`what`.
            key: see :attr:`key`.

        Raises:
            ValueError: the name cannot be that of a variable. Nothing of it is quoted.
        """
        reference = _REFERENCE.fullmatch(text)
        if reference is None:
            return None
        if reference[1] == "file":
            return cls("file", os.path.normpath(base / reference[2]), what, key)
        if _VARIABLE.fullmatch(reference[2]) is None:
            raise ValueError("the name of a variable is of letters, digits and _: ${env:PATHCURATE_REGISTRY_PASSWORD}")
        return cls("env", reference[2], what, key)

    def __str__(self) -> str:
        return f"${{{self.source}:{self.name}}}"

    def read(self, environment: Mapping[str, str]) -> str:
        """The secret.

        Args:
            environment: that of the process; only the command line knows it.

        Raises:
            UsageError: there is no such variable or file, or it holds no secret.
            VaultError: the file can be read by others.
        """
        if self.source == "env":
            secret = environment.get(self.name, "")
            if not secret:
                raise UsageError(
                    f"{self.what} is to be in the variable {self.name} of the environment, which is not set",
                    "Set it for this command, and do not export it further than needed.",
                )
        else:
            secret = self._content()
        if not secret.isprintable():
            raise UsageError(f"{self.what} in {self} is not one line of text", "Store it again.")
        return secret

    def _content(self) -> str:
        file = Path(self.name)
        try:
            handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise UsageError(
                f"the file of {self.what}, {file}, cannot be read: {error.strerror}",
                f"Check `{self.key}` in pathcurate.yaml.",
            ) from None
        try:
            state = os.fstat(handle)
            if not stat.S_ISREG(state.st_mode):
                raise UsageError(f"{self.what} is to be in {file}, which is no file", "Name a file.")
            if stat.S_IMODE(state.st_mode) & 0o177 or state.st_uid not in {0, os.geteuid()}:
                raise VaultError(
                    f"the file of {self.what}, {file}, is open to others", f"Run `chmod 600 {file}` as its owner."
                )
            content = os.read(handle, _MOST_BYTES + 1)
        finally:
            os.close(handle)
        try:
            text = content.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            text = ""
        if not text or len(content) > _MOST_BYTES:
            word = self.what.rpartition(" ")[2]
            raise UsageError(f"{file} holds no {word}", "It is to hold one line of UTF-8 text and nothing else.")
        return text


@dataclass(frozen=True, slots=True)
class RegistryAddress:
    """A database on a PostgreSQL server.

    Attributes:
        host: name or address; empty for a socket on this machine, in the default directory or that of ``host`` below.
        port: None for the default.
        user: empty for the name of the operating system's user.
        password: where the password is; None if none is needed, or if libpq finds it (``passfile``).
        database: its name.
        parameters: of the connection, such as ``sslmode``; files among them with absolute paths.
    """

    host: str
    port: int | None
    user: str
    password: Secret | None
    database: str
    parameters: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str, base: Path) -> "RegistryAddress":
        """From text such as ``postgresql://steward:${file:secrets/registry}@host/db?sslmode=verify-full``.

        Args:
            text: as written; parts may be percent-encoded, references to secrets stand as they are.
            base: absolute directory that relative paths start from.

        Raises:
            ValueError: it is no such text. The message quotes nothing of it: it may hold a password.
        """
        if _SCHEME.match(text) is None or "+" in text.partition(":")[0]:
            raise ValueError(f"a registry on a server is written {FORM}")
        rest, _, query = text.partition("://")[2].partition("?")
        login, at, place = rest.rpartition("@")
        user, colon, password = login.partition(":")
        # A secret may hold any character, also those that part an address; a reference may hold a path with slashes.
        secret = Secret.parse(password, base) if colon else None
        if colon and secret is None:
            raise ValueError(NEVER)
        where, slash, database = place.partition("/")
        host = _HOST.fullmatch(where)
        if host is None or not slash or not database or "/" in unquote(database) or (at and not user):
            raise ValueError(f"a registry on a server is written {FORM}")
        port = int(host[2]) if host[2] else None
        if port is not None and not 0 < port < 1 << 16:
            raise ValueError("a port is a number from 1 to 65535")
        parsed = cls(
            (host[1] or "").strip("[]"), port, _plain(user), secret, _plain(database), tuple(_parameters(query, base)),
        )  # fmt: skip
        if not parsed.host and any(name == "sslmode" for name, _ in parsed.parameters):
            raise ValueError("`sslmode` is for a server on the network: a socket is not encrypted")
        return parsed

    @property
    def directory(self) -> str:
        """Directory of the server's socket; empty for the default."""
        return dict(self.parameters).get("host", "")

    @property
    def is_authentic(self) -> bool:
        """Whether it is a socket of this machine, or a server that must prove by its certificate that it is the one."""
        return not self.host or dict(self.parameters).get("sslmode") == "verify-full"

    @property
    def shown(self) -> str:
        """What messages call it: without user, password and parameters."""
        return f"{self.database} on {self.host or self.directory or 'this machine'}"

    def __str__(self) -> str:
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"postgresql://{user}{host}{f':{self.port}' if self.port else ''}/{quote(self.database, safe='')}"


def _plain(text: str) -> str:
    plain = unquote(text, errors="strict")
    if not plain.isprintable() or _REFERENCE.search(plain):
        raise ValueError(f"a registry on a server is written {FORM}; a reference ${{...}} stands for the password only")
    return plain


def _parameters(query: str, base: Path) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for part in query.split("&") if query else ():
        name, equals, value = part.partition("=")
        if _SECRETS.search(unquote(name)):
            raise ValueError(NEVER)
        # Nothing of what is unknown is quoted: it may be the rest of a password with `?` or `&` in it.
        if name not in _PARAMETERS or not equals or not value or name in seen:
            raise ValueError(f"the address has a parameter that is not known, or is given twice; known: {_listed()}")
        seen.add(name)
        plain = _plain(value)
        if name in _PATHS and (plain.startswith("/") if name == "host" else plain != "system"):
            plain = os.path.normpath(base / plain)
        elif name == "host":
            raise ValueError("`host` as a parameter is the directory of a socket, from `/` on")
        yield name, plain


def _listed() -> str:
    return ", ".join(sorted(_PARAMETERS))
