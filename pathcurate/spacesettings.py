"""Where releases are listed for others, as ``spaces:`` in ``pathcurate.yaml`` says: data spaces, each with a name."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, Strict, StringConstraints, ValidationInfo

from pathcurate.registryaddress import Secret
from pathcurate.yamlsource import Document, Problem

LONGEST_S = 600.0
"""The most that one call of a connector may be given, in seconds."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
_ADDRESS_FORM = "an address is written https://HOST[:PORT]/PATH, without user, query and fragment"
_KEY_FORM = "the key is never written here: write ${file:PATH} of a file of mode 0600, or ${env:NAME}"
_OF_CONNECTORS = ("address", "version_address", "key", "timeout_s", "insecure")
_DEMANDED = ("address", "key", "access_policy")
_SECRETS = re.compile(r"key|pass|pwd|secret|token", re.IGNORECASE)
_REFERENCE = re.compile(r"\$\{(env|file):[^{}]+\}")


def _address(value: object) -> str:
    try:
        if not isinstance(value, str) or re.fullmatch(r"[!-~]{1,2000}", value) is None:
            raise ValueError
        parts = urlsplit(value)
        is_whole = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
        if not is_whole or "@" in parts.netloc or parts.query or parts.fragment or value.endswith(("?", "#")):
            raise ValueError
    except ValueError:  # urlsplit's own would quote what may hold a password
        raise ValueError(_ADDRESS_FORM) from None
    return value.rstrip("/")


def _key(value: object, info: ValidationInfo) -> Secret:
    base = Path((info.context or {})["base"])
    found = Secret.parse(value, base, "the connector's key", "spaces") if isinstance(value, str) else None
    if found is None:
        raise ValueError(_KEY_FORM)
    return found


_Line = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]


class SpaceSettings(BaseModel):
    """One data space.

    Attributes:
        kind: ``edc`` for a connector of Eclipse EDC, ``files`` for a platform whose people take a folder.
        address: of the connector's management interface, such as ``https://connector.example/api/management``.
        version_address: of its version interface; without it, version 4 is tried.
        key: where the connector's key is.
        access_policy: id of the connector's own policy that says who may see what is offered.
        transfer: how a buyer comes by the data; without it as the release's policy says.
        timeout_s: the most that one call may take in all, in seconds.
        insecure: whether an address without TLS may be one of another machine.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, title="data space")

    kind: Literal["edc", "files"]
    address: Annotated[str, PlainValidator(_address)] | None = None
    version_address: Annotated[str, PlainValidator(_address)] | None = None
    key: Annotated[Secret, PlainValidator(_key)] | None = None
    access_policy: _Line | None = None
    transfer: tuple[_Line, ...] = ()
    timeout_s: Annotated[float, Strict(), Field(gt=0, le=LONGEST_S, allow_inf_nan=False)] = 30.0
    insecure: Annotated[bool, Strict()] = False


def is_local(address: str) -> bool:
    """Whether an address is of this machine."""
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def space_problems(document: Document, spaces: Mapping[str, SpaceSettings]) -> Iterator[Problem]:
    """What is wrong with data spaces that are each of their form, where it stands."""
    doors: dict[str, str] = {}
    for name, space in spaces.items():
        place = ("spaces", name)
        if _NAME.fullmatch(name) is None:
            yield document.problem(place, "a data space's name is 1 to 40 of a-z, 0-9, _ and -", key=True)
        if space.kind == "files":
            for key in space.model_fields_set.intersection(_OF_CONNECTORS):
                yield document.problem((*place, key), f"`{key}` is for a connector (kind: edc)", key=True)
            continue
        for key in _DEMANDED:
            if getattr(space, key) is None:
                yield document.problem(place, f"a connector needs `{key}`")
        if space.address is not None and (other := doors.setdefault(space.address, name)) != name:
            message = f"this connector is the space `{other}` already: it lists a version once"
            yield document.problem((*place, "address"), message)
        for key, address in (("address", space.address), ("version_address", space.version_address)):
            if address is not None and address.startswith("http:") and not is_local(address) and not space.insecure:
                message = f"`{key}` is without TLS, so the key could be read on its way: write https://, or `insecure: true`"
                yield document.problem((*place, key), message)


def without_secrets(document: Document) -> Document:
    """The document whose lines, which messages quote, show nothing that somebody has written in place of a reference."""
    spaces = document.data.get("spaces") if isinstance(document.data, dict) else None
    lines = list(document.lines)
    for name, space in spaces.items() if isinstance(spaces, dict) else ():
        for key, value in space.items() if isinstance(space, dict) else ():
            if _may_hold_secret(key, value):
                line, column = document.position(("spaces", name, key))
                written, shown = lines[line - 1], str(value)
                start = column - 1
                length = len(shown) if isinstance(value, str) and written[start:].startswith(shown) else len(written)
                lines[line - 1] = written[:start] + "*" * len(written[start : start + length]) + written[start + length :]
    return replace(document, lines=tuple(lines))


def _may_hold_secret(key: str, value: Any) -> bool:
    text = value if isinstance(value, str) else ""
    if "address" in key:
        return any(mark in text for mark in "@?#")
    return _SECRETS.search(key) is not None and _REFERENCE.fullmatch(text) is None
