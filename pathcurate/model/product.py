"""A product: a release that is entered into a registry, and what happened to it there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pathcurate.errors import InputOutputError

# https://semver.org, the expression suggested there.
_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?",
    re.ASCII,
)
_PRODUCT = re.compile(r"[a-z0-9_][a-z0-9_-]{0,63}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LARGEST_COUNT = 2**53 - 1


class State(StrEnum):
    """Where a version stands, from its build to the end of its offer."""

    DRAFT = "draft"
    FROZEN = "frozen"
    VALIDATED = "validated"
    COMPLIANCE_CHECKED = "compliance_checked"
    SUBMITTED = "submitted"
    PUBLIC_NOTICE = "public_notice"
    OBJECTION = "objection"
    RETURNED = "returned"
    REGISTERED = "registered"
    OFFERED = "offered"
    SUSPENDED = "suspended"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of a product in the registry.

    Attributes:
        product: name of the product, of ``a-z``, ``0-9``, ``_`` and ``-``.
        version: semantic version.
        release_digest: of the bytes of ``manifest-sha256.txt``, as ``sha256:`` and 64 digits; this is what is registered.
        content_digest: of the tables, whatever their layout.
        state: where it stands.
        title: for people.
        counts: how many slides, cases, patients; whole numbers from 0.
        registered_at: ISO 8601, in UTC.
        actor: who registered it.

    Raises:
        InputOutputError: a part has another form; it comes from a manifest that something else has written.
    """

    product: str
    version: str
    release_digest: str
    content_digest: str
    state: State
    title: str
    counts: Mapping[str, int]
    registered_at: str
    actor: str

    def __post_init__(self) -> None:
        faults = {
            "product": _PRODUCT.fullmatch(self.product) is None,
            "version": _VERSION.fullmatch(self.version) is None,
            "release_digest": _DIGEST.fullmatch(self.release_digest) is None,
            "content_digest": _DIGEST.fullmatch(self.content_digest) is None,
            "title": not _is_unicode(self.title),
            "counts": not all(_is_unicode(name) and _is_count(count) for name, count in self.counts.items()),
            "registered_at": not _is_utc(self.registered_at),
            "actor": not self.actor or not _is_unicode(self.actor),
        }
        wrong = [name for name, is_wrong in faults.items() if is_wrong]
        if wrong:
            raise InputOutputError(
                f"this cannot be registered: {', '.join(wrong)} does not have the form that the registry keeps",
                "Register a release that `pathcurate manifest build` made.",
            )

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "product": self.product, "version": self.version, "release_digest": self.release_digest,
            "content_digest": self.content_digest, "state": str(self.state), "title": self.title,
            "counts": dict(self.counts), "registered_at": self.registered_at, "actor": self.actor,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a product; events are only ever added.

    Attributes:
        seq: number in the registry, from 1, without gaps.
        at: when, ISO 8601 in UTC.
        actor: who did it.
        action: what was done: ``register``.
        product: name of the product.
        version: its version.
        payload: what the action set.
        previous: digest of the event before, of any product.
        digest: of everything above.
    """

    seq: int
    at: str
    actor: str
    action: str
    product: str
    version: str
    payload: Mapping[str, Any]
    previous: str
    digest: str


def _is_unicode(value: object) -> bool:
    """Whether it is text that UTF-8 can hold: JSON escapes can make lone surrogates, which it cannot."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_COUNT


def _is_utc(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).utcoffset() == timedelta(0)
    except ValueError:
        return False
