"""Which slides people are asked about: a random sample of each tier, and those whose link is uncertain."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from pathcurate.engines import Engine
from pathcurate.model.link import LINK_DECISIONS, LINKED_TIERS, LINKS
from pathcurate.relations import relation
from pathcurate.sqlplan.expressions import literal
from pathcurate.tables import Catalog

REASONS: Final[Mapping[str, str]] = {
    "conflict": "tier = 'conflict'",
    "patient_disagrees": "patient_agrees = false",
    "scanned_before_receipt": "scanned_after_receipt = false",
    "organ_disagrees": "organ_agrees = false",
    "other_number": "confidence < 1",
    "by_patient_and_date": "tier = 'patient_date'",
    "stain_unlikely": "stain_plausible = false",
    "block_not_named": "block_named = false",
    "candidates_only": "tier = 'none' AND len(losing_candidates) > 0",
}
"""Why a link is uncertain, the gravest first, and how that is told from a row of ``links``."""

_STRATA: Final = "link_review_strata"
_TAKEN: Final = "link_review_taken"
_DECIDED: Final = "link_review_decided"
_STRATA_COLUMNS: "Final[Sequence[tuple[str, pa.DataType]]]" = (
    ("class", pa.string()), ("site", pa.string()), ("allotted", pa.int64()), ("ceiling", pa.string()),
)  # fmt: skip
_SPARE: Final = 4
"""How many times the rows that are wanted of a stratum are ranked: ranking all of millions would take a minute."""
_DIGITS: Final = 12

Stratum = tuple[str, str]
Allotment = Callable[[Mapping[Stratum, int]], dict[Stratum, int]]
"""Says how many of each stratum are drawn, given how many there are."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a sheet shall hold.

    Attributes:
        sites: only slides of these sites; all if empty.
        tiers: only slides of these tiers; all if empty.
        sample: slides drawn at random of each linked tier.
        uncertain: slides whose link is uncertain.
        most: slides of the whole sheet, the sample first.
        seed: of what is drawn; the same seed draws the same slides from the same links, and a larger sample holds a smaller.
        again: also slides that people have decided about under the rules that made the link.
    """

    sites: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    sample: int = 30
    uncertain: int = 100
    most: int = 500
    seed: int = 0
    again: bool = False


@dataclass(frozen=True, slots=True)
class Drawn:
    """A slide that was drawn.

    Attributes:
        slide_id: the slide.
        purpose: ``sample`` or ``uncertain``; only the first may be used for estimates.
    """

    slide_id: str
    purpose: str


def draw(engine: Engine, catalog: Catalog, choice: Choice) -> list[Drawn]:
    """The slides of a sheet: what was sampled, then what is uncertain.

    A tier's sample is spread over sites in proportion to their links and drawn from all of them, the uncertain ones too.
    Uncertain slides are taken in turn for each reason and site, so that the many of one kind do not hide the few of another;
    of those that a person has decided about, only a sample is shown. Slides without a case are among them if they have
    numbers, or if their tier is asked for.

    Args:
        engine: for SQL.
        catalog: with the links.
        choice: what is wanted.
    """
    links = _links(engine, catalog, choice)
    tiers = [tier for tier in LINKED_TIERS if not choice.tiers or tier in choice.tiers]
    sampled: list[str] = []
    if choice.sample and tiers:
        names = ", ".join(f"'{tier}'" for tier in tiers)
        classified = f"SELECT slide_id, site, tier AS class FROM {links} l WHERE tier IN ({names})"
        each = min(choice.sample, choice.most // len(tiers))
        sampled = _drawn(engine, classified, choice.seed, lambda counts: _in_proportion(counts, each))
    left = min(choice.uncertain, choice.most - len(sampled))
    if left <= 0:
        return [Drawn(slide_id, "sample") for slide_id in sampled]
    engine.view(_TAKEN, pa.table({"slide_id": pa.array(sampled, pa.string())}))
    # Who asks for slides without a case wants those too that bear no number, but have a label to look at.
    doubts = {**REASONS, "candidates_only": "tier = 'none'"} if "none" in choice.tiers else REASONS
    reasons = " ".join(f"WHEN {test} THEN '{reason}'" for reason, test in doubts.items())
    classified = (
        f"SELECT c.slide_id, c.site, c.class FROM (SELECT slide_id, site, CASE {reasons} END AS class FROM {links} l "
        f"WHERE tier <> 'reviewed') c LEFT JOIN {_TAKEN} t ON c.slide_id = t.slide_id "
        "WHERE c.class IS NOT NULL AND t.slide_id IS NULL"
    )
    uncertain = _drawn(engine, classified, choice.seed, lambda counts: _in_turn(counts, left))
    return [*(Drawn(slide_id, "sample") for slide_id in sampled), *(Drawn(slide_id, "uncertain") for slide_id in uncertain)]


_COLUMNS: Final = (
    "slide_id", "site", "tier", "confidence", "patient_agrees", "scanned_after_receipt", "organ_agrees", "stain_plausible",
    "block_named", "losing_candidates", "rule_set_sha",
)  # fmt: skip


def _links(engine: Engine, catalog: Catalog, choice: Choice) -> str:
    """SQL for the links of slides that may be asked about."""
    tests = ["b.slide_id IS NOT NULL"]
    for column, values in (("site", choice.sites), ("tier", choice.tiers)):
        if values:
            tests.append(f"b.{column} IN ({', '.join(literal(value) for value in values)})")
    decided = catalog.read(LINK_DECISIONS, columns=("slide_id", "rule_set_sha"))
    engine.view(_DECIDED, decided.slice(0, 0) if choice.again else decided)
    names = ", ".join(f"b.{name}" for name in _COLUMNS)
    # A join and not NOT EXISTS, for which DuckDB would hold all links.
    return (
        f"(SELECT {names} FROM {relation(engine, catalog, LINKS, _COLUMNS)} b LEFT JOIN "
        f"(SELECT DISTINCT slide_id, coalesce(rule_set_sha, '') AS rules FROM {_DECIDED}) d "
        "ON b.slide_id = d.slide_id AND coalesce(b.rule_set_sha, '') = d.rules "
        f"WHERE d.slide_id IS NULL AND {' AND '.join(tests)})"
    )


def _drawn(engine: Engine, classified: str, seed: int, allot: Allotment) -> list[str]:
    """Slides drawn from each stratum, as many as are allotted to it, in the order of the allotment."""
    counts = {
        (str(name), str(site)): int(count)
        for name, site, count in engine.rows(f"SELECT class, site, count(*) FROM ({classified}) k GROUP BY class, site")
    }
    allotted = {stratum: number for stratum, number in allot(counts).items() if number}
    if not allotted:
        return []
    rows = [
        {"class": name, "site": site, "allotted": number, "ceiling": _ceiling(number, counts[name, site])}
        for (name, site), number in sorted(allotted.items())
    ]
    engine.view(_STRATA, pa.Table.from_pylist(rows, pa.schema(_STRATA_COLUMNS)))
    # A digest of seed and slide is its lot: it depends neither on the order of rows nor on what else is there.
    lots = (
        f"SELECT k.slide_id, k.class, k.site, s.allotted, s.ceiling, md5('{seed}:' || k.slide_id) AS lot "
        f"FROM ({classified}) k JOIN {_STRATA} s ON k.class = s.class AND k.site = s.site"
    )
    ranked = (
        "SELECT slide_id, class, site, allotted, lot, row_number() OVER (PARTITION BY class, site ORDER BY lot, slide_id) "
        f"AS place FROM ({lots}) g WHERE substr(lot, 1, {_DIGITS}) <= ceiling"
    )
    chosen = engine.rows(f"SELECT slide_id, class, site, place FROM ({ranked}) r WHERE place <= allotted")
    order = {stratum: number for number, stratum in enumerate(allotted)}
    chosen.sort(key=lambda row: (order[row[1], row[2]], row[3]))
    return [str(row[0]) for row in chosen]


def _ceiling(wanted: int, count: int) -> str:
    """The greatest lot that is ranked: several times what is wanted of a stratum lies below it, or all of it."""
    whole = 16**_DIGITS - 1
    return f"{min(whole, whole * _SPARE * (wanted + 50) // count):0{_DIGITS}x}"


def _in_proportion(counts: Mapping[Stratum, int], each: int) -> dict[Stratum, int]:
    """So many of each class, over its sites in proportion to their counts (largest remainder)."""
    allotted: dict[Stratum, int] = {}
    for name in sorted({name for name, _ in counts}, key=LINKED_TIERS.index):
        members = {stratum: count for stratum, count in counts.items() if stratum[0] == name}
        total = sum(members.values())
        wanted = min(each, total)
        shares = {stratum: divmod(wanted * count, total) for stratum, count in members.items()}
        allotted |= {stratum: shares[stratum][0] for stratum in sorted(shares)}
        left = wanted - sum(whole for whole, _ in shares.values())
        for stratum in sorted(shares, key=lambda stratum: (-shares[stratum][1], stratum))[:left]:
            allotted[stratum] += 1
    return allotted


def _in_turn(counts: Mapping[Stratum, int], wanted: int) -> dict[Stratum, int]:
    """One of each stratum in turn, the gravest reason first, until there are enough or none is left."""
    gravest = list(REASONS)
    order = sorted(counts, key=lambda stratum: (gravest.index(stratum[0]), stratum[1]))
    allotted = dict.fromkeys(order, 0)
    left = min(wanted, sum(counts.values()))
    while left:
        for stratum in order:
            if left and allotted[stratum] < counts[stratum]:
                allotted[stratum] += 1
                left -= 1
    return allotted
