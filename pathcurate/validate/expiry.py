"""PC-EXP: what was valid when the release was built, and is not any more. It is the one pack that needs to know the day.

The certificate of registration comes later than the release: its receipt lies among the attestations. Whose signature it
bears is not asked here, `pathcurate product verify` does that.
"""

import contextlib
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from pathcurate.attestations import FOLDER, read_attestations
from pathcurate.digests import release_digest
from pathcurate.errors import InputOutputError
from pathcurate.model.attestation import REGISTRATION_RECEIPT
from pathcurate.model.productfile import PRODUCT_FILE
from pathcurate.model.validation import Breach, Unchecked
from pathcurate.releases import checksums_bytes
from pathcurate.validate.breaches import breach
from pathcurate.validate.opened import Opened

SOON: Final = timedelta(days=30)
_PAPERS = {
    "ethics": ("PC-EXP-001", "the ethics approval"),
    "certificate": ("PC-EXP-002", "the certificate of registration"),
    "authorisation": ("PC-EXP-003", "the authorisation"),
    "impact_assessment": ("PC-EXP-005", "the assessment of personal information"),
    "risk_assessment": ("PC-EXP-005", "the assessment of risk"),
    "notarisation": ("PC-EXP-005", "the notarisation"),
}


def check(opened: Opened, today: date | None) -> Iterator[Breach | Unchecked]:
    """What has expired, or will within 30 days."""
    if today is None:
        yield Unchecked(("PC-EXP",), "nobody said which day it is")
        return
    ends = _certificates(opened)
    seen = {"PC-EXP-002"} if ends else set()
    if ends:
        yield from judged("PC-EXP-002", "the certificate of registration", max(ends), today, file=FOLDER)
    if opened.product is None:
        rules = tuple(rule for rule in (*dict(_PAPERS.values()), "PC-EXP-004", "PC-EXP-006") if rule not in seen)
        yield Unchecked(rules, f"nobody says in {PRODUCT_FILE} what the product rests on, and until when")
        return
    evidence, policy = opened.product.evidence, opened.product.policy
    for name, (rule, what) in _PAPERS.items():
        paper = getattr(evidence, name)
        if paper is not None and paper.valid_until is not None:
            seen.add(rule)
            yield from judged(
                rule, what, paper.valid_until, today, file=PRODUCT_FILE, cause=("evidence", name, "valid_until")
            )
    if policy.valid_until is not None:
        seen.add("PC-EXP-004")
        cause = ("policy", "valid_until")
        yield from judged("PC-EXP-004", "the policy", policy.valid_until, today, file=PRODUCT_FILE, cause=cause)
    for rule, what in dict(_PAPERS.values()).items():
        if rule not in seen:
            yield Unchecked((rule,), f"{PRODUCT_FILE} names no last day of {what}", applies=False)
    if "PC-EXP-004" not in seen:
        yield Unchecked(("PC-EXP-004",), f"{PRODUCT_FILE} names no last day of use", applies=False)


def _certificates(opened: Opened) -> list[date]:
    """Last days of the certificates whose receipts lie beside the release; a renewed one has a receipt of its own."""
    digest = release_digest(checksums_bytes(opened.directory)).removeprefix("sha256:")
    found = []
    for file in read_attestations(opened.directory):
        try:
            statement = file.envelope.statement() if file.envelope is not None else None
        except InputOutputError:
            continue  # `product verify` tells of it
        if statement is None or statement.predicate_type != REGISTRATION_RECEIPT:
            continue
        until = statement.predicate.get("validUntil")
        if digest in {subject.sha256 for subject in statement.subjects} and isinstance(until, str):
            with contextlib.suppress(ValueError):
                found.append(date.fromisoformat(until))
    return found


def judged(
    rule: str, what: str, until: date, today: date, *, file: str | None = None, cause: tuple[str | int, ...] | None = None
) -> Iterator[Breach]:
    """What a last day says on a day; the last day itself still counts."""
    if until < today:
        yield breach(
            rule, f"{what} was valid until {until}", file=file, cause=cause, measured=str(until), threshold=str(today)
        )
    elif until - today <= SOON:
        days = (until - today).days
        when = "today" if not days else "tomorrow" if days == 1 else f"in {days} days"
        yield breach(
            "PC-EXP-006",
            f"{what} ends {when}, on {until}",
            file=file,
            cause=cause,
            measured=str(until),
            threshold=str(today),
        )
