"""The overview of the archives: every slide counted once and as it is now, growth between scans, and no name of anything."""

import json
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.htmlreport.scanreport import Failure, Growth, Overview, Tally, byte_size, overview_page, signed
from pathcurate.model.slide import SLIDES
from pathcurate.scan.overview import ScanRecord, overview, read_scans, record_scans, write_overview
from pathcurate.tables import Catalog, from_rows
from pathcurate.workspace import Workspace, load_workspace
from tests.clinic import CANARIES, FULL_SLIDE, slide

NOW = datetime(2026, 11, 21, 12, 30, 5, tzinfo=UTC)
FILE = """\
workspace: 1
name: 示例医院
sites:
  - {code: NB01, name: A, archives: [{name: archive, root: slides}]}
  - {code: NB02, name: B, archives: [{name: archive, root: others}]}
"""


@pytest.fixture
def workspace(write: Callable[[str, str], Path]) -> Workspace:
    return load_workspace(write("w/pathcurate.yaml", FILE))


def keep(workspace: Workspace, *rows) -> None:
    Catalog(workspace.catalog).upsert(SLIDES, from_rows(SLIDES, rows))


def counted(tallies) -> dict:
    return {tally.name: tally.slides for tally in tallies}


def test_each_slide_counts_once_and_as_it_is_now(workspace: Workspace) -> None:
    keep(workspace, *(slide(number, size_bytes=10) for number in range(1, 8)))
    keep(workspace, slide(2, status="truncated", status_detail="3 of 14 tiles", size_bytes=7), slide(3, status="gone"))
    keep(workspace, slide(2, status="truncated", status_detail="4 of 900 tiles", size_bytes=5, format="ndpi"))
    found = overview(workspace, (), NOW)
    assert (found.slides, found.gone, found.size_bytes) == (6, 1, 5 * 10 + 5)
    assert counted(found.statuses) == {"ok": 5, "truncated": 1}
    assert counted(found.formats) == {"svs": 5, "ndpi": 1}
    assert found.failures == (Failure("truncated", "n of n tiles", 1, 5),)


def test_like_causes_go_together_and_the_most_frequent_comes_first(workspace: Workspace) -> None:
    rows = [slide(n, status="corrupt", status_detail=f"loop at offset {n * 999:,}", size_bytes=2) for n in range(1, 4)]
    rows.append(slide(4, status="timeout", status_detail=None, size_bytes=1))
    keep(workspace, *rows)
    expected = (Failure("corrupt", "loop at offset n", 3, 6), Failure("timeout", "", 1, 1))
    assert overview(workspace, (), NOW).failures == expected


def test_only_the_sites_that_are_asked_for(workspace: Workspace) -> None:
    keep(workspace, slide(1), slide(2, site="NB02"), slide(3, site="NB02", status="gone"))
    assert counted(overview(workspace, ("NB02",), NOW).sites) == {"NB02": 1}
    assert overview(workspace, ("NB01",), NOW).gone == 0
    assert counted(overview(workspace, (), NOW).sites) == {"NB01": 1, "NB02": 1}


def test_totals_and_checks(workspace: Workspace) -> None:
    more = {"check_level": "tiles", "tiles_checked": 100, "tiles_bad": 3, "tiles_decoded": 8, "labels_version": 1}
    keep(
        workspace,
        slide(1, **more, barcode="X", barcode_source="qr", qc="blur", duplicate_of="S-0000000000000002"),
        slide(2, check_level="header", tiles_checked=50, file_count=12, mpp_x=None, scan_datetime=None),
        slide(3, storage_state="offline", status="offline", scanner_model=None),
    )
    found = overview(workspace, (), NOW)
    assert (found.tiles_checked, found.tiles_bad, found.tiles_decoded) == (150, 3, 8)
    assert (found.files, found.labels_read, found.duplicates, found.with_mpp, found.offline) == (14, 1, 1, 2, 1)
    assert counted(found.checks) == {"tiles": 1, "header": 1, None: 1}
    assert counted(found.quality) == {"blur": 1, None: 2}
    assert counted(found.barcodes) == {"qr": 1, None: 2}
    assert counted(found.years) == {"2023": 2, None: 1}


def test_a_scanner_that_few_slides_have_is_not_named(workspace: Workspace) -> None:
    models = ["Aperio GT450"] * 5 + ["张三的扫描仪"] * 4 + ["ZHANG SAN"] + [None]
    keep(workspace, *(slide(number, scanner_model=model) for number, model in enumerate(models, start=1)))
    found = overview(workspace, (), NOW)
    assert [(tally.name, tally.slides) for tally in found.scanners] == [("Aperio GT450", 5), ("other", 5), (None, 1)]


def test_an_empty_catalog_has_a_page(workspace: Workspace) -> None:
    found = overview(workspace, (), NOW)
    assert (found.slides, found.failures, found.years, found.growth) == (0, (), (), ())
    assert "示例医院" in overview_page(found)


@settings(max_examples=15, deadline=None)
@given(
    commits=st.lists(
        st.lists(
            st.tuples(
                st.integers(1, 12),
                st.sampled_from(["ok", "gone", "corrupt"]),
                st.integers(0, 5),
                st.sampled_from([None, "svs", "kfb"]),
            ),
            max_size=8,
        ),
        max_size=5,
    ),
    is_large=st.booleans(),
)
def test_counts_are_those_of_a_plain_loop(
    commits: list[list[tuple[int, str, int, str | None]]], is_large: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("loop")
    (root / "pathcurate.yaml").write_text(FILE, encoding="utf-8")
    workspace = load_workspace(root / "pathcurate.yaml")
    state: dict[int, tuple[str, int, str | None]] = {}
    for commit in commits:
        keep(workspace, *(slide(n, status=status, size_bytes=size, format=kind) for n, status, size, kind in commit))
        state.update((n, tuple(rest)) for n, *rest in commit)
    with pytest.MonkeyPatch.context() as patch:
        if is_large:
            patch.setattr("pathcurate.scan.overview._LARGE_PART", 1)
        found = overview(workspace, (), NOW)
    there = [row for row in state.values() if row[0] != "gone"]
    assert (found.slides, found.gone) == (len(there), len(state) - len(there))
    assert found.size_bytes == sum(size for _, size, _ in there)
    assert counted(found.formats) == Counter(kind for *_, kind in there)
    assert counted(found.statuses) == Counter(status for status, *_ in there)
    assert sum(failure.slides for failure in found.failures) == sum(status != "ok" for status, *_ in there)


# --- Growth ----------------------------------------------------------------------------------------------------------


def record(site: str, day: int, slides: int, size: int, **changes: int) -> ScanRecord:
    counts = {"new": 0, "changed": 0, "moved": 0, "gone": 0, **changes}
    return ScanRecord(f"2026-11-{day:02d}T00:00:00+00:00", site, slides, size, **counts)


def test_growth_is_between_the_last_two_scans_of_each_site(workspace: Workspace) -> None:
    record_scans(workspace, [record("NB01", 1, 100, 1000, new=100), record("NB02", 1, 5, 50, new=5)])
    record_scans(workspace, [record("NB01", 8, 130, 900, new=40, gone=10, changed=2)])
    record_scans(workspace, [record("NB01", 9, 131, 950, new=1, moved=3)])
    first, second = overview(workspace, (), NOW).growth
    assert first == Growth("NB01", "2026-11-09T00:00:00+00:00", "2026-11-08T00:00:00+00:00", 1, 0, 3, 0, 1, 50)
    assert second == Growth("NB02", "2026-11-01T00:00:00+00:00", None, 5, 0, 0, 0, 5, 50)
    assert [growth.site for growth in overview(workspace, ("NB02",), NOW).growth] == ["NB02"]


def test_a_record_that_a_crash_cut_short_is_left_out(workspace: Workspace) -> None:
    record_scans(workspace, [record("NB01", 1, 1, 1)])
    path = workspace.catalog / "scans.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open("ab") as log:
        log.write(b'{"at": "2026-')
    assert read_scans(workspace) == [record("NB01", 1, 1, 1)]
    record_scans(workspace, [record("NB01", 2, 2, 2)])
    assert read_scans(workspace) == [record("NB01", 1, 1, 1), record("NB01", 2, 2, 2)]
    path.write_bytes(b'nonsense\n{"at": "never", "site": "NB01"}\n' + path.read_bytes())
    assert len(read_scans(workspace)) == 2


# --- The page --------------------------------------------------------------------------------------------------------

HOSTILE = '<script>alert("1")</script>&amp;\u202e\x00'


def page_of(**more: object) -> str:
    tallies = (Tally(HOSTILE, 3, 10), Tally(None, 1, 5))
    values: dict[str, object] = {
        "at": NOW.isoformat(), "name": HOSTILE, "slides": 4, "size_bytes": 15, "files": 4, "gone": 2,
        **dict.fromkeys(("sites", "archives", "formats", "vendors", "scanners", "statuses", "checks"), tallies),
        **dict.fromkeys(("barcodes", "label_texts", "quality"), tallies),
        "years": (Tally("2019", 1, 1), Tally("2023", 2, 2), Tally(None, 1, 1)),
        "failures": tuple(Failure("corrupt", f"{HOSTILE} {n}", 1, 1) for n in range(30)),
        "tiles_checked": 1, "tiles_bad": 0, "tiles_decoded": 0, "labels_read": 0,
        "duplicates": 0, "with_mpp": 0, "offline": 0,
        "growth": (Growth(HOSTILE, NOW.isoformat(), None, 1, 2, 3, 4, -5, 6),),
    }  # fmt: skip
    return overview_page(Overview(**{**values, **more}))


class Elements(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names[tag] += 1
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_nothing_of_the_data_becomes_markup() -> None:
    page = page_of()
    elements = Elements(page)
    assert elements.names["script"] == elements.names["img"] == elements.names["link"] == elements.names["a"] == 0
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\"" in page
    assert not any(name.startswith("on") or name in {"src", "href"} for name, _ in elements.attributes)
    assert "\u202e" not in page
    assert "\x00" not in page
    assert "[U+202E]" in page


def test_the_page_is_in_two_languages_and_says_what_is_left_out() -> None:
    text = Elements(page_of()).text
    headings = {"扫描概览", "状态", "不可用原因", "扫描年份", "构成", "检查情况", "较上次扫描"}
    assert all(heading in text for heading in headings)
    assert "rarer causes" in text
    assert "−" not in text
    assert "-5" in text
    many = tuple(Tally(f"model {n}", 100 - n, 1) for n in range(40))
    shown = Elements(page_of(scanners=many)).text
    assert "26 more" in shown
    assert "model 14" not in shown


def test_a_year_without_slides_has_its_place() -> None:
    labels = re.findall(r"<title>(\d{4}): ([\d\u202f]+)</title>", page_of())
    assert labels == [("2019", "1"), ("2020", "0"), ("2021", "0"), ("2022", "0"), ("2023", "2")]
    # Clocks that were never set do not push the others together.
    far = page_of(years=(Tally("0001", 1, 1), Tally("2023", 2, 2)))
    assert re.findall(r"<title>(\d+): ", far) == ["1", "2023"]


def test_files_are_written_and_name_nothing(workspace: Workspace) -> None:
    keep(workspace, *({**FULL_SLIDE, "slide_id": f"S-{n:016d}", "status_detail": None} for n in range(6)))
    page, document = write_overview(workspace, overview(workspace, (), NOW))
    again, _ = write_overview(workspace, overview(workspace, (), NOW))
    assert page == workspace.root / "reports" / "scan-20261121-123005.html"
    assert again.name == "scan-20261121-123005-2.html"
    assert again.read_bytes() == page.read_bytes()
    assert json.loads(document.read_bytes())["slides"] == 6
    for content in (page.read_text(encoding="utf-8"), document.read_text(encoding="utf-8")):
        assert not [name for name, value in CANARIES.items() if value in content]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345, "12.3 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"),
        (6 * 10**15, "6.0 PB"), (10**19, "10000 PB"), (-2500, "-2.5 kB"),
    ],
)  # fmt: skip
def test_sizes_are_short(count: int, text: str) -> None:
    assert byte_size(count) == text.replace(" ", "\u202f")


def test_more_and_fewer_are_told_apart() -> None:
    assert [signed(number, str(number)) for number in (5, -5, 0)] == ["+5", "-5", "±0"]
