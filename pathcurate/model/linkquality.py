"""How good the links are: counts, estimates made of counts, and the history of runs (the ``link_runs`` table).

Nothing here holds an identifier. Small counts are not hidden: this is for people inside who may see the catalog.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Final

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.link import TIERS
from pathcurate.model.slide import SITE

LINK_RUNS = Table(
    name="link_runs",
    row="the slides of one site in one tier after a run of `link` that found other numbers than the run before",
    key=("at", "site", "tier"),
    columns=(
        Column("at", Type.TIMESTAMP, "When the run ended, UTC.", Identifying.QUASI, Action.DROP, required=True),
        SITE,
        Column("tier", Type.STRING, "Tier of the links.", values=TIERS, required=True),
        Column("slides", Type.INTEGER, "Slides in this tier.", Identifying.QUASI, Action.DROP, required=True),
        Column("linked", Type.INTEGER, "Of these, slides that have a case.", Identifying.QUASI, Action.DROP, required=True),
        Column("rule_set_sha", Type.STRING, "Digest of the site's patterns and the rules.", pattern=r"sha256:[0-9a-f]{64}"),
    ),
)  # fmt: skip

CASE_TYPES: Final = ("primary", "amended", "consultation", "cytology", "frozen", "supplementary", "withdrawn")
"""Kinds of cases: of a case's reports, the first in this order; withdrawn if all of them are."""
LEAST_REVIEWED: Final = 20
"""Reviewed links of a site from which on its precision stands by itself; with fewer the interval says next to nothing."""
LEAST_RECAPTURED: Final = 7
"""Slides that both sources must name; with fewer the estimate is biased (Robson and Regier, Trans. Am. Fish. Soc. 1964)."""
FALL: Final = 2
"""A link rate that falls by more percentage points stands out."""

_Z: Final = 1.959963984540054  # of a standard normal variable 95 % lie within so many standard deviations


def wilson_interval(right: int, judged: int) -> tuple[float, float]:
    """95 % score interval of a share (Wilson, J. Am. Stat. Assoc. 22, 1927); ``judged`` is at least 1."""
    share = right / judged
    weight = _Z**2 / judged
    middle = share + weight / 2
    reach = _Z * sqrt(share * (1 - share) / judged + weight / (4 * judged))
    # At none and at all the limit is exact, which rounding would miss.
    low = 0.0 if right == 0 else (middle - reach) / (1 + weight)
    high = 1.0 if right == judged else (middle + reach) / (1 + weight)
    return low, high


def chapman_estimate(first: int, second: int, both: int) -> tuple[float, float]:
    """How many there are, of which one source catches ``first``, another ``second``, and ``both`` catch the same.

    Lincoln and Petersen's estimate with the correction of Chapman (Univ. Calif. Publ. Stat. 1, 1951), and its standard
    deviation (Seber, Biometrika 57, 1970). It assumes that one source catches a thing no more easily because the other did.
    """
    estimate = (first + 1) * (second + 1) / (both + 1) - 1
    variance = (first + 1) * (second + 1) * (first - both) * (second - both) / ((both + 1) ** 2 * (both + 2))
    return estimate, sqrt(variance)


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many.

    Attributes:
        name: what they have in common; None where it is not known.
        whole: how many there are.
        part: of these, how many are meant.
        share: ``part / whole``, 0 to 1; None without any.
    """

    name: str | None
    whole: int
    part: int
    share: float | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "share", self.part / self.whole if self.whole else None)


@dataclass(frozen=True, slots=True)
class SiteLinks:
    """The slides of one site.

    Attributes:
        site: its code.
        slides: slides that `link` looked at, and those of them that it gave a case.
        tiers: slides by tier, every tier named.
        conflicts: slides whose sources name different cases, or whose case is doubtful, by the rule that found it.
        unlinked: slides to which nothing gives a case, by the rule that says why.
        years: slides by year of the scan, and those that have a case; the unknown year last.
        cases: cases that the reports know, and those that have a slide.
        slides_per_case: how many cases have so many slides.
        other_numbers: how many slides bear so many numbers besides that of their case; without a case, so many numbers.
        series: series, and those that have a case.
        series_of_person: series of a known person without a case.
        glass: slides of sites whose laboratory system lists its glass, and those whose glass is in the list.
    """

    site: str
    slides: Share
    tiers: Mapping[str, int]
    conflicts: Mapping[str, int]
    unlinked: Mapping[str, int]
    years: tuple[Share, ...]
    cases: Share
    slides_per_case: Mapping[int, int]
    other_numbers: Mapping[int, int]
    series: Share
    series_of_person: int
    glass: Share


@dataclass(frozen=True, slots=True)
class SourceUse:
    """What one source of numbers is good for.

    Attributes:
        source: one of ``KEY_SOURCES``.
        numbers: numbers of cases that it gave; a slide's source may give several.
        known: of these, numbers that the reports of the site have.
        linked: slides that have the case which it names.
        alone: of these, slides whose case no other source names.
    """

    source: str
    numbers: int
    known: int
    linked: int
    alone: int


@dataclass(frozen=True, slots=True)
class FlagCount:
    """How one flag of the evidence stands among the links of one tier."""

    tier: str
    flag: str
    true: int
    false: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Lag:
    """Days from the receipt of the specimen to the scan, among the linked slides of one site.

    Attributes:
        site: its code.
        known: slides of which both days are known.
        unknown: slides of which one is not.
        before: of the known, slides scanned before the specimen was received.
        quartiles: least number of days within which a quarter, a half and three quarters of the known lie; None without any.
    """

    site: str
    known: int
    unknown: int
    before: int
    quartiles: tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Precision:
    """How many links of one tier are right, by the random sample that people judged.

    Attributes:
        tier: tier of the links when they were judged.
        site: a site, or None for all.
        right: judged links that were confirmed.
        wrong: judged links that were rejected, or whose slide belongs to another case.
        unsure: judged links of which the reviewer could not tell; they are in none of the shares.
        precision: share that is right; None if nothing was judged: that nobody looked is not that all is well.
        low: lower limit of its 95 % interval.
        high: upper limit.
    """

    tier: str
    site: str | None
    right: int
    wrong: int
    unsure: int
    precision: float | None = field(init=False)
    low: float | None = field(init=False)
    high: float | None = field(init=False)

    def __post_init__(self) -> None:
        judged = self.right + self.wrong
        low, high = wilson_interval(self.right, judged) if judged else (None, None)
        object.__setattr__(self, "precision", self.right / judged if judged else None)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)


@dataclass(frozen=True, slots=True)
class Recall:
    """How many slides whose case the reports have are found by their numbers, told by two independent sources.

    Attributes:
        site: its code.
        read: slides whose case is named by what was read or given: barcode, label, header, index.
        named: slides whose case is named by file name or folder.
        both: slides whose case both name.
        there_are: estimate of the slides whose case the reports have; None if too few are named by both.
        recall: estimated share of them that is found.
        low: the same with the upper 95 % limit of ``there_are``.
    """

    site: str
    read: int
    named: int
    both: int
    there_are: float | None = field(init=False)
    recall: float | None = field(init=False)
    low: float | None = field(init=False)

    def __post_init__(self) -> None:
        there_are = recall = low = None
        if self.both >= LEAST_RECAPTURED:
            found = self.read + self.named - self.both
            there_are, deviation = chapman_estimate(self.read, self.named, self.both)
            # What was found is there; the correction may put a whole catch a little below itself.
            there_are = max(there_are, float(found))
            recall, low = found / there_are, found / (there_are + _Z * deviation)
        object.__setattr__(self, "there_are", there_are)
        object.__setattr__(self, "recall", recall)
        object.__setattr__(self, "low", low)


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of `link` had found at a site.

    Attributes:
        at: when, ISO 8601 in UTC.
        slides: slides, and those that have a case.
        tiers: slides by tier; tiers without slides are not named.
    """

    at: str
    slides: Share
    tiers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Drift:
    """How a site's links have changed since the run before, and since the first.

    Attributes:
        site: its code.
        now: slides now, and those that have a case.
        tiers: slides by tier now; tiers without slides are not named.
        before: the latest run that had found something else at any site; None if there is none.
        first: the first run, if it is another one than that.
        has_fallen: whether the link rate is more than ``FALL`` points below that of the run before or of the first.
    """

    site: str
    now: Share
    tiers: Mapping[str, int]
    before: Run | None
    first: Run | None
    has_fallen: bool = field(init=False)

    def __post_init__(self) -> None:
        earlier = [run.slides for run in (self.before, self.first) if run is not None]
        object.__setattr__(self, "has_fallen", any(_fell(run, self.now) for run in earlier))


def _fell(earlier: Share, now: Share) -> bool:
    if not now.whole:
        return earlier.part > 0
    # In whole numbers: a fall by exactly so many points is none.
    return 100 * (earlier.part * now.whole - now.part * earlier.whole) > FALL * earlier.whole * now.whole


@dataclass(frozen=True, slots=True)
class LinkQuality:
    """How good the links of a workspace are. Slides that are gone, or whose archive is not configured, have no link.

    Attributes:
        at: when it was made, ISO 8601 in UTC.
        name: of the workspace.
        site_names: what the workspace calls its sites, by code.
        slides: slides, and those that have a case.
        cases: cases, and those that have a slide.
        sites: by site, in the order of their codes.
        tiers: slides by tier, every tier named.
        scanners: slides by scanner model, and those that have a case; the most first. A model that fewer than five slides
            name is counted under ``other``: it comes from a header and may be anything.
        formats: by file format.
        sources: by source of numbers, best first.
        flags: by tier and flag of the evidence, for the tiers that have slides with a case.
        lags: by site.
        cases_by_year: cases by year of receipt, else of the report, and those that have a slide; the unknown year last.
        cases_by_type: cases by the kind of their first report in the order of ``CASE_TYPES``.
        precision: by tier, for every tier of links that has slides or was judged, but ``reviewed`` only if it was judged
            again; after each tier its sites of which enough were judged.
        judged_before: links that were judged under rules which no longer hold; they count nowhere else.
        recall: by site.
        drift: by site.
        glass: glass that the laboratory systems list, and what of it was scanned: by site, year, organ and stain.
    """

    at: str
    name: str
    site_names: Mapping[str, str]
    slides: Share
    cases: Share
    sites: tuple[SiteLinks, ...]
    tiers: Mapping[str, int]
    scanners: tuple[Share, ...]
    formats: tuple[Share, ...]
    sources: tuple[SourceUse, ...]
    flags: tuple[FlagCount, ...]
    lags: tuple[Lag, ...]
    cases_by_year: tuple[Share, ...]
    cases_by_type: tuple[Share, ...]
    precision: tuple[Precision, ...]
    judged_before: int
    recall: tuple[Recall, ...]
    drift: tuple[Drift, ...]
    glass: Mapping[str, tuple[Share, ...]]
