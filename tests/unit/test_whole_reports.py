"""Whole reports, each with what a pathologist understands by it: tests/unit/whole_reports.yaml."""

from pathlib import Path

import pytest
import yaml

from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.text.coding import coder
from pathcurate.text.understanding import understand

REPORTS = yaml.load(Path(__file__).with_name("whole_reports.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
KEY = ("specimen", "organ", "icdo3_morphology", "assertion")


def read(report):
    return understand({name: report.get(name) for name in TEXT_COLUMNS}, coder())


def pairs(text):
    """Of "grade=G2 pni=-": each name with the text of its value, None for `-`."""
    return {name: None if value == "-" else value for name, _, value in (word.partition("=") for word in text.split())}


def as_text(value):
    if isinstance(value, list):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else None if value is None else str(value)


def wanted_rows(report):
    for line in report["rows"]:
        specimen, organ, morphology, assertion, *values = line.split()
        key = tuple(None if one == "-" else one for one in (specimen, organ, morphology))
        yield (*key, assertion), pairs(" ".join(values))


def judged(report):
    """Each thing that the report is expected to say: what it is, what was expected and what was read."""
    said = read(report)
    rows = [(tuple(row[name] for name in KEY), row) for row in said.diagnoses]
    wanted = list(wanted_rows(report))
    coded, found = ([(key, row) for key, row in some if key[2]] for some in (wanted, rows))
    yield "number of coded rows", len(coded), len(found)
    for (key, values), (read_key, row) in zip(coded, found, strict=False):
        yield from zip(KEY, key, read_key, strict=True)
        yield from ((name, value, as_text(row.get(name))) for name, value in values.items())
    for key, values in wanted:
        if key[2] is None:
            row = next((row for read_key, row in rows if read_key == key), None)
            yield "uncoded row", key, row and key
            yield from ((name, value, as_text(row.get(name)) if row else "no row") for name, value in values.items())
    for name, value in pairs(report["summary"]).items():
        yield f"summary {name}", value, as_text(said.summary.get(name))
    if "stains" in report:
        yield "stains", report["stains"], " ".join(f"{stain['marker']}={stain['result']}" for stain in said.stains)


def test_there_are_enough_of_each_language():
    english = [report["id"] for report in REPORTS if report["id"].startswith("en-")]
    assert len(english) >= 20
    assert len(REPORTS) - len(english) >= 60
    assert len({report["id"] for report in REPORTS}) == len(REPORTS)


@pytest.mark.parametrize("report", REPORTS, ids=[report["id"] for report in REPORTS])
def test_report(report):
    assert [one for one in judged(report) if one[1] != one[2]] == []


@pytest.mark.parametrize("report", REPORTS, ids=[report["id"] for report in REPORTS])
def test_a_fault_is_found_only_where_something_contradicts(report):
    assert [fault.rule for fault in read(report).faults] == report.get("faults", [])
