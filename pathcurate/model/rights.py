"""Rights in the data of a site: who holds them, on what paper it is used, and what of a price is whose.

A site's part of a price follows what a release holds of it; :class:`SourceStatement` keeps that beside the release, for the
institution alone: small counts of a site could tell something about people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal, Self

MINOR_UNITS: Mapping[str, int] = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF",
         "XPF"), 0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}  # fmt: skip
"""Decimals of currencies that do not have two (ISO 4217, list one)."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the rights in a site's data stand on a day.

    Attributes:
        site: code of the site.
        holder: who holds the rights; None if nobody says.
        authorisation: digest of the document, as ``sha256:`` and 64 digits; None if there is none.
        valid_until: last day of the authorisation; None if it does not end.
        share: of what is paid for the site's data, the site's part, 0 to 1; None if nobody says.
        fault: why rows of the site cannot be built in, as a sentence without its full stop; None if they can.
        is_withdrawn: whether the site was withdrawn, which nothing takes back.
    """

    site: str
    holder: str | None = None
    authorisation: str | None = None
    valid_until: date | None = None
    share: Decimal | None = None
    fault: str | None = None
    is_withdrawn: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "site": self.site, "holder": self.holder, "authorisation": self.authorisation,
            "valid_until": str(self.valid_until) if self.valid_until is not None else None,
            "share": str(self.share) if self.share is not None else None,
            "fault": self.fault, "is_withdrawn": self.is_withdrawn,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """From what :meth:`as_dict` gave.

        Raises:
            KeyError, TypeError, ValueError, ArithmeticError: it is something else.
        """
        until, share = content["valid_until"], content["share"]
        part = Decimal(share) if share is not None else None
        if part is not None and not 0 <= part <= 1:
            raise ValueError("a share is between 0 and 1")
        return cls(
            content["site"], content["holder"], content["authorisation"],
            date.fromisoformat(until) if until is not None else None, part, content["fault"], content["is_withdrawn"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """That a site was withdrawn.

    Attributes:
        site: its code.
        at: when, ISO 8601 in UTC.
        actor: by whom.
        reason: why, in their words.
    """

    site: str
    at: str
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ending:
    """Something with a last day.

    Attributes:
        what: kind of document, such as ``ethics approval``.
        name: which one: its number, or who gave it; empty if nobody says.
        of: what hangs on it.
        owner: which product, site or contract that is.
        until: last day on which it is valid.
    """

    what: str
    name: str
    of: Literal["product", "site", "contract"]
    owner: str
    until: date


@dataclass(frozen=True, slots=True)
class Due(Ending):
    """Something that has run out or soon will.

    Attributes:
        days_left: days until its last day; 0 on that day, negative afterwards.
    """

    days_left: int


@dataclass(frozen=True, slots=True)
class Source:
    """What of a release is a site's.

    Attributes:
        counts: ``slides``, ``cases`` and ``patients`` behind the units of the site, ``series`` or ``events`` where these are
            the units, and ``rows``: those of all tables. Slides and cases of all sites add up to the release's; a patient
            counts at each site, and so patients may not.
        standing: the site's rights as they stood.
    """

    counts: Mapping[str, int]
    standing: Standing


@dataclass(frozen=True, slots=True)
class SourceStatement:
    """What a release is made of by site.

    Attributes:
        product: name of the product.
        version: its version.
        release_digest: of the release, as ``sha256:`` and 64 digits.
        day: on which the rights stood so.
        sites: by code, sorted.
    """

    product: str
    version: str
    release_digest: str
    day: date
    sites: Mapping[str, Source]

    def counts(self, level: str) -> dict[str, int]:
        """How many slides, cases, patients, series, events or rows are of each site."""
        return {site: source.counts.get(level, 0) for site, source in self.sites.items()}

    def shares(self) -> dict[str, Decimal | None]:
        """The part of each site in what is paid for its data; None where nobody says."""
        return {site: source.standing.share for site, source in self.sites.items()}

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "product": self.product, "version": self.version, "release_digest": self.release_digest, "day": str(self.day),
            "sites": {
                site: {"counts": dict(source.counts), "standing": source.standing.as_dict()}
                for site, source in sorted(self.sites.items())
            },
        }  # fmt: skip

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """From what :meth:`as_dict` gave.

        Raises:
            KeyError, TypeError, ValueError, AttributeError, ArithmeticError: it is something else.
        """
        sites = {
            site: Source({level: int(count) for level, count in one["counts"].items()}, Standing.from_dict(one["standing"]))
            for site, one in sorted(content["sites"].items())
        }
        if any(source.standing.site != site or min(source.counts.values()) < 0 for site, source in sites.items()):
            raise ValueError("a count is negative, or a standing is another site's")
        return cls(
            str(content["product"]), str(content["version"]), str(content["release_digest"]),
            date.fromisoformat(content["day"]), sites,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an amount.

    Attributes:
        site: whose it is; None for the operator of the archive, who has what no site has.
        count: by which the amount was split; of the operator that of all.
        share: of what is paid for the site's data, the part that the site gets; of the operator None.
        amount: in the currency of the whole, with its decimals.
    """

    site: str | None
    count: int
    share: Decimal | None
    amount: Decimal
