"""The bench of the whole pipeline: that its made-up archive is one, and that its numbers say what was measured."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from pathcurate.cohort import read_recipe
from pathcurate.engines.embedded import Embedded
from pathcurate.link import link
from pathcurate.model.diagnosis import DIAGNOSES, IHC_RESULTS
from pathcurate.model.report import REPORTS, TEXT_COLUMNS
from pathcurate.model.slide import SLIDES
from pathcurate.model.source import SOURCE_ROWS, SOURCES
from pathcurate.reports import import_reports
from pathcurate.tables import Catalog
from pathcurate.text.identities import card_number
from pathcurate.workspace import load_workspace
from tests.bench import archive_scale
from tests.bench.archive_made import SITES, Size, make_archive, make_night
from tests.bench.archive_plot import plotted
from tests.bench.archive_texts import SLOTS
from tests.bench.processes import run

SIZE = Size(slides=200, reports=500)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small archive."""
    made = tmp_path_factory.mktemp("archive") / "made"
    make_archive(made, SIZE, samples=60)
    return made


def test_the_tables_are_those_of_scan_and_import(base: Path) -> None:
    catalog = Catalog(base / "catalog")
    reports, slides = catalog.read(REPORTS), catalog.read(SLIDES)
    assert (slides.num_rows, reports.num_rows) == (200, 500)
    for table in (REPORTS, SLIDES, DIAGNOSES, IHC_RESULTS, SOURCE_ROWS):
        rows = catalog.read(table)
        assert rows.group_by(list(table.key)).aggregate([]).num_rows == rows.num_rows, table.name
    assert set(catalog.read(SOURCE_ROWS)["row_id"].to_pylist()) == set(reports["report_id"].to_pylist())
    assert set(catalog.read(DIAGNOSES)["report_id"].to_pylist()) <= set(reports["report_id"].to_pylist())
    assert len(set(reports["site"].to_pylist())) == SITES
    order = reports.select(["site", "source_file", "source_row"]).to_pylist()
    assert order == sorted(order, key=lambda row: tuple(row.values()))


def test_texts_are_varied_and_have_nothing_of_the_samples_persons(base: Path) -> None:
    reports = Catalog(base / "catalog").read(REPORTS)
    texts = ["\n".join(row[name] or "" for name in TEXT_COLUMNS) for row in reports.to_pylist()]
    assert len(set(texts)) == len(texts)
    assert not any(SLOTS[name] in text for name in ("name", "phone") for text in texts)
    # A size may be that of the samples by chance, not often.
    assert sum(SLOTS["size"] in text for text in texts) < 3
    assert 150 < sum(map(len, texts)) / len(texts) < 600
    cards = reports["id_number"].drop_null().to_pylist()
    assert len(cards) > 300
    assert all(card_number(card) == card for card in cards)


def test_the_import_takes_the_export_files_for_read(base: Path) -> None:
    catalog = Catalog(base / "catalog")
    before = catalog.state(REPORTS)
    summary = import_reports(load_workspace(base / "pathcurate.yaml"))
    assert (summary.files, summary.unchanged) == (0, catalog.row_count(SOURCES))
    assert catalog.state(REPORTS) == before


def test_a_night_adds_its_own_cases_alone(base: Path) -> None:
    catalog = Catalog(base / "catalog")
    before = set(catalog.read(REPORTS)["report_id"].to_pylist())
    reports, slides = make_night(base, 4, 1)
    assert (reports, slides) == (10, 5)
    summary = import_reports(load_workspace(base / "pathcurate.yaml"))
    assert (summary.rows, summary.total) == (10, 510)
    added = [row for row in catalog.read(REPORTS).to_pylist() if row["report_id"] not in before]
    assert len(added) == 10
    assert len({row["accession"] for row in added}) == 4
    assert all(row["diagnosis"] and row["organ"] for row in added)
    assert catalog.read(SLIDES).num_rows == 205


def test_the_slides_of_the_archive_are_linked_to_its_cases(base: Path) -> None:
    with Embedded(workers=1, temp_directory=base / "sql") as engine:
        tiers = link(load_workspace(base / "pathcurate.yaml"), engine).tiers
    # Every fortieth slide bears no number.
    assert tiers["none"] == 5
    assert tiers["conflict"] == 0


def test_what_a_command_took_counts_the_processes_below_it() -> None:
    below = "import time; held = bytearray(80_000_000); time.sleep(0.9)"
    used = run([sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {below!r}])"])
    assert used.code == 0
    assert used.peak_bytes > 80_000_000
    assert run([sys.executable, "-c", "import sys; sys.stderr.write('no'); sys.exit(3)"]).code == 3


def test_the_picture_has_a_line_for_each_stage_and_one_that_is_straight() -> None:
    sizes = [
        {"slides": slides, "seconds": 3 * seconds, "stages": [
            {"stage": "link <a>", "seconds": seconds}, {"stage": "deid & more", "seconds": 2 * seconds},
        ]}
        for slides, seconds in ((1000, 1.0), (10_000, 9.0), (100_000, 120.0))
    ]  # fmt: skip
    picture = ET.fromstring(plotted(sizes))  # noqa: S314  made here
    lines = picture.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 4
    texts = {text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert {"link <a>: 120 s", "deid & more: 240 s", "in all: 360 s"} <= texts
    ends = {tuple(map(float, point.split(","))) for line in lines for point in line.attrib["points"].split()}
    assert all(0 <= x <= 900 and 0 <= y <= 560 for x, y in ends)


def test_the_command_says_what_it_takes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["archive_scale.py", "--help"])
    with pytest.raises(SystemExit):
        archive_scale.main()
    assert "--nightly" in capsys.readouterr().out


def test_the_recipe_of_the_bench_is_one(tmp_path: Path) -> None:
    recipe = read_recipe(Path(archive_scale.Runs(tmp_path, 1).recipe("1.2.0", 0.25))).recipe
    assert (recipe.version, recipe.released_texts) == ("1.2.0", ("diagnosis", "microscopy", "comment"))
