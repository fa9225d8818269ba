"""De-identified tables from drawings, so that a cohort can be selected without any other stage.

A drawing has one block per table: its name alone on a line, the heads, the rows. ``-`` is a missing value. ``S1`` stands
for a slide's pseudonym, ``C1`` for a case's, ``P1`` for a person's, ``Q1`` for a group's, ``R1`` for a report's,
``E1`` for an event's, ``I1`` for a series', ``A1`` for an annotation's, ``M1`` for a block's or glass slide's. What is not
drawn is filled in: case ``C7`` belongs to patient ``P7`` in group ``Q7``.

What is drawn is the truth. Wherever truth is criterion-only, ``deid/`` gets a lie in its place.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from pathcurate.cohort.whole import CLUSTERED, as_codes, placed, whole_table
from pathcurate.disclosure.lists import record_permission_lists
from pathcurate.model.column import Column, Table, Type
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES, PERMISSION_CODES, VIEWS
from pathcurate.model.recipe import Recipe
from pathcurate.model.recipe.levels import OWNERS
from pathcurate.tables import conform, from_rows, write_parquet
from pathcurate.text.conceptdigest import concept_sha
from pathcurate.verification import input_states, write_seal
from pathcurate.workspace import Workspace, load_workspace

Row = dict[str, Any]

SHIFTED_DATE = date(1999, 9, 9)
"""What ``deid/`` says of every date."""
SHIFTED_AGE = 7
"""What ``deid/`` says of every age."""
SHIFTED_CODE = "Stage X"
"""What ``deid/`` says of every code of an event."""
_LIES: dict[Type, Any] = {Type.INTEGER: SHIFTED_AGE, Type.STRING: SHIFTED_CODE, Type.FLOAT: float(SHIFTED_AGE)}

_ALIASES = {"slide": "slide_id", "case": "case_id", "patient": "patient_id", "group": "group_id", "report": "report_id",
            "event": "event_id", "series": "series_id", "annotation": "annotation_id", "material": "material_id",
            "code": "subject_code", "from": "valid_from", "to": "valid_to", "kinds": "data_kinds"}  # fmt: skip
_DRAWN = ("slides", "cases", "patients", "reports", "events", "series", "annotations", "materials")
_SAID = ("diagnoses", "ihc_results", "report_concepts")
CURRENT, STALE = "c" * 64, "d" * 64
"""Stand for the digest of a concept by the patterns that the recipe has now, and by others."""
_REQUIRED: Mapping[str, Row] = {
    "events": {"site": "NB01", "kind": "diagnosis"},
    "series": {"status": "ok"},
    "annotations": {"kind": "polygon", "coordinate_level": 0, "tool": "qupath"},
    "materials": {"kind": "slide"},
    "diagnoses": {"assertion": "affirmed"},
    "ihc_results": {"marker": "CD3", "result": "positive"},
    "report_concepts": {"concept": "it", "concept_sha": CURRENT, "assertion": "affirmed"},
}
_SHORT = re.compile(r"([SCPQRGEIAM])([0-9]+)")


def long(code: str) -> str:
    """The pseudonym that a short code stands for; any other text as it is."""
    found = _SHORT.fullmatch(code)
    return f"{found[1]}-{found[2]:0>16}" if found else code


def short(code: str) -> str:
    """The short code of a pseudonym."""
    return f"{code[0]}{int(code[2:])}"


@dataclass(frozen=True)
class Drawn:
    """What was drawn: true rows by table, and the permissions (None if no list is configured)."""

    tables: Mapping[str, list[Row]]
    permissions: list[Row] | None

    def of(self, recipe: Recipe) -> "Drawn":
        """The same with the digests that the recipe's concepts have."""
        shas = {name: concept_sha(concept) for name, concept in (recipe.concepts or {}).items()}
        rows = [
            {**row, "concept_sha": shas.get(row["concept"], STALE) if row["concept_sha"] == CURRENT else STALE}
            for row in self.tables["report_concepts"]
        ]
        return replace(self, tables={**self.tables, "report_concepts": rows})

    def arrow(self) -> dict[str, pa.Table]:
        """The views that queries read, permissions aside: tables put together, and what may go out of each."""
        return {view: self.view(view) for name in DEID_TABLES for view in (f"{name}_deid", name)}

    def view(self, name: str) -> pa.Table:
        """One of these views."""
        table = name.removesuffix("_deid")
        deid = self._deid(table)
        if name != table:
            return deid
        keys = {owner: DEID_TABLES[owner].key[0] for owner in OWNERS[table]}
        codes = {
            owner: as_codes(pa.chunked_array([sorted(row[key] for row in self.tables[owner])], pa.string()))
            for owner, key in keys.items()
        }
        rows = whole_table(table, deid, self._true(table), codes)
        return rows if table != "slides" else placed(rows.sort_by([(name, "ascending") for name in CLUSTERED]), None)[0]

    def files(self) -> dict[str, pa.Table]:
        """The de-identified tables, and their criterion-only twins."""
        twins = {f"{name}_true": self._true(name) for name in CRITERIA_TABLES}
        return {f"{name}_deid": self._deid(name) for name in DEID_TABLES} | twins

    def _rows(self, name: str) -> list[Row]:
        return sorted(self.tables[name], key=lambda row: tuple(row[key] for key in DEID_TABLES[name].key))

    def _deid(self, name: str) -> pa.Table:
        table, twins = DEID_TABLES[name], CRITERIA_TABLES.get(name)
        return conform(table, from_rows(table, [_lie(row, table, twins) for row in self._rows(name)]))

    def _true(self, name: str) -> pa.Table | None:
        twins = CRITERIA_TABLES.get(name)
        if twins is None:
            return None
        return conform(twins, from_rows(twins, [_only(row, twins) for row in self._rows(name)]))

    def statements(self) -> pa.Table:
        """The permissions by pseudonym."""
        return conform(PERMISSION_CODES, from_rows(PERMISSION_CODES, self.permissions or []))

    def workspace(self, root: Path) -> Workspace:
        """Write a workspace with these tables, sealed."""
        head = "workspace: 1\nname: spec\nsites: [{code: NB01}, {code: NB02}]\n"
        lists = "" if self.permissions is None else "permissions: [{path: consent.csv}]\n"
        (root / "pathcurate.yaml").write_text(head + lists, encoding="utf-8")
        (root / "consent.csv").write_text("patient_id\n", encoding="utf-8")
        workspace = load_workspace(root / "pathcurate.yaml")
        record_permission_lists(workspace)
        for view, data in self.files().items():
            name, _, kind = view.rpartition("_")
            folder = workspace.deid if kind == "deid" else workspace.vault / "criteria"
            write_parquet(folder / f"{name}.parquet", data)
        write_parquet(workspace.vault / "criteria" / "permissions.parquet", self.statements())
        write_seal(workspace, input_states(workspace), "key", [])
        return workspace


def draw(text: str) -> Drawn:
    """Read a drawing."""
    blocks = [block.strip().splitlines() for block in re.split(r"\n\s*\n", text.strip()) if block.strip()]
    named = {lines[0].strip(): lines[1:] for lines in blocks}
    unknown = named.keys() - {*DEID_TABLES, "permissions"}
    assert not unknown, f"no such table: {unknown}"
    tables = {name: _rows(VIEWS[name], named.get(name, [])) for name in DEID_TABLES}
    permissions = None
    if "permissions" in named:
        defaults = {"basis": "consent", "purposes": ["research"], "data_kinds": ["slides", "reports"], "opt_out": False}
        permissions = [defaults | row for row in _rows(PERMISSION_CODES, named["permissions"])]
    return Drawn(completed(tables), permissions)


def completed(tables: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    """The tables with everything that was not said: cases, patients, groups, counts and what is required."""
    slides, cases, patients, reports, events, series, annotations, materials = (
        [dict(row) for row in tables.get(name, [])] for name in _DRAWN
    )
    known = {row["case_id"]: row for row in cases}
    for row in (*slides, *reports, *series, *materials):
        if row.get("case_id") and row["case_id"] not in known:
            known[row["case_id"]] = {"case_id": row["case_id"], "patient_id": row.get("patient_id")}
            cases.append(known[row["case_id"]])
    groups = {row["patient_id"]: row["group_id"] for row in (*patients, *cases) if row.get("group_id")}
    for case in cases:
        case["patient_id"] = case.get("patient_id") or "P" + case["case_id"][1:]
        case.setdefault("site", "NB01")
    people = {row["patient_id"]: row for row in patients}
    for case in cases:
        people.setdefault(case["patient_id"], {"patient_id": case["patient_id"]})
    for row in (*events, *series):
        code = row.get("patient_id") or known[row["case_id"]]["patient_id"]
        people.setdefault(code, {"patient_id": code})
    for row in series:
        case = known.get(row.get("case_id") or "", {})
        row["patient_id"] = row.get("patient_id") or case["patient_id"]
        row.setdefault("site", case.get("site", "NB01"))
    for row in (*cases, *people.values(), *events, *series):
        row["group_id"] = groups.get(row["patient_id"], "Q" + row["patient_id"][1:])
    for row in (*slides, *reports, *materials):
        case = known.get(row.get("case_id") or "", {})
        row.update({"patient_id": case.get("patient_id"), "group_id": case.get("group_id")})
        row.setdefault("site", case.get("site", "NB01"))
    for row in slides:
        row.setdefault("status", "ok")
        row.setdefault("tier", "exact" if row.get("case_id") else "none")
    _fill_others({"events": events, "series": series, "annotations": annotations, "materials": materials}, slides)
    for row in reports:
        row.setdefault("report_type", "primary")
        row.setdefault("status", "final")
    _count(cases, people.values(), slides, reports)
    rows = (slides, cases, list(people.values()), reports, events, series, annotations, materials)
    made = dict(zip(_DRAWN, rows, strict=True))
    of_report = {row["report_id"]: row for row in reports}
    for name in _SAID:
        made[name] = _said(name, tables.get(name, ()), of_report)
    return {name: made[name] for name in DEID_TABLES}


def _said(name: str, drawn: Iterable[Row], reports: Mapping[str, Row]) -> list[Row]:
    """What reports say, line by line."""
    lines: dict[str, int] = {}
    rows = []
    for row in drawn:
        code = row["report_id"]
        lines[code] = lines.get(code, 0) + 1
        whose = {key: reports[code].get(key) for key in ("case_id", "patient_id", "group_id", "site")}
        rows.append({**_REQUIRED[name], "ordinal": lines[code], **whose, **row})
    return rows


def _fill_others(tables: Mapping[str, list[Row]], slides: list[Row]) -> None:
    of_slide = {row["slide_id"]: row for row in slides}
    for row in tables["annotations"]:
        slide = of_slide.get(row.get("slide_id") or "", {})
        row.update({name: slide.get(name) for name in ("case_id", "patient_id", "group_id")})
        row.setdefault("site", slide.get("site", "NB01"))
    for name, rows in tables.items():
        for row in rows:
            for column, value in _REQUIRED[name].items():
                row.setdefault(column, value)


def _count(cases: list[Row], people: Iterable[Row], slides: list[Row], reports: list[Row]) -> None:
    for case in cases:
        case.setdefault("slide_count", sum(row.get("case_id") == case["case_id"] for row in slides))
        case.setdefault("report_count", sum(row["case_id"] == case["case_id"] for row in reports))
    for person in people:
        own = [case for case in cases if case["patient_id"] == person["patient_id"]]
        person.setdefault("case_count", len(own))
        person.setdefault("slide_count", sum(case["slide_count"] for case in own))
        told = {row.get("birth_date") for row in reports if row["patient_id"] == person["patient_id"]} - {None}
        person.setdefault("birth_date", told.pop() if len(told) == 1 else None)


def _rows(table: Table, lines: list[str]) -> list[Row]:
    if not lines:
        return []
    heads = [head if head in table else _ALIASES.get(head, head) for head in _cells(lines[0])]
    return [{head: _read(table[head], cell) for head, cell in zip(heads, _cells(line), strict=True)} for line in lines[1:]]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")]


def _read(column: Column, cell: str) -> Any:
    if cell == "-":
        return None
    if column.type is Type.STRING:
        is_code = column.name == "subject_code" or column.pattern.startswith(f"{cell[0]}-")
        return long(cell) if is_code else cell
    return _READ[column.type](cell)


_READ: dict[Type, Callable[[str], Any]] = {
    Type.INTEGER: int,
    Type.FLOAT: float,
    Type.BOOLEAN: {"yes": True, "no": False}.__getitem__,
    Type.DATE: date.fromisoformat,
    Type.STRINGS: str.split,
    Type.FLOATS: lambda cell: [float(part) for part in cell.split()],
}


def _lie(row: Row, table: Table, twins: Table | None) -> Row:
    """The row as ``deid/`` has it: nothing of the truth in any column that has a criterion-only twin."""
    lies = {}
    for name in set(twins.names[1:] if twins else ()) & set(table.names):
        lies[name] = _LIES.get(table[name].type, SHIFTED_DATE)
    return {name: lies.get(name, value) if value is not None else None for name, value in row.items() if name in table}


def _only(row: Row, table: Table) -> Row:
    return {name: value for name, value in row.items() if name in table}
