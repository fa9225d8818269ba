"""A product: a release that is entered into a registry, and what happened to it there."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pathcurate.errors import InputOutputError
from pathcurate.model.lifecycle import Machine

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
        facts: what else commands have set, such as a certificate; JSON without fractions.
        last: number of the last event that moved it; 0 if it is not in a registry.

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
    facts: Mapping[str, Any] = field(default_factory=dict)
    last: int = field(default=0, compare=False)

    @property
    def id(self) -> str:
        """What a registry calls it: ``thorax@1.0.0``."""
        return release_id(self.product, self.version)

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
            "counts": dict(self.counts), "registered_at": self.registered_at, "actor": self.actor, "facts": dict(self.facts),
        }  # fmt: skip


def release_id(product: str, version: str) -> str:
    """What a registry calls a version of a product."""
    return f"{product}@{version}"


@dataclass(frozen=True, slots=True)
class Subject:
    """What has a state: a release, a contract or a delivery.

    Attributes:
        machine: what it is.
        id: its name among those of its kind; of a release, see :func:`release_id`.
        product: whose release it is, or is about.
        version: of that release.
        parent: id of the release of a contract, or of the contract of a delivery; empty for a release.
        state: where it stands.
        facts: what commands have set; JSON without fractions.
        opened_at: when it was entered, ISO 8601 in UTC.
        actor: by whom.
        last: number of the last event that moved it.
    """

    machine: Machine
    id: str
    product: str
    version: str
    parent: str
    state: str
    facts: Mapping[str, Any]
    opened_at: str
    actor: str
    last: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A subject that somebody enters.

    Attributes:
        machine: what it is.
        id: its name among those of its kind.
        product: whose release it is, or is about.
        version: of that release.
        parent: see :class:`Subject`.
        actor: who enters it.
        at: when, ISO 8601 in UTC.
        facts: what is known of it; JSON without fractions.
        claims: see :class:`Command`.
    """

    machine: Machine
    id: str
    product: str
    version: str
    parent: str
    actor: str
    at: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    claims: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """What somebody wants done with a subject.

    Attributes:
        machine: what it is.
        subject: its id.
        name: of the command, see ``lifecycle.yaml``.
        actor: who wants it.
        at: when, ISO 8601 in UTC.
        sets: facts that it sets; one that is there already is replaced.
        says: what else is kept with the event, such as digests of evidence.
        claims: (kind, value) that no other subject may have, such as the number of a certificate.
        key: a word of the caller's: the same command with the same word is done once. Empty: none.
        seen: the subject's :attr:`Subject.last` when the caller decided; if somebody was faster, nothing is done.
    """

    machine: Machine
    subject: str
    name: str
    actor: str
    at: str
    sets: Mapping[str, Any] = field(default_factory=dict)
    says: Mapping[str, Any] = field(default_factory=dict)
    claims: Sequence[tuple[str, str]] = ()
    key: str = ""
    seen: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What a command did.

    Attributes:
        subject: as it stands now.
        also: other subjects that it moved.
        is_new: False if it was done before, so that nothing changed.
    """

    subject: Subject
    also: tuple[Subject, ...]
    is_new: bool


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a product; events are only ever added.

    Attributes:
        seq: number in the registry, from 1, without gaps.
        at: when, ISO 8601 in UTC.
        actor: who did it.
        action: what was done: a command of ``lifecycle.yaml``.
        product: name of the product.
        version: its version.
        payload: where it led (``to``), what it set (``sets``), said (``says``), claimed (``claims``); or which evidence was
            missing (``refused``), and then nothing changed.
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
    machine: Machine = Machine.RELEASE
    subject: str = ""
    key: str | None = None


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
