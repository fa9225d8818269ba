"""The reports of a case in order: which is current, and which stands in the place of which."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import REPORTS
from pathcurate.tables import Catalog

SAME_NUMBER = "reports.same_number"
_BY_NATURE = ("frozen", "cytology", "primary", "consultation", "supplementary", "amended")
"""Kinds of report in the order in which those of one moment were written."""
_AFTER_THE_FACT = frozenset({"supplementary", "amended"})
_AMENDABLE = ("primary", "cytology", "consultation", "supplementary", "frozen")
"""What an amended report amends: the first of these that the case has."""
_STATES = ("preliminary", "final", "withdrawn")
_COLUMNS = ("report_id", "site", "accession", "report_type", "status", "reported_date", "source_file", "patient_id",
            "text_digest")  # fmt: skip

_Report = dict[str, Any]
_Versions = list[_Report]
"""One report as it was exported several times, oldest first."""


def with_order(table: pa.Table) -> pa.Table:
    """The table with ``case_order``, ``is_current`` and ``replaces``.

    The reports of a case follow one another by ``reported_date``, status and file; without a date, supplementary, amended
    and withdrawn reports come last and others first. Current is, of each kind, the latest final report, else the latest that
    is not withdrawn; but none that a final amended report amends, and no preliminary amended one that amends a final one. A
    report that was exported again, changed, is a version of the same report (see :func:`_is_version`): the last version that
    is final counts, and if the last of all is withdrawn, all are.
    """
    order = np.ones(table.num_rows, np.int64)
    current = pc.not_equal(table["status"], pa.scalar("withdrawn")).to_numpy(zero_copy_only=False).copy()
    replaces: dict[int, str] = {}
    for rows in _cases(table):
        standing = _Case(rows)
        for place, row in enumerate(standing.rows, start=1):
            order[row["at"]] = place
            current[row["at"]] = row["report_id"] in standing.current
            if row["report_id"] in standing.replaces:
                replaces[row["at"]] = standing.replaces[row["report_id"]]
    replaced = np.full(table.num_rows, None, object)
    for at, report_id in replaces.items():
        replaced[at] = report_id
    for name, values in {"case_order": order, "is_current": current, "replaces": replaced}.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))
    return table


def same_numbers(catalog: Catalog) -> list[Finding]:
    """Cases with several primary reports that stand: supplements are numbered alike by rule, primary reports are not."""
    return same_numbers_of(catalog.read(REPORTS, columns=_COLUMNS))


def same_numbers_of(table: pa.Table) -> list[Finding]:
    """The same of some reports, among which are all of any of their cases."""
    found = []
    for rows in _cases(table):
        case = _Case([row for row in rows if row["report_type"] == "primary"])
        count = len(case.standing["primary"])
        if count > 1:
            site, (last, *_) = rows[0]["site"], case.current
            found.append(
                Finding(
                    SAME_NUMBER, Severity.WARNING,
                    f"{count} primary reports have one accession number; the latest stands for the case. Check the export",
                    stage="reports", site=site, table="reports", column="accession", subject=last, count=count,
                )
            )  # fmt: skip
    return sorted(found, key=lambda finding: (finding.site or "", finding.subject or ""))


def _cases(table: pa.Table) -> Iterator[list[_Report]]:
    """The reports of every case that has more than one, with their place ``at`` in the table."""
    keys = table.select(["site", "accession"]).append_column("at", pa.array(np.arange(table.num_rows)))
    order = keys.sort_by([("site", "ascending"), ("accession", "ascending")])
    same = np.zeros(len(order), bool)
    if len(order) > 1:
        pairs = (pc.equal(order[name].slice(1), order[name].slice(0, len(order) - 1)) for name in ("site", "accession"))
        same[1:] = np.logical_and(*(pair.to_numpy(zero_copy_only=False) for pair in pairs))
    several = same | np.append(same[1:], False)
    places = order["at"].to_numpy()[several]
    rows = table.select(_COLUMNS).take(pa.array(places)).to_pylist()
    for row, at in zip(rows, places.tolist(), strict=True):
        row["at"] = at
    for _, members in itertools.groupby(rows, key=lambda row: (row["site"], row["accession"])):
        yield list(members)


def _moment(row: Mapping[str, Any]) -> tuple[datetime, int, int, str, str]:
    # Systems take the date of signing away from what is withdrawn.
    is_late = row["report_type"] in _AFTER_THE_FACT or row["status"] == "withdrawn"
    undated = datetime.max if is_late else datetime.min
    return (
        row["reported_date"] or undated,
        _BY_NATURE.index(row["report_type"]),
        _STATES.index(row["status"]),
        row["source_file"],
        row["report_id"],
    )


def _is_version(later: _Report, earlier: _Report) -> bool:
    """Whether a report is another, earlier one of its kind as it was exported once more.

    It says the same (only its status or the patient's data have changed); or it was signed at the same moment and stands in
    another file; or it is the final report after a preliminary one; or it is withdrawn and says nothing any more.
    """
    if later["patient_id"] != earlier["patient_id"]:
        return False
    if later["status"] == "withdrawn" and later["text_digest"] is None:
        return True
    if later["text_digest"] is not None and later["text_digest"] == earlier["text_digest"]:
        return True
    if earlier["status"] == "preliminary" and later["status"] != "withdrawn":
        return True
    return bool(later["source_file"] != earlier["source_file"] and later["reported_date"] == earlier["reported_date"])


class _Case:
    """The reports of one case.

    Attributes:
        rows: in order.
        standing: by kind, of each report that is not withdrawn the version that counts, in order.
        current: identifiers of the current reports.
        replaces: identifier of a report to that of the one in whose place it stands.
    """

    def __init__(self, rows: Sequence[_Report]) -> None:
        self.rows = sorted(rows, key=_moment)
        for place, row in enumerate(self.rows):
            row["place"] = place
        self.replaces: dict[str, str] = {}
        versions = {kind: self._versions(kind) for kind in _BY_NATURE}
        counting = {kind: [_counting(group) for group in groups] for kind, groups in versions.items()}
        self.standing = {kind: [row for row in found if row is not None] for kind, found in counting.items()}
        latest = {kind: max(found, key=_rank) for kind, found in self.standing.items() if found}
        self.current = {row["report_id"]: None for row in latest.values()}
        for group in versions["amended"]:
            self._amend(group)
        if "amended" in latest:
            amended, targets = latest["amended"], self._amended_by(latest["amended"])
            # What is not signed takes the place of nothing that is.
            waits = amended["status"] != "final" and any(target["status"] == "final" for target in targets)
            for row in [amended] if waits else targets:
                self.current.pop(row["report_id"], None)

    def _versions(self, kind: str) -> list[_Versions]:
        groups: list[_Versions] = []
        for row in (row for row in self.rows if row["report_type"] == kind):
            group = next((group for group in reversed(groups) if any(_is_version(row, item) for item in group)), None)
            if group is None:
                groups.append([row])
            else:
                self.replaces[row["report_id"]] = group[-1]["report_id"]
                group.append(row)
        return groups

    def _amend(self, group: _Versions) -> None:
        """Note what an amended report amends: the amended report that stood before it, else what that amended too."""
        before = [row for row in self.standing["amended"] if row["place"] < group[0]["place"]]
        targets = before or self._amended_by(group[0])
        if targets:
            self.replaces[group[0]["report_id"]] = max(targets, key=_rank)["report_id"]

    def _amended_by(self, amended: _Report) -> list[_Report]:
        """The reports, in the first kind that the case has, that stood when an amended one was written."""
        kinds = [row["report_type"] for row in self.rows if row["place"] < amended["place"]]
        kind = next((kind for kind in _AMENDABLE if kind in kinds), None)
        return [row for row in self.standing[kind] if row["place"] < amended["place"]] if kind else []


def _counting(group: _Versions) -> _Report | None:
    """The version of a report that counts: the last final one, else the last; none if it was withdrawn in the end."""
    if group[-1]["status"] == "withdrawn":
        return None
    return max((row for row in group if row["status"] != "withdrawn"), key=_rank)


def _rank(row: _Report) -> tuple[bool, int]:
    return row["status"] == "final", row["place"]
