"""Calls to a connector's management API, each with an end: what was asked, what came back, or that nobody knows.

A reader waits no longer than its time-out between two bytes, which a slow sender can stretch without end; so a timer cuts
the connection when a call has used its time up.
"""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pathcurate.errors import InputOutputError, UsageError, VaultError

if TYPE_CHECKING:
    import httpx

INSTALL = "Install the extra: `pip install 'pathcurate[edc]'`."
_LARGEST = 1 << 22
"""Bytes of the longest answer that is read; an asset with all its properties has some thousands."""
_RETRIES = 2
_LONGEST_SAID = 300
_BUSY = frozenset({429, 502, 503, 504})
"""Statuses that say: not now. Only a question is asked again after one; a change may have been made."""


class UnknownOutcomeError(Exception):
    """A change was asked for, and whether it was made is not known."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: of HTTP.
        body: the JSON; None if there is none, or it is something else.
    """

    status: int
    body: Any


class Calls:
    """Calls to one connector, on one client.

    Args:
        client: of httpx.
        address: of the management API, without version.
        space: what messages call the connector.
        key: goes into one header, and nowhere else.
        timeout_s: seconds that one call may take, with all its attempts.
        pause_s: seconds before an attempt is repeated.
    """

    def __init__(
        self, client: "httpx.Client", address: str, space: str, key: str, *, timeout_s: float, pause_s: float
    ) -> None:
        self._client = client
        self._address = address
        self._space = space
        self._key = key
        self._timeout_s = timeout_s
        self._pause_s = pause_s

    def get(self, path: str, name: str | None = None, *, address: str | None = None, with_key: bool = True) -> Answer:
        """Ask for something; None, a name below the path. Repeated if nobody answers.

        Raises:
            InputOutputError: nobody answers in time, or not as a connector does.
            VaultError: it does not take the key.
        """
        return self._asked("GET", _joined(address or self._address, path, name), None, with_key=with_key)

    def ask(self, path: str, body: Mapping[str, Any] | None) -> Answer:
        """Ask a question that is sent with POST and changes nothing.

        Raises:
            InputOutputError, VaultError: as of :meth:`get`.
        """
        return self._asked("POST", _joined(self._address, path, None), body)

    def _asked(self, method: str, url: str, body: Mapping[str, Any] | None, *, with_key: bool = True) -> Answer:
        end = time.monotonic() + self._timeout_s
        for attempt in range(_RETRIES + 1):
            try:
                answer = self._once(method, url, body, end, with_key=with_key)
            except UnknownOutcomeError:
                answer = None
            if answer is not None and answer.status not in _BUSY:
                return self._understood(answer)
            if attempt == _RETRIES or time.monotonic() + self._pause_s >= end:
                break
            time.sleep(self._pause_s)
        what = f"answers {answer.status}" if answer is not None else "does not answer, or breaks off"
        raise self.trouble(what, "Look whether it runs; then give the command again.")

    def change(self, method: str, path: str, name: str | None, body: Mapping[str, Any] | None = None) -> Answer:
        """Ask for a change, once; again only if nothing of it can have arrived.

        Raises:
            UnknownOutcomeError: it was sent, and no answer says what came of it.
            InputOutputError: nobody is there, or the answer is not a connector's.
            VaultError: it does not take the key.
        """
        end = time.monotonic() + self._timeout_s
        answer = self._once(method, _joined(self._address, path, name), body, end, with_key=True)
        if answer.status >= 500 or answer.status in {408, 429}:
            raise UnknownOutcomeError
        return self._understood(answer)

    def _once(self, method: str, url: str, body: Mapping[str, Any] | None, end: float, *, with_key: bool) -> Answer:
        """One request; that a connection is tried again where none came about is no second request."""
        import httpx  # noqa: PLC0415 (of an extra)

        for attempt in range(_RETRIES + 1):
            left = end - time.monotonic()
            try:
                return self._sent(method, url, body, left, with_key=with_key)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                is_last = attempt == _RETRIES or time.monotonic() + self._pause_s >= end
                if is_last or isinstance(error.__context__, ssl.SSLError) or "CERTIFICATE" in str(error):
                    raise self.trouble(*_unreached(error)) from None
                time.sleep(self._pause_s)
            except httpx.HTTPError:
                raise UnknownOutcomeError from None
        raise UnknownOutcomeError

    def _sent(self, method: str, url: str, body: Mapping[str, Any] | None, left: float, *, with_key: bool) -> Answer:
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "pathcurate"}
        if with_key:
            headers["X-Api-Key"] = self._key
        content = None if body is None else json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        if method == "POST":
            headers["Content-Type"] = "application/json"
        left = max(left, 0.001)
        with (
            _cut_off(left) as cutter,
            self._client.stream(
                method, url, content=content, headers=headers, timeout=left, extensions={"trace": cutter.trace}
            ) as response,
        ):
            if 300 <= response.status_code < 400:
                raise self.trouble("answers with a redirect, which is not followed", "Write the address where it is.")
            if response.headers.get("content-encoding", "identity") != "identity":
                raise self.trouble("answers in an encoding that it was not asked for", "Look what stands before it.")
            received = bytearray()
            for chunk in response.iter_raw():
                received += chunk
                if len(received) > _LARGEST:
                    raise self.trouble(f"answers with more than {_LARGEST >> 20} MB", "It is no connector's answer.")
            # An answer without a length looks whole when it is cut off.
            if cutter.is_over.is_set():
                raise UnknownOutcomeError
            return Answer(response.status_code, _json(bytes(received)))

    def _understood(self, answer: Answer) -> Answer:
        if answer.status in {401, 403}:
            raise VaultError(
                f"the connector of the space {self._space} does not take the key",
                "Check `key` of the space in pathcurate.yaml, and that the key may write.",
            )
        return answer

    def trouble(self, what: str, hint: str) -> InputOutputError:
        """That the connector does something which it should not."""
        return InputOutputError(f"the connector of the space {self._space} {what}", hint)

    def said(self, answer: Answer) -> str:
        """What a refusal says, as text for a message: short, on one line, without the key."""
        body = answer.body[0] if isinstance(answer.body, list) and answer.body else answer.body
        text = body.get("message") if isinstance(body, Mapping) else None
        return f"status {answer.status}: {self.line(text)}" if isinstance(text, str) else f"status {answer.status}"

    def line(self, text: object) -> str:
        """A text of the connector's, short, on one line, without the key; empty if it is none."""
        if not isinstance(text, str):
            return ""
        # The whole is searched for the key before it is cut, so that no half of it is left.
        plain = "".join(sign if sign.isprintable() else " " for sign in text.replace(self._key, "***"))
        return " ".join(plain.split())[:_LONGEST_SAID]


def quoted(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def _joined(address: str, path: str, name: str | None) -> str:
    return f"{address}{path}" if name is None else f"{address}{path}/{quoted(name)}"


def _json(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except (ValueError, RecursionError):
        return None


def _unreached(error: Exception) -> tuple[str, str]:
    if "CERTIFICATE" in str(error).upper():
        return "has a certificate that is not trusted", "Install the certificate of who issued it on this machine."
    return "cannot be reached", "Check `address` of the space in pathcurate.yaml, and that it runs."


class _Cutter:
    """Cuts the connections of a request when its time is up."""

    def __init__(self) -> None:
        self.is_over = threading.Event()
        self._sockets: list[socket.socket] = []

    def trace(self, event: str, told: Mapping[str, Any]) -> None:
        """What httpx tells of its connections."""
        stream = told.get("return_value") if event.endswith(("connect_tcp.complete", "start_tls.complete")) else None
        found = stream.get_extra_info("socket") if stream is not None else None
        if found is not None:
            self._sockets.append(found)
            if self.is_over.is_set():
                self.cut()

    def cut(self) -> None:
        """End every connection that there is."""
        self.is_over.set()
        for each in list(self._sockets):
            try:
                # Of a TLS socket its own `shutdown` would take the encryption away while another thread reads.
                socket.socket.shutdown(each, socket.SHUT_RDWR)
            except OSError:
                continue


@contextmanager
def _cut_off(seconds: float) -> Iterator[_Cutter]:
    cutter = _Cutter()
    timer = threading.Timer(seconds, cutter.cut)
    timer.daemon = True
    timer.start()
    try:
        yield cutter
    finally:
        timer.cancel()


def client(*, is_encrypted: bool) -> "httpx.Client":
    """A client that trusts what this machine trusts, follows no redirect, and asks no variable of the environment.

    Args:
        is_encrypted: whether it is to speak TLS; reading what the machine trusts takes a while.

    Raises:
        UsageError: httpx is not installed.
    """
    try:
        import httpx  # noqa: PLC0415 (of an extra)
    except ImportError:
        raise UsageError("a connector needs the package httpx, which is not installed", INSTALL) from None
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=0)
    return httpx.Client(
        verify=ssl.create_default_context() if is_encrypted else False,
        follow_redirects=False,
        trust_env=False,
        limits=limits,
        http2=False,
    )
