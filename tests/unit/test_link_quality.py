"""How good the links are: every count against plain Python, estimates against published values, nobody named."""

# ruff: noqa: DTZ001  times of scanners and laboratories have no zone

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.cli.linkreport import command
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import UsageError
from pathcurate.htmlreport.linkreport import link_report_page
from pathcurate.link.quality import FLAGS, as_document, link_quality, record_run, write_page
from pathcurate.model.link import LINK_DECISIONS, LINKS, TIERS
from pathcurate.model.linkquality import (
    CASE_TYPES,
    LINK_RUNS,
    Drift,
    LinkQuality,
    Precision,
    Recall,
    Run,
    Share,
    SiteLinks,
    chapman_estimate,
    wilson_interval,
)
from pathcurate.model.material import MATERIALS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import KEY_SOURCES, SLIDE_KEYS, SLIDES
from pathcurate.tables import Catalog, from_rows
from pathcurate.workspace import Workspace, load_workspace

Row = dict[str, Any]
NOW = datetime(2026, 11, 21, 12, 30, 5, tzinfo=UTC)
RULES = "sha256:" + "a" * 64
FORMER = "sha256:" + "b" * 64
SITES = ("NB01", "NB02")


class Bench:
    """A catalog whose tables a test fills with rows."""

    def __init__(self, root: Path, engine: Embedded, names: tuple[str, str] = ("示例医院", "Second")) -> None:
        root.mkdir(parents=True, exist_ok=True)
        file = root / "pathcurate.yaml"
        sites = [{"code": code, "name": name} for code, name in zip(SITES, names, strict=True)]
        file.write_text(json.dumps({"workspace": 1, "name": "示例中心", "sites": sites}))  # JSON is YAML
        self.workspace: Workspace = load_workspace(file)
        self.catalog = Catalog(self.workspace.catalog)
        self.engine = engine

    def links(self, *rows: Row) -> None:
        filled = [{"site": "NB01", "tier": "barcode", "rule_set_sha": RULES, **row} for row in rows]
        self.catalog.replace(LINKS, from_rows(LINKS, filled))

    def slides(self, *rows: Row) -> None:
        filled = [
            {"site": "NB01", "archive": "main", "relpath": row["slide_id"].encode(), "status": "ok", **row} for row in rows
        ]
        self.catalog.replace(SLIDES, from_rows(SLIDES, filled))

    def reports(self, *rows: Row) -> None:
        filled = [
            {"report_id": f"R-{number}", "site": "NB01", "report_type": "primary", "status": "final", **row}
            for number, row in enumerate(rows)
        ]
        self.catalog.replace(REPORTS, from_rows(REPORTS, filled))

    def keys(self, *rows: Row) -> None:
        filled = [{"site": "NB01", "archive": "main", "is_only": True, **row} for row in rows]
        self.catalog.replace(SLIDE_KEYS, from_rows(SLIDE_KEYS, filled))

    def glass(self, *rows: Row) -> None:
        filled = [{"site": "NB01", "kind": "slide", "accession": "S24-1", **row} for row in rows]
        self.catalog.replace(MATERIALS, from_rows(MATERIALS, filled))

    def decisions(self, *rows: Row) -> None:
        filled = [
            {"decision_id": f"D-{number:05d}", "slide_id": f"x{number}", "site": "NB01", "tier": "barcode",
             "purpose": "sample", "accession": "S24-1", "proposed_accession": "S24-1", "rule_set_sha": RULES,
             "decision": "confirm", "decided_at": datetime(2026, 1, 1) + timedelta(seconds=number), **row}
            for number, row in enumerate(rows)
        ]  # fmt: skip
        self.catalog.replace(LINK_DECISIONS, from_rows(LINK_DECISIONS, filled))

    def quality(self) -> LinkQuality:
        return link_quality(self.workspace, self.engine, NOW)

    def record(self, day: int) -> bool:
        return record_run(self.engine, self.catalog, datetime(2026, 10, day, tzinfo=UTC))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with Embedded(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as opened:
        yield opened


@pytest.fixture
def bench(tmp_path: Path, engine: Embedded) -> Bench:
    return Bench(tmp_path / "w", engine)


# --- Estimates ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "judged", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718),
        # Of the brief, and the same seen from the other side.
        (8, 10, 0.4902, 0.9433), (2, 10, 0.0567, 0.5098), (20, 20, 0.8389, 1.0),
    ],
)  # fmt: skip
def test_wilson_gives_published_intervals(right: int, judged: int, low: float, high: float) -> None:
    assert wilson_interval(right, judged) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(st.integers(1, 5000).flatmap(lambda judged: st.tuples(st.integers(0, judged), st.just(judged))))
@settings(max_examples=60, deadline=None)
def test_an_interval_holds_its_share_and_stays_a_share(counts: tuple[int, int]) -> None:
    right, judged = counts
    low, high = wilson_interval(right, judged)
    assert 0 <= low <= right / judged <= high <= 1
    assert high - low > 0
    mirrored = wilson_interval(judged - right, judged)
    assert mirrored == (pytest.approx(1 - high), pytest.approx(1 - low))


def test_nothing_judged_has_no_precision() -> None:
    assert (Precision("exact", None, 0, 0, 9).precision, Precision("exact", None, 0, 0, 9).high) == (None, None)
    assert Precision("exact", None, 9, 0, 9).precision == 1.0
    assert (Precision("exact", None, 9, 0, 9).low or 1) < 0.71


def test_chapman_by_hand() -> None:
    # 25 * 30 / 10 - 1, and the root of 25 * 30 * 15 * 20 / (10 * 10 * 11).
    assert chapman_estimate(24, 29, 9) == (pytest.approx(74.0), pytest.approx(14.30194, abs=1e-5))
    found = Recall("NB01", 24, 29, 9)
    assert (found.there_are, found.recall) == (pytest.approx(74.0), pytest.approx(44 / 74))
    assert found.low == pytest.approx(44 / (74 + 1.959964 * 14.30194), abs=1e-5)


def test_too_few_slides_in_both_give_no_estimate() -> None:
    assert Recall("NB01", 1000, 1000, 6).recall is None
    assert Recall("NB01", 0, 0, 0).there_are is None
    assert Recall("NB01", 10, 10, 7).recall is not None


def test_sources_that_always_agree_find_all_and_no_more() -> None:
    found = Recall("NB01", 50, 50, 50)
    assert (found.there_are, found.recall, found.low) == (50.0, 1.0, 1.0)


def test_recapture_finds_the_true_number_when_sources_are_independent() -> None:
    drawn = random.Random(7)
    slides = [(drawn.random() < 0.6, drawn.random() < 0.45) for _ in range(20_000)]
    found = Recall("NB01", sum(a for a, _ in slides), sum(b for _, b in slides), sum(a and b for a, b in slides))
    assert found.there_are == pytest.approx(20_000, rel=0.02)
    assert found.recall == pytest.approx(1 - 0.4 * 0.55, rel=0.02)
    assert (found.low or 1) < (found.recall or 0)


# --- Counts against plain Python ---------------------------------------------------------------------------------

_SITE = st.sampled_from(SITES)
_ACCESSION = st.sampled_from([f"S24-{number}" for number in range(1, 7)])
_MOMENT = st.none() | st.integers(0, 2000).map(lambda days: datetime(2019, 11, 3) + timedelta(days=days))


@st.composite
def links(draw: st.DrawFn, number: int) -> Row:
    is_linked = draw(st.booleans())
    tier = draw(st.sampled_from([tier for tier in TIERS if (tier not in {"conflict", "none"}) == is_linked]))
    evidence = draw(st.lists(st.sampled_from(KEY_SOURCES), unique=True, max_size=3)) if is_linked else None
    numbers = draw(st.lists(st.tuples(_ACCESSION, st.sampled_from(["barcode: fault", "file_name,folder: another case"]))))
    return {
        "slide_id": f"S-{number:03d}", "site": draw(_SITE), "tier": tier, "rule_set_sha": RULES,
        "accession": draw(_ACCESSION) if is_linked else None, "evidence": evidence,
        "material_id": draw(st.none() | st.integers(0, 9).map(lambda glass: f"M-{glass}")) if is_linked else None,
        "rule": draw(st.sampled_from(["one_witness", "numbers_disagree", "no_number"])),
        "losing_candidates": sorted({" ".join(pair) for pair in numbers}) or None,
        "lag_days": draw(st.none() | st.integers(-3, 9)) if is_linked else None,
        **{flag: draw(st.none() | st.booleans()) for flag in FLAGS},
    }  # fmt: skip


@st.composite
def hospitals(draw: st.DrawFn) -> dict[str, list[Row]]:
    made = [draw(links(number)) for number in range(draw(st.integers(0, 14)))]
    slides = [
        {"slide_id": row["slide_id"], "site": row["site"], "archive": "main", "relpath": b"x", "status": "ok",
         "format": draw(st.sampled_from(["svs", "kfb"])), "scan_datetime": draw(_MOMENT),
         "scanner_model": draw(st.none() | st.sampled_from(["GT450", "KF-PRO", "S360"]))}
        for row in made if draw(st.integers(0, 9))
    ]  # fmt: skip
    reports = [
        {"report_id": f"R-{number}", "site": draw(_SITE), "accession": draw(_ACCESSION),
         "report_type": draw(st.sampled_from(CASE_TYPES[:-1])), "status": draw(st.sampled_from(["final", "withdrawn"])),
         "received_date": draw(_MOMENT), "reported_date": draw(_MOMENT),
         "organ": draw(st.none() | st.sampled_from(["lung", "breast"]))}
        for number in range(draw(st.integers(0, 9)))
    ]  # fmt: skip
    keys = [
        {"slide_id": f"S-{number:03d}", "site": draw(_SITE), "archive": "main", "key": draw(st.none() | _ACCESSION),
         "sources": ",".join(draw(st.lists(st.sampled_from(KEY_SOURCES), unique=True, min_size=1))), "is_only": True}
        for number in range(draw(st.integers(0, 9)))
    ]  # fmt: skip
    glass = [
        {"material_id": f"M-{number}", "site": draw(_SITE), "accession": draw(_ACCESSION),
         "kind": draw(st.sampled_from(["slide", "slide", "block"])),
         "stain": draw(st.none() | st.sampled_from(["HE", "PAS"])),
         "organ": draw(st.none() | st.just("skin")), "made_date": draw(_MOMENT)}
        for number in range(draw(st.integers(0, 9)))
    ]  # fmt: skip
    return {"links": made, "slides": slides, "reports": reports, "keys": keys, "glass": glass}


def shares(rows: list[tuple[Any, bool]]) -> dict[Any, tuple[int, int]]:
    counts: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for name, is_meant in rows:
        counts[name][0] += 1
        counts[name][1] += is_meant
    return {name: (whole, part) for name, (whole, part) in counts.items()}


def shown(found: tuple[Share, ...]) -> dict[Any, tuple[int, int]]:
    assert len({share.name for share in found}) == len(found)
    return {share.name: (share.whole, share.part) for share in found}


def year(moment: datetime | None) -> str | None:
    return str(moment.year) if moment else None


@dataclass(frozen=True)
class Told:
    """A drawn catalog, and what plain Python knows of it."""

    found: LinkQuality
    links: list[Row]
    slides: dict[str, Row]
    keys: list[Row]
    glass: list[Row]
    cases: dict[tuple[str, str], list[Row]]
    slides_of: Counter[tuple[str, str]]

    def of(self, site: str) -> list[Row]:
        return [row for row in self.links if row["site"] == site]

    def look(self, row: Row, column: str) -> Any:
        return self.slides.get(row["slide_id"], {}).get(column)

    def case_year(self, case: tuple[str, str]) -> str | None:
        for column in ("received_date", "reported_date"):
            if moments := [report[column] for report in self.cases.get(case, ()) if report[column]]:
                return year(min(moments))
        return None

    def case_type(self, case: tuple[str, str]) -> str:
        valid = {report["report_type"] for report in self.cases[case] if report["status"] != "withdrawn"}
        return next((kind for kind in CASE_TYPES if kind in valid), "withdrawn")

    def case_organ(self, case: tuple[str, str]) -> str | None:
        organs = {report["organ"] for report in self.cases.get(case, ()) if report["organ"]}
        return organs.pop() if len(organs) == 1 else None


@given(hospitals())
@settings(max_examples=10, deadline=None)
def test_every_count_is_that_of_plain_python(
    tmp_path_factory: pytest.TempPathFactory, engine: Embedded, made: dict[str, list[Row]]
) -> None:
    bench = Bench(tmp_path_factory.mktemp("w"), engine)
    tables = {"links": LINKS, "slides": SLIDES, "reports": REPORTS, "keys": SLIDE_KEYS, "glass": MATERIALS}
    for name, table in tables.items():
        bench.catalog.replace(table, from_rows(table, made[name]))
    cases: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for report in made["reports"]:
        cases[report["site"], report["accession"]].append(report)
    told = Told(
        bench.quality(), made["links"], {row["slide_id"]: row for row in made["slides"]}, made["keys"], made["glass"],
        dict(cases), Counter((row["site"], row["accession"]) for row in made["links"] if row["accession"]),
    )  # fmt: skip
    assert {site.site for site in told.found.sites} == {row["site"] for row in told.links} | {site for site, _ in cases}
    for site in told.found.sites:
        sites_are_counted(told, site)
    slides_are_counted(told)
    evidence_is_counted(told)
    sources_are_counted(told)
    cases_and_glass_are_counted(told)
    link_report_page(told.found)


def sites_are_counted(told: Told, site: SiteLinks) -> None:
    own = told.of(site.site)
    assert (site.slides.whole, site.slides.part) == (len(own), sum(row["accession"] is not None for row in own))
    assert site.tiers == {tier: sum(row["tier"] == tier for row in own) for tier in TIERS}
    assert site.conflicts == Counter(row["rule"] for row in own if row["tier"] == "conflict")
    assert site.unlinked == Counter(row["rule"] for row in own if row["tier"] == "none")
    years = [(year(told.look(row, "scan_datetime")), row["accession"] is not None) for row in own]
    assert shown(site.years) == shares(years)
    assert [share.name for share in site.years] == sorted({at for at, _ in years}, key=lambda at: (at is None, at))
    others = Counter(len({text.split(" ")[0] for text in row["losing_candidates"] or ()}) for row in own)
    assert Counter(site.other_numbers) == Counter({0: 0, **others})
    per_case = Counter(told.slides_of[case] for case in told.cases if case[0] == site.site)
    assert site.slides_per_case == per_case
    assert site.cases.part == sum(count for slides, count in per_case.items() if slides)
    lists_glass = any(row["site"] == site.site and row["kind"] == "slide" for row in told.glass)
    expected = (len(own), sum(row["material_id"] is not None for row in own)) if lists_glass else (0, 0)
    assert (site.glass.whole, site.glass.part) == expected


def slides_are_counted(told: Told) -> None:
    rows, found = told.links, told.found
    assert (found.slides.whole, found.slides.part) == (len(rows), sum(told.slides_of.values()))
    assert found.tiers == {tier: sum(row["tier"] == tier for row in rows) for tier in TIERS}
    assert shown(found.formats) == shares([(told.look(row, "format"), row["accession"] is not None) for row in rows])


def evidence_is_counted(told: Told) -> None:
    assert {flag.tier for flag in told.found.flags} == {row["tier"] for row in told.links if row["accession"]}
    for flag in told.found.flags:
        values = Counter(row[flag.flag] for row in told.links if row["tier"] == flag.tier)
        assert (flag.true, flag.false, flag.unknown) == (values[True], values[False], values[None])
    for lag in told.found.lags:
        linked = [row for row in told.of(lag.site) if row["accession"]]
        days = sorted(row["lag_days"] for row in linked if row["lag_days"] is not None)
        assert (lag.known, lag.unknown, lag.before) == (len(days), len(linked) - len(days), sum(day < 0 for day in days))
        # The inverse of the empirical distribution function (Hyndman and Fan 1996, definition 1).
        places = tuple(days[-(-part * len(days) // 4) - 1] for part in (1, 2, 3)) if days else None
        assert lag.quartiles == places


def sources_are_counted(told: Told) -> None:
    for source in told.found.sources:
        numbers = [row for row in told.keys if row["key"] and source.source in row["sources"].split(",")]
        assert source.numbers == len(numbers)
        assert source.known == sum((row["site"], row["key"]) in told.cases for row in numbers)
        linked = [row for row in told.links if source.source in (row["evidence"] or ())]
        assert (source.linked, source.alone) == (len(linked), sum(len(row["evidence"]) == 1 for row in linked))
    for recall in told.found.recall:
        heard = [set(row["evidence"] or ()) for row in told.of(recall.site)]
        read = [bool(sources & {"barcode", "label", "metadata", "index"}) for sources in heard]
        named = [bool(sources & {"file_name", "folder"}) for sources in heard]
        both = sum(a and b for a, b in zip(read, named, strict=True))
        assert (recall.read, recall.named, recall.both) == (sum(read), sum(named), both)


def cases_and_glass_are_counted(told: Told) -> None:
    cases = [(case, told.slides_of[case] > 0) for case in told.cases]
    assert shown(told.found.cases_by_year) == shares([(told.case_year(case), has) for case, has in cases])
    assert shown(told.found.cases_by_type) == shares([(told.case_type(case), has) for case, has in cases])
    seen = {row["material_id"] for row in told.links}
    listed = [(row, (row["site"], row["accession"])) for row in told.glass if row["kind"] == "slide"]
    names = {
        "site": [row["site"] for row, _ in listed],
        "stain": [row["stain"] for row, _ in listed],
        "organ": [row["organ"] or told.case_organ(case) for row, case in listed],
        "year": [year(row["made_date"]) or told.case_year(case) for row, case in listed],
    }
    scanned = [row["material_id"] in seen for row, _ in listed]
    for by, values in names.items():
        assert shown(told.found.glass[by]) == shares(list(zip(values, scanned, strict=True)))


def test_a_scanner_that_few_slides_name_is_not_shown(bench: Bench) -> None:
    models = ["GT450"] * 6 + ["KF"] * 5 + ["owned by 欧阳靖远"] * 4 + ["欧阳"] + [None] * 2
    bench.links(*({"slide_id": f"S-{n}", "accession": "S24-1" if n % 2 else None} for n in range(len(models))))
    bench.slides(*({"slide_id": f"S-{n}", "scanner_model": model, "format": "svs"} for n, model in enumerate(models)))
    found = bench.quality()
    assert shown(found.scanners) == {"GT450": (6, 3), "KF": (5, 2), None: (2, 1), "other": (5, 3)}
    assert "欧阳" not in link_report_page(found) + json.dumps(as_document(found), ensure_ascii=False)


def test_rows_that_later_parts_replace_count_once(bench: Bench) -> None:
    bench.links({"slide_id": "S-1", "tier": "none"}, {"slide_id": "S-2", "accession": "S24-1"})
    bench.catalog.upsert(
        LINKS, from_rows(LINKS, [{"slide_id": "S-1", "site": "NB01", "tier": "exact", "accession": "S24-1"}])
    )
    bench.slides({"slide_id": "S-1", "format": "svs"})
    bench.catalog.upsert(SLIDES, bench.catalog.read(SLIDES))
    found = bench.quality()
    assert (found.slides.whole, found.slides.part, found.tiers["none"], found.tiers["exact"]) == (2, 2, 0, 1)
    assert shown(found.formats) == {"svs": (1, 1), None: (1, 1)}


def test_series_are_counted_apart_from_slides(bench: Bench) -> None:
    bench.links(
        {"series_id": "I-1", "accession": "S24-1", "person_id": "P-1", "tier": "metadata"},
        {"series_id": "I-2", "person_id": "P-1", "tier": "none"}, {"series_id": "I-3", "tier": "none"},
        {"series_id": "I-4", "tier": "none"},
    )  # fmt: skip
    found = bench.quality()
    (site,) = found.sites
    assert (site.series.whole, site.series.part, site.series_of_person) == (4, 1, 1)
    assert (found.slides.whole, found.slides.share, found.tiers["none"], found.drift) == (0, None, 0, ())
    assert bench.record(1) is False
    page = link_report_page(found)
    assert "No slide has a link yet" in page
    assert "Radiology series" in page


def test_an_empty_catalog_gives_an_empty_report(bench: Bench) -> None:
    found = bench.quality()
    assert (found.slides.whole, found.cases.whole, found.sites, found.precision) == (0, 0, (), ())
    assert "No slide has a link yet" in link_report_page(found)
    assert json.loads(json.dumps(as_document(found)))["slides"] == {"name": None, "whole": 0, "part": 0, "share": None}


# --- Precision ---------------------------------------------------------------------------------------------------


def test_only_samples_under_the_present_rules_count(bench: Bench) -> None:
    bench.links({"slide_id": "S-1", "accession": "S24-1"}, {"slide_id": "S-2", "site": "NB02", "rule_set_sha": FORMER})
    bench.decisions(
        {}, {"accession": None}, {"decision": "reject"}, {"decision": "reject", "accession": None},
        # Confirmed as another case than the rules had found.
        {"accession": "S24-2"},
        {"decision": "unsure"},
        {"decision": "reject", "purpose": "uncertain"}, {"purpose": None},
        {"rule_set_sha": FORMER}, {"rule_set_sha": None}, {"site": "NB02"},
        # The rules of the other site are its own.
        {"site": "NB02", "rule_set_sha": FORMER, "tier": "exact"},
    )  # fmt: skip
    found = bench.quality()
    by_tier = {item.tier: (item.right, item.wrong, item.unsure) for item in found.precision}
    assert by_tier == {"exact": (1, 0, 0), "barcode": (2, 3, 1)}
    assert found.judged_before == 3


def test_the_last_answer_to_a_question_counts_and_a_second_look_does_not_hide_the_first(bench: Bench) -> None:
    bench.links({"slide_id": "a", "accession": "S24-1"})
    bench.decisions(
        {"slide_id": "a", "decision": "unsure"}, {"slide_id": "a", "decision": "reject"},
        {"slide_id": "a", "purpose": "uncertain"}, {"slide_id": "b"},
    )  # fmt: skip
    (item,) = bench.quality().precision
    assert (item.right, item.wrong, item.unsure) == (1, 1, 0)


def test_a_site_stands_apart_from_twenty_judgements_on(bench: Bench) -> None:
    bench.links({"slide_id": "S-1", "accession": "S24-1"}, {"slide_id": "S-2", "site": "NB02", "accession": "S24-1"})
    nineteen = [{"site": "NB02"}] * 19 + [{"site": "NB02", "decision": "unsure"}] * 5
    bench.decisions(*[{}] * 19, {"decision": "reject"}, *nineteen)
    assert [(item.tier, item.site, item.right, item.wrong) for item in bench.quality().precision] == [
        ("barcode", None, 38, 1), ("barcode", "NB01", 19, 1)
    ]  # fmt: skip


def test_a_tier_that_nobody_reviewed_is_not_right(bench: Bench) -> None:
    tiers = ("barcode", "exact", "reviewed")
    bench.links(*({"slide_id": f"S-{tier}", "accession": "S24-1", "tier": tier} for tier in tiers))
    bench.decisions({"tier": "exact", "decision": "unsure"})
    found = bench.quality()
    assert [(item.tier, item.precision, item.low, item.high) for item in found.precision] == [
        ("exact", None, None, None), ("barcode", None, None, None)
    ]  # fmt: skip
    page = link_report_page(found)
    precise = page[page.index("how often they are right") : page.index("A site stands apart")]
    assert "not reviewed" in precise
    assert "nothing decided" in precise
    assert "100.0" not in precise


# --- Runs and drift ----------------------------------------------------------------------------------------------


def filled(bench: Bench, linked: int, whole: int = 100, site: str = "NB01") -> list[Row]:
    return [
        {"slide_id": f"{site}-{n}", "site": site, "accession": "S24-1" if n < linked else None,
         "tier": "barcode" if n < linked else "none"}
        for n in range(whole)
    ]  # fmt: skip


def test_a_run_that_changes_nothing_is_not_recorded(bench: Bench) -> None:
    bench.links(*filled(bench, 90))
    assert (bench.record(1), bench.record(2)) == (True, False)
    state = bench.catalog.state(LINK_RUNS)
    bench.links(*reversed(filled(bench, 90)))
    assert bench.record(3) is False
    assert bench.catalog.state(LINK_RUNS) == state
    bench.links(*({**row, "rule_set_sha": FORMER} for row in filled(bench, 90)))
    assert bench.record(4) is True
    rows = bench.catalog.read(LINK_RUNS).to_pylist()
    assert [(row["at"].day, row["tier"], row["slides"], row["linked"], row["rule_set_sha"]) for row in rows] == [
        (1, "barcode", 90, 90, RULES), (1, "none", 10, 0, RULES), (4, "barcode", 90, 90, FORMER), (4, "none", 10, 0, FORMER),
    ]  # fmt: skip


@pytest.mark.parametrize(("linked", "has_fallen"), [(95, False), (90, False), (88, False), (87, True), (0, True)])
def test_a_fall_by_more_than_two_points_stands_out(bench: Bench, linked: int, has_fallen: bool) -> None:
    bench.links(*filled(bench, 90))
    bench.record(1)
    bench.links(*filled(bench, linked))
    bench.record(2)
    found = bench.quality()
    (drift,) = found.drift
    assert drift.has_fallen is has_fallen
    assert ("Link rates have fallen" in link_report_page(found)) is has_fallen
    if linked == 90:
        assert drift.before is None
    else:
        assert drift.before is not None
        assert (drift.before.at, drift.before.slides.part) == ("2026-10-01T00:00:00+00:00", 90)
        assert drift.before.tiers == {"barcode": 90, "none": 10}


def test_the_run_before_and_the_first_are_compared(bench: Bench) -> None:
    for day, linked in enumerate((95, 50, 60, 92), start=1):
        bench.links(*filled(bench, linked))
        bench.record(day)
    (drift,) = bench.quality().drift
    assert drift.before is not None
    assert drift.first is not None
    assert (drift.now.part, drift.before.slides.part, drift.first.slides.part) == (92, 60, 95)
    assert drift.has_fallen  # below the first, though above the one before
    # Links that no run has recorded are compared with the last one.
    bench.links(*filled(bench, 93))
    (drift,) = bench.quality().drift
    assert drift.before is not None
    assert drift.before.slides.part == 92


def test_a_site_that_vanished_stands_out_and_a_new_one_does_not(bench: Bench) -> None:
    bench.links(*filled(bench, 90))
    bench.record(1)
    bench.links(*filled(bench, 50, site="NB02"))
    bench.record(2)
    found = bench.quality()
    assert [(item.site, item.has_fallen, item.before is None) for item in found.drift] == [
        ("NB01", True, False), ("NB02", False, True)
    ]  # fmt: skip
    link_report_page(found)


@given(st.integers(0, 60), st.integers(1, 60), st.integers(0, 60), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_falling_is_a_matter_of_exact_shares(part: int, whole: int, former: int, former_whole: int) -> None:
    now, before = Share("x", whole, min(part, whole)), Share("x", former_whole, min(former, former_whole))
    fall = before.part * whole * 100 - now.part * former_whole * 100
    drift = Drift("NB01", now, {}, Run("2026-01-01T00:00:00+00:00", before, {}), None)
    assert drift.has_fallen is (fall > 2 * whole * former_whole)


# --- The page ----------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """Elements of a page with the names of their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def hospital(bench: Bench, scanner: str) -> LinkQuality:
    """Something in every table of the page."""
    both = ["barcode", "file_name"]
    bench.links(
        *({"slide_id": f"S-{n}", "accession": f"S24-{n % 7}", "tier": "exact", "evidence": both, "material_id": f"M-{n}",
           "lag_days": n - 2, **dict.fromkeys(FLAGS, n % 5 > 0)} for n in range(30)),
        *({"slide_id": f"T-{n}", "site": "NB02", "tier": "conflict", "rule": "numbers_disagree",
           "losing_candidates": ["S24-1 barcode: another case", "S24-2 file_name: another case"]} for n in range(6)),
        {"slide_id": "U-1", "tier": "none", "rule": "no_number"}, {"series_id": "I-1", "tier": "none"},
    )  # fmt: skip
    bench.slides(*({"slide_id": f"S-{n}", "scanner_model": scanner, "format": "svs",
                    "scan_datetime": datetime(2010 + n % 15, 3, 1)} for n in range(30)))  # fmt: skip
    bench.reports(*({"accession": f"S24-{n}", "received_date": datetime(2020, 1, 1), "organ": "lung"} for n in range(9)))
    bench.keys(*({"slide_id": f"S-{n}", "key": f"S24-{n % 7}", "sources": "barcode,file_name"} for n in range(30)))
    bench.glass({"material_id": "M-1", "stain": "HE"}, {"material_id": "M-77", "stain": "PAS"})
    bench.decisions(*[{"tier": "exact"}] * 25, {"tier": "exact", "decision": "reject"}, {"rule_set_sha": FORMER})
    if not bench.catalog.row_count(LINK_RUNS):
        runs = [
            {"at": datetime(2026, day, 1), "site": "NB01", "tier": "exact", "slides": 31, "linked": 31} for day in (1, 2)
        ]
        bench.catalog.upsert(LINK_RUNS, from_rows(LINK_RUNS, runs))
    return bench.quality()


HOSTILE = "</title></style><script>alert(1)</script><img src=x onerror=y>\"'&amp;{{ 7 * 7 }}\u202etxt.exe"


def test_hostile_names_stay_text(tmp_path: Path, engine: Embedded) -> None:
    plain = Tags(link_report_page(hospital(Bench(tmp_path / "a", engine, ("甲", "B")), "GT450")))
    page = link_report_page(hospital(Bench(tmp_path / "b", engine, (HOSTILE, HOSTILE)), HOSTILE))
    hostile = Tags(page)
    assert hostile.tags == plain.tags
    assert not {"script", "img", "a", "link", "form"} & {tag for tag, _ in hostile.tags}
    assert hostile.text.count("<script>alert(1)</script>") > 10
    assert "{{ 7 * 7 }}" in hostile.text
    assert "\u202e" not in page
    assert "default-src 'none'" in page
    assert "http:" not in page.replace("http-equiv", "")


def test_the_page_has_every_table_and_names_nobody(bench: Bench) -> None:
    found = hospital(bench, "GT450")
    page = link_report_page(found)
    text = Tags(page).text
    for title in (
        "Sites", "Link rate by year", "how often they are right", "speaks for and against", "Sources of numbers",
        "Conflicts, by rule", "without a case, by reason", "bear other numbers", "Cases by number of slides",
        "Days from receipt", "numbers find", "Since earlier runs", "Radiology series", "Scanners", "File formats",
        "Cases by year", "Cases by kind", "By stain", "system lists", "示例医院", "numbers disagree 号码不一致",
    ):  # fmt: skip
        assert title in text
    assert "hides no small count" in text
    everything = text + json.dumps(as_document(found))
    for identifier in ("S-1", "T-3", "U-1", "I-1", "S24-", "M-1", "M-77", "R-1", "D-0000", "x1"):
        assert identifier not in everything


def test_what_is_not_all_is_never_shown_as_all(bench: Bench) -> None:
    bench.links(*filled(bench, 2999, 3000))
    bench.slides(*({"slide_id": f"NB01-{n}", "scan_datetime": datetime(2024, 1, 1)} for n in range(3000)))
    page = link_report_page(bench.quality())
    assert ">99</td>" in page
    assert ">100</td>" not in page
    assert "100.0" not in page


def test_the_same_quality_gives_the_same_page_and_order_of_rows_is_nothing(bench: Bench) -> None:
    first = hospital(bench, "GT450")
    for table in (LINKS, SLIDES, REPORTS, MATERIALS, LINK_DECISIONS, SLIDE_KEYS):
        rows = bench.catalog.read(table).to_pylist()
        random.Random(3).shuffle(rows)
        bench.catalog.replace(table, from_rows(table, rows))
    second = bench.quality()
    assert as_document(first) == as_document(second)
    assert link_report_page(first) == link_report_page(second)


def test_a_year_that_links_badly_is_marked(bench: Bench) -> None:
    rows = [
        {"slide_id": f"S-{year_}-{n}", "accession": "S24-1" if year_ != 2020 or n < 15 else None}
        for year_ in range(2015, 2024) for n in range(20)
    ]  # fmt: skip
    bench.links(*rows)
    bench.slides(
        *({"slide_id": row["slide_id"], "scan_datetime": datetime(int(row["slide_id"][2:6]), 1, 1)} for row in rows)
    )
    page = link_report_page(bench.quality())
    marked = [line for line in page.splitlines() if "15 / 20" in line]
    assert len(marked) == 1
    assert marked[0].count("font-weight:700") == 1


# --- The command -------------------------------------------------------------------------------------------------


def test_pages_of_one_second_do_not_replace_each_other(bench: Bench) -> None:
    found = bench.quality()
    paths = [write_page(bench.workspace, found) for _ in range(3)]
    assert [path.name for path in paths] == [
        "link-20261121-123005.html", "link-20261121-123005-2.html", "link-20261121-123005-3.html"
    ]  # fmt: skip
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in paths)
    assert paths[0].parent.stat().st_mode & 0o777 == 0o700
    assert paths[0].parent.parent == bench.workspace.catalog


def test_the_command(bench: Bench, tmp_path: Path) -> None:
    hospital(bench, "GT450")
    workspace = ["-w", str(bench.workspace.root)]
    shown_ = CliRunner().invoke(command, workspace, catch_exceptions=False, standalone_mode=False)
    assert "37 slides, 81.1 % linked" in shown_.stdout
    assert "exact" in shown_.stdout
    assert "of 26 reviewed" in shown_.stdout
    assert "NB01 has fallen" in shown_.stdout
    pages = list((bench.workspace.catalog / "quality").iterdir())
    assert shown_.stdout.splitlines()[-1] == f"page: {pages[0]}"

    asked = CliRunner().invoke(command, [*workspace, "--json"], catch_exceptions=False, standalone_mode=False)
    assert json.loads(asked.stdout)["slides"]["whole"] == 37
    assert list((bench.workspace.catalog / "quality").iterdir()) == pages

    file = tmp_path / "page.html"
    both = [*workspace, "--html", str(file), "--json"]
    CliRunner().invoke(command, both, catch_exceptions=False, standalone_mode=False)
    written = file.read_bytes()
    assert written.startswith(b"<!DOCTYPE html>")
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError):
        CliRunner().invoke(command, both, catch_exceptions=False, standalone_mode=False)
    assert file.read_bytes() == written
    CliRunner().invoke(command, [*both, "--force"], catch_exceptions=False, standalone_mode=False)
    assert file.read_bytes() != b""
