"""Withdrawals as others are told of them: a feed of lines, each of which holds the digest of the one before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

FEED_FILE = "withdrawals.jsonl"
FEED_SIGNED = "withdrawals.dsse.json"
"""The signed head of :data:`FEED_FILE`, beside it."""
FIRST_PREVIOUS = "sha256:" + "0" * 64
"""What the first line has in the place of the digest of the one before."""


class Scope(StrEnum):
    """Of whom or what somebody has withdrawn."""

    PATIENT = "patient"
    CASE = "case"
    SLIDE = "slide"


class Reason(StrEnum):
    """Why; nothing that says more of a person goes out."""

    CONSENT = "consent_withdrawn"
    REFUSAL = "refused"
    ERROR = "released_in_error"
    RIGHTS = "rights_ended"
    ORDER = "ordered_by_authority"
    OTHER = "other"


REASON_ZH: Mapping[Reason, str] = {
    Reason.CONSENT: "撤回知情同意", Reason.REFUSAL: "拒绝使用", Reason.ERROR: "误发布", Reason.RIGHTS: "权利终止",
    Reason.ORDER: "主管部门要求", Reason.OTHER: "其他",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FeedLine:
    """One withdrawal, in the codes of whoever reads the feed.

    Attributes:
        seq: its number in the feed, from 1, without gaps.
        at: when, ISO 8601 in UTC.
        scope: of whom or what.
        reason: why.
        codes: which rows go: names of key columns (``patient_id``, ``case_id``, ``slide_id``, ``report_id``,
            ``series_id`` …) to codes in the reader's layer. A row of any table that has one of them in the column of that
            name goes, and so does a file whose name begins with it.
        affects: releases that hold them, as ``NAME@VERSION``.
        previous: digest of the line before.
        digest: of all the above.
    """

    seq: int
    at: str
    scope: Scope
    reason: Reason
    codes: Mapping[str, Sequence[str]]
    affects: Sequence[str]
    previous: str
    digest: str

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "seq": self.seq, "at": self.at, "scope": str(self.scope), "reason": str(self.reason),
            "codes": {name: list(codes) for name, codes in self.codes.items()}, "affects": list(self.affects),
            "previous": self.previous, "digest": self.digest,
        }  # fmt: skip
