"""How good the links are: rates, evidence, orphans, and what reviewed samples and earlier runs say of them.

Everything is counted in SQL; what comes back is a few thousand rows of counts, whatever the size of the archive.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc

from pathcurate.engines import Engine
from pathcurate.htmlreport.linkreport import link_report_page
from pathcurate.link.review import judged
from pathcurate.model.link import LINKED_TIERS, LINKS, TIERS
from pathcurate.model.linkquality import (
    CASE_TYPES,
    LEAST_REVIEWED,
    LINK_RUNS,
    Drift,
    FlagCount,
    Lag,
    LinkQuality,
    Precision,
    Recall,
    Run,
    Share,
    SiteLinks,
    SourceUse,
)
from pathcurate.model.material import MATERIALS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import KEY_SOURCES, SLIDE_KEYS, SLIDES
from pathcurate.relations import relation
from pathcurate.storage import create_exclusively, private_directory, write_bytes
from pathcurate.tables import Catalog, from_rows
from pathcurate.workspace import Workspace

FLAGS: Final = ("patient_agrees", "scanned_after_receipt", "organ_agrees", "stain_plausible", "block_named")
_READ: Final = frozenset(("barcode", "label", "metadata", "index"))
_NAMED: Final = frozenset(("file_name", "folder"))
_LEAST: Final = 5
"""A scanner's name comes from a header and may be anything; one that fewer slides have is not shown."""
_OTHER: Final = "other"
_GLASS: Final = ("site", "year", "organ", "stain")

Row = tuple[Any, ...]


def link_quality(workspace: Workspace, engine: Engine, now: datetime) -> LinkQuality:
    """How good the links of the catalog are, as they are now.

    Raises:
        InputOutputError: a table of the catalog cannot be read.
    """
    catalog = Catalog(workspace.catalog)
    counted = _Counted(engine, catalog)
    sites = tuple(counted.site(code) for code in counted.codes)
    precision, judged_before = _precision(catalog, counted.tiers(), counted.rules())
    return LinkQuality(
        at=_iso(now), name=workspace.name, site_names={site.code: site.name for site in workspace.sites if site.name},
        slides=_total(site.slides for site in sites), cases=_total(site.cases for site in sites), sites=sites,
        tiers={tier: counted.tiers().get(tier, 0) for tier in TIERS},
        scanners=counted.scanners(), formats=_shares(counted.looks["format"]),
        sources=tuple(counted.sources()), flags=tuple(_flags(engine, counted.links)),
        lags=tuple(_lags(engine, counted.links)),
        cases_by_year=_by_year(counted.case_years), cases_by_type=counted.cases_by_type(),
        precision=precision, judged_before=judged_before, recall=tuple(counted.recall()),
        drift=tuple(_drift(catalog, counted.now())), glass=_glass(engine, catalog, counted.links, counted.cases),
    )  # fmt: skip


def as_document(found: LinkQuality) -> Mapping[str, Any]:
    """The quality of the links as plain data for JSON."""
    return asdict(found)


def write_page(workspace: Workspace, found: LinkQuality, path: Path | None = None) -> Path:
    """Write the page for people; its path.

    Args:
        workspace: the workspace.
        found: what the page says.
        path: the file, replaced if it is there; without it a new one below ``catalog/quality/``.
    """
    page = link_report_page(found).encode()
    if path is not None:
        write_bytes(path, page, 0o600)
        return path
    folder = private_directory(private_directory(workspace.catalog) / "quality")
    stem = f"link-{datetime.fromisoformat(found.at):%Y%m%d-%H%M%S}"
    # Two reports of one second are told apart by a number.
    names = (f"{stem}{f'-{number}' if number > 1 else ''}.html" for number in itertools.count(1))
    return next(folder / name for name in names if create_exclusively(folder / name, page))


# --- Counting ----------------------------------------------------------------------------------------------------

_LINK_COLUMNS: Final = (
    "slide_id", "series_id", "site", "accession", "person_id", "material_id", "tier", "evidence", *FLAGS, "lag_days", "rule",
    "rule_set_sha", "losing_candidates",
)  # fmt: skip
_REPORT_COLUMNS: Final = ("site", "accession", "report_type", "status", "received_date", "reported_date", "organ")


class _Counted:
    """What the tables hold, counted once each.

    Attributes:
        links: relation of the links.
        cases: relation of the cases: site, accession, year, kind (place in ``CASE_TYPES``), organ (only if it has one).
        looks: slides and linked slides by site and year, scanner and format.
        case_years: cases, and cases with slides, by year.
    """

    def __init__(self, engine: Engine, catalog: Catalog) -> None:
        self.links = relation(engine, catalog, LINKS, _LINK_COLUMNS)
        self.cases = _case_relation(relation(engine, catalog, REPORTS, _REPORT_COLUMNS))
        self._ways = engine.rows(_WAYS.format(links=self.links))
        self._series = {row[0]: row[1:] for row in engine.rows(_SERIES.format(links=self.links))}
        self.looks = _looks(engine, catalog, self.links)
        self._slides_per_case: dict[str, dict[int, int]] = {}
        self.case_years: list[Row] = []
        self._case_kinds: list[Row] = []
        for by, site, year, kind, slides, cases, with_slides in engine.rows(
            _CASES.format(links=self.links, cases=self.cases)
        ):
            if by == "site":
                self._slides_per_case.setdefault(site, {})[slides] = cases
            elif by == "year":
                self.case_years.append((year, cases, with_slides))
            else:
                self._case_kinds.append((kind, cases, with_slides))
        self._numbers: dict[str, dict[int, int]] = {}
        for site, numbers, slides in engine.rows(_NUMBERS.format(links=self.links)):
            self._numbers.setdefault(site, {})[numbers] = slides
        keys = relation(engine, catalog, SLIDE_KEYS, ("slide_id", "site", "key", "sources"))
        self._keys = engine.rows(_KEYS.format(keys=keys, cases=self.cases))
        materials = relation(engine, catalog, MATERIALS, ("site", "kind"))
        self._lists_glass = {site for (site,) in engine.rows(_LISTS_GLASS.format(materials=materials))}

    @property
    def codes(self) -> list[str]:
        """The sites of slides, series and reports."""
        return sorted({row[0] for row in self._ways} | self._series.keys() | self._slides_per_case.keys())

    def _of(self, site: str) -> list[Row]:
        return [row for row in self._ways if row[0] == site]

    def site(self, site: str) -> SiteLinks:
        """The links of one site."""
        ways = self._of(site)
        slides = sum(row[4] for row in ways)
        per_case = dict(sorted(self._slides_per_case.get(site, {}).items()))
        series, with_case, of_person = self._series.get(site, (0, 0, 0))
        others = self._numbers.get(site, {})
        lists_glass = site in self._lists_glass
        return SiteLinks(
            site=site, slides=Share(site, slides, sum(row[5] for row in ways)),
            tiers={tier: sum(row[4] for row in ways if row[1] == tier) for tier in TIERS},
            conflicts=_by_rule(ways, "conflict"), unlinked=_by_rule(ways, "none"),
            years=_by_year([row[1:] for row in self.looks["site"] if row[0] == site]),
            cases=Share(site, sum(per_case.values()), sum(cases for count, cases in per_case.items() if count)),
            slides_per_case=per_case,
            other_numbers=dict(sorted({0: slides - sum(others.values()), **others}.items())),
            series=Share(site, series, with_case), series_of_person=of_person,
            glass=Share(site, slides if lists_glass else 0, sum(row[6] for row in ways) if lists_glass else 0),
        )  # fmt: skip

    def tiers(self) -> dict[str, int]:
        """Slides by tier."""
        counts: Counter[str] = Counter()
        for row in self._ways:
            counts[row[1]] += row[4]
        return dict(counts)

    def rules(self) -> dict[str, str | None]:
        """Digest of the rules by which each site's slides are linked."""
        return {row[0]: row[7] for row in self._ways}

    def scanners(self) -> tuple[Share, ...]:
        """Slides by scanner model."""
        shares = _shares(self.looks["scanner"])
        shown = _total(shares)
        whole = _total(_shares(self.looks["format"]))
        if whole.whole > shown.whole:
            shares = (*shares, Share(_OTHER, whole.whole - shown.whole, whole.part - shown.part))
        return shares

    def sources(self) -> Iterable[SourceUse]:
        """What each source of numbers is good for."""
        for source in KEY_SOURCES:
            linked = [row for row in self._ways if row[5] and source in (row[3] or ())]
            alone = sum(row[5] for row in linked if len(set(row[3]) & set(KEY_SOURCES)) == 1)
            given = [row for row in self._keys if source in (row[0] or "").split(",")]
            numbers, known = sum(row[1] for row in given), sum(row[2] for row in given)
            yield SourceUse(source, numbers, known, sum(row[5] for row in linked), alone)

    def cases_by_type(self) -> tuple[Share, ...]:
        """Cases by their kind."""
        return tuple(Share(CASE_TYPES[kind], whole, part) for kind, whole, part in sorted(self._case_kinds))

    def recall(self) -> Iterable[Recall]:
        """What two sources of each site say of slides that none of them names."""
        for site in sorted({row[0] for row in self._ways}):
            ways = [(frozenset(row[3] or ()), row[5]) for row in self._of(site)]
            read = sum(slides for evidence, slides in ways if evidence & _READ)
            named = sum(slides for evidence, slides in ways if evidence & _NAMED)
            both = sum(slides for evidence, slides in ways if evidence & _READ and evidence & _NAMED)
            yield Recall(site, read, named, both)

    def now(self) -> dict[str, tuple[Share, dict[str, int]]]:
        """Slides and tiers of each site."""
        found = [self.site(site) for site in self.codes]
        return {site.site: (site.slides, _present(site.tiers)) for site in found if site.slides.whole}


_WAYS = """
    SELECT site, tier, rule, evidence, count(*) AS slides, count(accession) AS linked, count(material_id) AS glass,
           max(rule_set_sha) AS rule_set_sha
    FROM {links} AS l WHERE slide_id IS NOT NULL GROUP BY site, tier, rule, evidence"""
_SERIES = """
    SELECT site, count(*) AS series, count(accession) AS linked,
           count(CASE WHEN accession IS NULL THEN person_id END) AS of_person
    FROM {links} AS l WHERE series_id IS NOT NULL GROUP BY site"""
_LOOKS = """
    SELECT CASE WHEN grouping(site) = 0 THEN 'site' WHEN grouping(scanner) = 0 THEN 'scanner' ELSE 'format' END AS by_what,
           site, year, scanner, format, count(*) AS slides, count(accession) AS linked
    FROM (SELECT l.site, l.accession, year(s.scan_datetime) AS year, s.scanner_model AS scanner, s.format
          FROM {links} AS l LEFT JOIN {slides} AS s ON l.slide_id = s.slide_id
          WHERE l.slide_id IS NOT NULL) AS looks
    GROUP BY GROUPING SETS ((site, year), (scanner), (format))
    HAVING NOT (grouping(scanner) = 0 AND scanner IS NOT NULL AND count(*) < {least})"""
_CASE = """(
    SELECT site, accession, coalesce(min(year(received_date)), min(year(reported_date))) AS year,
           min(CASE {kinds} END) AS kind, CASE WHEN min(organ) = max(organ) THEN min(organ) END AS organ
    FROM {reports} AS r GROUP BY site, accession)"""
_CASES = """
    SELECT CASE WHEN grouping(site) = 0 THEN 'site' WHEN grouping(year) = 0 THEN 'year' ELSE 'kind' END AS by_what,
           site, year, kind, slides, count(*) AS cases, count(CASE WHEN slides > 0 THEN 1 END) AS with_slides
    FROM (SELECT c.site, c.year, c.kind, coalesce(n.slides, 0) AS slides
          FROM {cases} AS c LEFT JOIN (
              SELECT site, accession, count(*) AS slides FROM {links} AS l
              WHERE slide_id IS NOT NULL AND accession IS NOT NULL GROUP BY site, accession
          ) AS n ON c.site = n.site AND c.accession = n.accession) AS counted
    GROUP BY GROUPING SETS ((site, slides), (year), (kind))"""
# A candidate is a number, and after a space where it stood.
_NUMBERS = """
    SELECT site, numbers, count(*) AS slides
    FROM (SELECT site, slide_id, count(DISTINCT split_part(candidate, ' ', 1)) AS numbers
          FROM (SELECT site, slide_id, unnest(losing_candidates) AS candidate
                FROM {links} AS l WHERE slide_id IS NOT NULL) AS candidates
          GROUP BY site, slide_id) AS counted
    GROUP BY site, numbers"""
_KEYS = """
    SELECT k.sources, count(*) AS numbers, count(c.accession) AS known
    FROM {keys} AS k LEFT JOIN {cases} AS c ON k.site = c.site AND k.key = c.accession
    WHERE k.key IS NOT NULL GROUP BY k.sources"""
_LISTS_GLASS = "SELECT DISTINCT site FROM {materials} AS m WHERE kind = 'slide'"


def _case_relation(reports: str) -> str:
    """SQL for the cases of the reports."""
    withdrawn = CASE_TYPES.index("withdrawn")
    kinds = " ".join(
        f"WHEN report_type = '{kind}' THEN {place}" for place, kind in enumerate(CASE_TYPES) if place != withdrawn
    )
    return _CASE.format(reports=reports, kinds=f"WHEN status = 'withdrawn' THEN {withdrawn} {kinds}")


def _looks(engine: Engine, catalog: Catalog, links: str) -> dict[str, list[Row]]:
    slides = relation(engine, catalog, SLIDES, ("slide_id", "scanner_model", "format", "scan_datetime"))
    looks: dict[str, list[Row]] = {"site": [], "scanner": [], "format": []}
    for by, site, year, scanner, form, *counts in engine.rows(_LOOKS.format(links=links, slides=slides, least=_LEAST)):
        name = {"site": (site, year), "scanner": (scanner,), "format": (form,)}[by]
        looks[by].append((*name, *counts))
    return looks


def _by_rule(ways: Iterable[Row], tier: str) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for row in ways:
        if row[1] == tier:
            counts[row[2] or ""] += row[4]
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _shares(rows: Iterable[Row]) -> tuple[Share, ...]:
    """Shares in the order of their size."""
    return tuple(Share(*row) for row in sorted(rows, key=lambda row: (-row[1], row[0] or "")))


def _by_year(rows: Iterable[Row]) -> tuple[Share, ...]:
    ordered = sorted(rows, key=lambda row: (row[0] is None, row[0] or 0))
    return tuple(Share(None if year is None else str(year), *counts) for year, *counts in ordered)


def _total(shares: Iterable[Share]) -> Share:
    counts = [(share.whole, share.part) for share in shares]
    return Share(None, sum(whole for whole, _ in counts), sum(part for _, part in counts))


def _present(tiers: Mapping[str, int]) -> dict[str, int]:
    return {tier: count for tier, count in tiers.items() if count}


# --- Evidence ----------------------------------------------------------------------------------------------------


def _flags(engine: Engine, links: str) -> Iterable[FlagCount]:
    counted = ", ".join(f"count(CASE WHEN {flag} THEN 1 END), count(CASE WHEN NOT {flag} THEN 1 END)" for flag in FLAGS)
    rows = engine.rows(
        f"SELECT tier, count(*), {counted} FROM {links} AS l "
        "WHERE slide_id IS NOT NULL AND accession IS NOT NULL GROUP BY tier"
    )
    for tier, slides, *counts in sorted(rows, key=lambda row: TIERS.index(row[0])):
        for place, flag in enumerate(FLAGS):
            true, false = counts[2 * place : 2 * place + 2]
            yield FlagCount(tier, flag, true, false, slides - true - false)


def _lags(engine: Engine, links: str) -> Iterable[Lag]:
    days: dict[str, dict[int | None, int]] = {}
    for site, lag, slides in engine.rows(
        f"SELECT site, lag_days, count(*) FROM {links} AS l "
        "WHERE slide_id IS NOT NULL AND accession IS NOT NULL GROUP BY site, lag_days"
    ):
        days.setdefault(site, {})[lag] = slides
    for site, counts in sorted(days.items()):
        unknown = counts.pop(None, 0)
        known = sorted((day, slides) for day, slides in counts.items() if day is not None)
        total = sum(slides for _, slides in known)
        yield Lag(site, total, unknown, sum(slides for day, slides in known if day < 0), _quartiles(known))


def _quartiles(known: Sequence[tuple[int, int]]) -> tuple[int, int, int] | None:
    """The least value at which a quarter, a half and three quarters are reached, of values with their counts."""
    if not known:
        return None
    reached = list(zip(known, itertools.accumulate(count for _, count in known), strict=True))
    total = reached[-1][1]
    first, middle, third = (next(day for (day, _), sum_ in reached if 4 * sum_ >= part * total) for part in (1, 2, 3))
    return first, middle, third


# --- Samples that people judged ----------------------------------------------------------------------------------


def _precision(
    catalog: Catalog, tiers: Mapping[str, int], rules: Mapping[str, str | None]
) -> tuple[tuple[Precision, ...], int]:
    """Precision by tier and by site, and how many judgements are of former rules.

    A link that was judged because something looked wrong says nothing of its tier, so only samples count.
    """
    counts: dict[tuple[str, str | None], Counter[str]] = {}
    before = 0
    for row in judged(catalog).to_pylist():
        if row["purpose"] != "sample" or row["tier"] not in LINKED_TIERS:
            continue
        if row["rule_set_sha"] is None or row["rule_set_sha"] != rules.get(row["site"]):
            before += 1
            continue
        for site in (None, row["site"]):
            counts.setdefault((row["tier"], site), Counter())[_outcome(row)] += 1
    enough = {key for key, count in counts.items() if count["right"] + count["wrong"] >= LEAST_REVIEWED}
    # What people decided is right by their word, and stands here only if somebody looked again.
    all_sites = {(tier, None) for tier in LINKED_TIERS if (tiers.get(tier) and tier != "reviewed") or (tier, None) in counts}
    keys = sorted(enough | all_sites, key=lambda key: (TIERS.index(key[0]), key[1] or ""))
    found = ((tier, site, counts.get((tier, site), Counter())) for tier, site in keys)
    return tuple(Precision(tier, site, n["right"], n["wrong"], n["unsure"]) for tier, site, n in found), before


def _outcome(row: Mapping[str, Any]) -> str:
    if row["decision"] == "unsure":
        return "unsure"
    is_same = row["accession"] is None or row["accession"] == row["proposed_accession"]
    return "right" if row["decision"] == "confirm" and is_same else "wrong"


# --- Runs --------------------------------------------------------------------------------------------------------

_NOW = """
    SELECT site, tier, count(*) AS slides, count(accession) AS linked, max(rule_set_sha) AS rule_set_sha
    FROM {links} AS l WHERE slide_id IS NOT NULL GROUP BY site, tier ORDER BY site, tier"""


def record_run(engine: Engine, catalog: Catalog, now: datetime) -> bool:
    """Remember what a run of `link` has found, by which later reports tell the drift.

    Returns:
        Whether anything is remembered: a run that found what the one before had found leaves the table as it is.
    """
    links = relation(engine, catalog, LINKS, ("slide_id", "series_id", "site", "tier", "accession", "rule_set_sha"))
    names = [name for name in LINK_RUNS.names if name != "at"]
    found = [dict(zip(names, row, strict=True)) for row in engine.rows(_NOW.format(links=links))]
    runs = _runs(catalog)
    if found == [{name: row[name] for name in names} for row in (runs[-1] if runs else ())]:
        return False
    at = now.astimezone(UTC).replace(tzinfo=None)
    catalog.upsert(LINK_RUNS, from_rows(LINK_RUNS, ({"at": at, **row} for row in found)))
    return True


def _runs(catalog: Catalog) -> list[list[dict[str, Any]]]:
    """The first run and the last two, the earliest first; fewer if there are not so many."""
    runs = catalog.read(LINK_RUNS)
    times = pc.unique(runs["at"]).sort()
    kept = [times[place] for place in sorted({0, len(times) - 2, len(times) - 1}) if 0 <= place < len(times)]
    rows = (runs.filter(pc.equal(runs["at"], at)).to_pylist() for at in kept)
    return [sorted(run, key=lambda row: (row["site"], row["tier"])) for run in rows]


def _drift(catalog: Catalog, now: Mapping[str, tuple[Share, Mapping[str, int]]]) -> Iterable[Drift]:
    runs = [_by_site(run) for run in _runs(catalog)]
    # The last run is usually the present; links that nobody recorded are compared with it.
    if runs and {site: (run.slides, run.tiers) for site, run in runs[-1].items()} == now:
        runs.pop()
    before = runs[-1] if runs else {}
    first = runs[0] if len(runs) > 1 else {}
    for site in sorted(now.keys() | before.keys()):
        slides, tiers = now.get(site, (Share(site, 0, 0), {}))
        yield Drift(site, slides, tiers, before.get(site), first.get(site))


def _by_site(rows: Iterable[Mapping[str, Any]]) -> dict[str, Run]:
    sites: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        sites.setdefault(row["site"], []).append(row)
    runs = {}
    for site, tiers in sites.items():
        slides = Share(site, sum(row["slides"] for row in tiers), sum(row["linked"] for row in tiers))
        runs[site] = Run(_iso(tiers[0]["at"].replace(tzinfo=UTC)), slides, {row["tier"]: row["slides"] for row in tiers})
    return runs


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


# --- Glass -------------------------------------------------------------------------------------------------------

_COVERAGE = """
    SELECT CASE WHEN grouping(site) = 0 THEN 'site' WHEN grouping(year) = 0 THEN 'year'
                WHEN grouping(organ) = 0 THEN 'organ' ELSE 'stain' END AS by_what,
           site, year, organ, stain, count(*) AS glass, count(seen) AS scanned
    FROM (SELECT m.site, coalesce(year(m.made_date), c.year) AS year, coalesce(m.organ, c.organ) AS organ, m.stain,
                 l.material_id AS seen
          FROM {materials} AS m
               LEFT JOIN (SELECT DISTINCT material_id FROM {links} AS l WHERE slide_id IS NOT NULL) AS l
                   ON m.material_id = l.material_id
               LEFT JOIN {cases} AS c ON m.site = c.site AND m.accession = c.accession
          WHERE m.kind = 'slide') AS glass
    GROUP BY GROUPING SETS ((site), (year), (organ), (stain))"""
_GLASS_COLUMNS: Final = ("material_id", "site", "kind", "accession", "made_date", "organ", "stain")


def _glass(engine: Engine, catalog: Catalog, links: str, cases: str) -> dict[str, tuple[Share, ...]]:
    materials = relation(engine, catalog, MATERIALS, _GLASS_COLUMNS)
    found: dict[str, list[Row]] = {name: [] for name in _GLASS}
    for by, *values, glass, scanned in engine.rows(_COVERAGE.format(materials=materials, links=links, cases=cases)):
        found[by].append((values[_GLASS.index(by)], glass, scanned))
    return {name: _by_year(rows) if name == "year" else _shares(rows) for name, rows in found.items()}
