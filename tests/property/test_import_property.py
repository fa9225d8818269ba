"""Imports, over histories of exports that Hypothesis makes up: the last state of the files alone decides."""

import csv
import io
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathcurate.findings import read_findings
from pathcurate.model.diagnosis import DIAGNOSES, IHC_RESULTS
from pathcurate.model.report import REPORTS
from pathcurate.model.source import SOURCE_ROWS, SOURCES
from pathcurate.reports import import_reports
from pathcurate.tables import Catalog
from pathcurate.workspace import Workspace, load_workspace

HEADS = ["病理号", "住院号", "报告类型", "报告状态", "报告日期", "病理诊断", "联系电话"]
REPORT = st.tuples(
    st.sampled_from(["S23-1", "S23-00001", "S23-2", ""]),
    st.sampled_from(["P1", "P1", "P2"]),
    st.sampled_from(["常规", "常规", "更正报告", "补充报告", "冰冻"]),
    st.sampled_from(["", "", "初步报告", "作废"]),
    st.sampled_from(["", "2023-01-01", "2023-01-02"]),
    st.sampled_from(["", "癌", "瘤"]),
    st.sampled_from(["", "", "13800138000"]),
)
EXPORT = st.none() | st.lists(REPORT, max_size=5)
"""An export; None if the file is not there."""
NAMES = ("1.csv", "2.csv", "3.csv")
STATE = st.fixed_dictionaries(dict.fromkeys(NAMES, EXPORT))
CHOICE = st.sampled_from((None, *NAMES))
"""What is imported of a state: everything, or one file."""
FIXED = "0.csv"
"""A file that is always there, because a source without files is refused."""


class Desk:
    """A workspace in a directory of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "lis").mkdir(parents=True)
        file = root / "pathcurate.yaml"
        file.write_text("workspace: 1\nname: t\nsites: [{code: NB01, reports: [{path: 'lis/*.csv'}]}]\n")
        self.workspace: Workspace = load_workspace(file)
        self.catalog = Catalog(self.workspace.catalog)
        self.clock = 1_600_000_000
        self.put({FIXED: [("S23-1", "P1", "常规", "", "2023-01-01", "癌", "")]})

    def put(self, state: dict[str, Any]) -> None:
        for name, rows in state.items():
            path = self.root / "lis" / name
            if rows is None:
                path.unlink(missing_ok=True)
                continue
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([HEADS, *rows])
            path.write_text(text.getvalue(), encoding="utf-8")
            # Two states of one size must not have one time: then a file counts as unchanged.
            self.clock += 1
            os.utime(path, (self.clock, self.clock))

    def run(self, only: str | None = None) -> None:
        path = self.root / "lis" / (only or FIXED)
        if path.exists():
            import_reports(self.workspace, only=[path] if only else [])

    def kept(self, *without: str) -> list[Any]:
        """All that is kept of the import, but for what changes from one import to the next."""
        passing = {"imported_at", "state", "mtime_ns", *without}
        rows = [
            sorted(
                ([(name, value) for name, value in row.items() if name not in passing] for row in
                 self.catalog.read(table).to_pylist()), key=repr,
            )
            for table in (REPORTS, SOURCES, SOURCE_ROWS, DIAGNOSES, IHC_RESULTS)
        ]  # fmt: skip
        return [*rows, read_findings(self.catalog, "reports")]


def made(root: Path, state: dict[str, Any]) -> Desk:
    desk = Desk(root)
    desk.put(state)
    desk.run()
    return desk


SETTINGS = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@SETTINGS
@given(st.lists(st.tuples(STATE, CHOICE), min_size=1, max_size=4))
def test_day_by_day_gives_what_one_import_gives(history: list[tuple[dict[str, Any], str | None]]) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        daily = Desk(root / "daily")
        for state, only in history:
            daily.put(state)
            daily.run(only)
        daily.run()
        assert daily.kept() == made(root / "once", history[-1][0]).kept()
        states = [daily.catalog.state(table) for table in (REPORTS, SOURCES, SOURCE_ROWS)]
        daily.run()
        assert states == [daily.catalog.state(table) for table in (REPORTS, SOURCES, SOURCE_ROWS)]
    finally:
        shutil.rmtree(root)


@SETTINGS
@given(STATE, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_count(state: dict[str, Any], chance: random.Random) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        one = made(root / "one", state)
        other = made(root / "other", {name: rows and chance.sample(rows, len(rows)) for name, rows in state.items()})
        places = ("source_row", "content_sha256")
        assert one.kept(*places)[0] == other.kept(*places)[0]
        assert one.kept(*places)[1:3] == other.kept(*places)[1:3]
    finally:
        shutil.rmtree(root)


@SETTINGS
@given(STATE, REPORT)
def test_a_report_that_is_added_leaves_the_others_their_identifiers(state: dict[str, Any], added: Any) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        # The same report with another telephone number is numbered among its like; nothing else is renumbered.
        added = (*added[:6], "")
        state = {name: rows and [(*row[:6], "") for row in rows] for name, rows in state.items()}
        desk = made(root / "w", state)
        before = {row["report_id"]: row["text_digest"] for row in desk.catalog.read(REPORTS).to_pylist()}
        desk.put({"3.csv": [added, *(state["3.csv"] or [])]})
        desk.run()
        after = {row["report_id"]: row["text_digest"] for row in desk.catalog.read(REPORTS).to_pylist()}
        assert before.items() <= after.items()
        assert len(after) <= len(before) + 1
    finally:
        shutil.rmtree(root)


@SETTINGS
@given(STATE)
def test_what_holds_of_every_case(state: dict[str, Any]) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        rows = made(root / "w", state).catalog.read(REPORTS).to_pylist()
        by_id = {row["report_id"]: row for row in rows}
        assert len(by_id) == len(rows)
        for case in {row["accession"] for row in rows}:
            members = sorted((row for row in rows if row["accession"] == case), key=lambda row: row["case_order"])
            assert [row["case_order"] for row in members] == list(range(1, len(members) + 1))
            current = [row["report_type"] for row in members if row["is_current"]]
            assert len(current) == len(set(current))
            assert not any(row["is_current"] for row in members if row["status"] == "withdrawn")
            for row in members:
                assert row["replaces"] is None or by_id[row["replaces"]]["case_order"] < row["case_order"]
    finally:
        shutil.rmtree(root)
