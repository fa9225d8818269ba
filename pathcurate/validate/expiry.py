"""PC-EXP: what was valid when the release was built, and is not any more. It is the one pack that needs to know the day."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from pathcurate.model.productfile import PRODUCT_FILE
from pathcurate.model.validation import Breach, Unchecked
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
    if opened.product is None:
        yield Unchecked(("PC-EXP",), f"nobody says in {PRODUCT_FILE} what the product rests on, and until when")
        return
    evidence, policy = opened.product.evidence, opened.product.policy
    seen = set()
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
