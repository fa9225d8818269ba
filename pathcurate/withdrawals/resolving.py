"""Original numbers of patients, cases and slides, to the internal codes of all that is theirs; no message repeats one."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.errors import PlanIncompleteError, UsageError
from pathcurate.lookup import Alike, Condition, Lookup, OneOf
from pathcurate.model.column import Table
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.event import EVENTS
from pathcurate.model.feed import Scope
from pathcurate.model.link import LINKS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.pseudonyms import canonical, internal
from pathcurate.storage import path_text
from pathcurate.tables import Catalog, read_parquet, read_schema
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.identities import card_number
from pathcurate.withdrawals.feed import CODE_COLUMNS, key_columns
from pathcurate.withdrawals.subjects import Subject
from pathcurate.workspace import Workspace

_AT_ONCE = 65_536
_UNKNOWN = "Look it up with `pathcurate find`; whoever was erased before can no longer be withdrawn by number."


@dataclass(slots=True)
class Meant:
    """Who and what is withdrawn, by the catalog's identifiers. It is never shown.

    Attributes:
        persons: of patients: every person of the group.
        groups: of patients.
        cases: site and number of each.
        slides: their identifiers.
        series: likewise.
    """

    persons: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    cases: set[tuple[str, str]] = field(default_factory=set)
    slides: set[str] = field(default_factory=set)
    series: set[str] = field(default_factory=set)

    def __repr__(self) -> str:
        return f"Meant({len(self.persons)} persons, {len(self.cases)} cases, {len(self.slides)} slides)"

    def subjects(self, key: bytes) -> frozenset[Subject]:
        """Their internal codes under a key of the vault."""
        code = internal(key).codes.code
        return frozenset(
            [
                *(("patient", code("P", one)) for one in self.persons), *(("person", code("Q", one)) for one in self.groups),
                *(("case", code("C", *one)) for one in self.cases), *(("slide", code("S", one)) for one in self.slides),
                *(("series", code("I", one)) for one in self.series),
            ]
        )  # fmt: skip


def find_meant(workspace: Workspace, scope: Scope, numbers: Sequence[tuple[int, str]], site: str | None = None) -> Meant:
    """Who and what some original numbers are of.

    A patient's number, or an identity card's, takes the whole group of persons who may be this one, at every site, with
    their cases, slides and series. A case's number takes its slides and series. A slide is named by its identifier, or by
    the path or name of its file.

    Args:
        workspace: whose catalog is asked.
        scope: what the numbers are of.
        numbers: each with the number of its line.
        site: whose they are; None if that does not matter.

    Raises:
        UsageError: a line names nobody here, or several; it is named by its number.
        InputOutputError: the catalog cannot be read.
    """
    lookup = Lookup(Catalog(workspace.catalog))
    meant = Meant()
    if scope is Scope.PATIENT:
        for line, text in numbers:
            _add_person(lookup, meant, line, text, site)
        _add_theirs(lookup, meant)
    elif scope is Scope.CASE:
        for line, text in numbers:
            meant.cases.add(_case(workspace, lookup, line, text, site))
    else:
        meant.slides |= _slides(workspace, numbers, site)
    for one in sorted(meant.cases):
        rows = lookup.rows(LINKS, ("slide_id", "series_id"), {"accession": OneOf({one[1]}), "site": OneOf({one[0]})})
        _add_files(meant, rows)
    return meant


def find_codes(workspace: Workspace, subjects: Iterable[Subject]) -> dict[str, frozenset[str]]:
    """Internal codes of every de-identified row that is of some subjects, by the column that names such rows.

    Args:
        workspace: whose ``deid/`` is asked.
        subjects: internal codes.

    Raises:
        PlanIncompleteError: a table is missing.
        InputOutputError: a table cannot be read.
    """
    columns = {"patient": "patient_id", "case": "case_id", "slide": "slide_id", "series": "series_id", "person": "group_id"}
    found: dict[str, set[str]] = {name: set() for name in CODE_COLUMNS}
    seeds: dict[str, set[str]] = {column: set() for column in columns.values()}
    for kind, code in subjects:
        seeds[columns[kind]].add(code)
    for name in CODE_COLUMNS:
        found[name] |= seeds.get(name, set())
    takes_cases = bool(seeds["patient_id"])
    for table in DEID_TABLES.values():
        path = workspace.deid / f"{table.name}.parquet"
        own = [name for name in table.key[:1] if name in CODE_COLUMNS]
        own += ["case_id"] if takes_cases and "case_id" in table else []
        if not own:
            continue
        if not path.is_file():
            raise PlanIncompleteError(
                f"deid/{path.name} is missing, so it cannot be told which rows of releases are theirs",
                "Run `pathcurate deid apply`, then withdraw again; nothing was changed.",
            )
        names = [name for name in dict.fromkeys((*own, *seeds)) if name in read_schema(path).names]
        rows = read_parquet(path, names)
        mine = rows.filter(_any_of(rows, seeds))
        for column in own:
            found[column].update(code for code in mine[column].to_pylist() if code is not None)
    return {name: frozenset(codes) for name, codes in found.items() if codes}


def codes_in(tables: Iterable[pa.Table], wanted: Mapping[str, Collection[str]]) -> dict[str, frozenset[str]]:
    """Those of some codes that stand in the columns of tables which are named like theirs."""
    found: dict[str, set[str]] = {}
    for rows in tables:
        for name in key_columns(rows.column_names):
            if name in wanted:
                chosen = pa.array(sorted(wanted[name]), pa.string())
                there: Any = pc.unique(rows[name].filter(pc.is_in(rows[name], value_set=chosen)))
                found.setdefault(name, set()).update(there.to_pylist())
    return {name: frozenset(codes) for name, codes in found.items() if codes}


def _any_of(rows: pa.Table, wanted: Mapping[str, Collection[str]]) -> Any:
    mask: Any = pa.chunked_array([pa.array([False] * rows.num_rows, pa.bool_())])
    for name, codes in wanted.items():
        if codes and name in rows.column_names:
            here: Any = pc.is_in(rows[name], value_set=pa.array(sorted(codes), pa.string()))
            mask = pc.or_(mask, pc.fill_null(here, False))
    return mask


# --- People ------------------------------------------------------------------------------------------------------


def _add_person(lookup: Lookup, meant: Meant, line: int, text: str, site: str | None) -> None:
    card = card_number(text)
    wanted: dict[str, Condition] = {
        "id_value": OneOf({canonical(text), *([card] if card else [])}), "id_type": OneOf({"patient_id", "id_number"}),
    }  # fmt: skip
    rows = [
        row for row in lookup.rows(IDENTITIES, ("site", "id_type", "person_id"), wanted)
        if site in {None, row["site"]} or row["id_type"] == "id_number"
    ]  # fmt: skip
    persons = {str(row["person_id"]) for row in rows}
    groups = {str(row["group_id"]) for row in lookup.rows(PERSONS, ("group_id",), {"person_id": OneOf(persons)})}
    if len(groups) > 1:
        raise UsageError(
            f"the number in line {line} is of several persons here ({len({row['site'] for row in rows})} sites)",
            "Give --site with a patient's number; nothing was changed.",
        )
    if not persons:
        alike: dict[str, Condition] = {"patient_id": Alike({text}), **({"site": OneOf({site})} if site else {})}
        if any(lookup.rows(table, ("site",), alike) for table in (REPORTS, EVENTS)):
            raise UsageError(
                f"reports or events have the number in line {line}, but it is of no one person: nothing was linked since",
                "Run `pathcurate link` and `pathcurate deid apply`, then withdraw again; nothing was changed.",
            )
        raise UsageError(f"nobody here has the number in line {line}", f"{_UNKNOWN} Nothing was changed.")
    meant.persons |= persons
    meant.groups |= groups


def _add_theirs(lookup: Lookup, meant: Meant) -> None:
    """Every person of the groups, and their cases, slides and series."""
    of_groups = lookup.rows(PERSONS, ("person_id",), {"group_id": OneOf(meant.groups)})
    meant.persons |= {str(row["person_id"]) for row in of_groups}
    known = lookup.rows(IDENTITIES, ("site", "id_type", "id_value"), {"person_id": OneOf(meant.persons)})
    meant.cases |= {(row["site"], row["id_value"]) for row in known if row["id_type"] == "accession"}
    for site in sorted({row["site"] for row in known}):
        numbers = {row["id_value"] for row in known if row["site"] == site and row["id_type"] == "patient_id"}
        named: dict[str, Condition] = {"patient_id": Alike(numbers), "site": OneOf({site})}
        for row in lookup.rows(REPORTS, ("site", "accession"), named):
            # Cases that came since the last link; one that is known to be somebody else's stays theirs.
            case: dict[str, Condition] = {
                "id_type": OneOf({"accession"}), "site": OneOf({site}), "id_value": OneOf({row["accession"] or ""}),
            }  # fmt: skip
            if row["accession"] and not lookup.rows(IDENTITIES, ("person_id",), case):
                meant.cases.add((site, row["accession"]))
    _add_files(meant, lookup.rows(LINKS, ("slide_id", "series_id"), {"person_id": OneOf(meant.persons)}))


def _add_files(meant: Meant, rows: Iterable[Mapping[str, str | None]]) -> None:
    for row in rows:
        meant.slides |= {row["slide_id"]} - {None}  # type: ignore[arg-type]
        meant.series |= {row["series_id"]} - {None}  # type: ignore[arg-type]


# --- Cases and slides --------------------------------------------------------------------------------------------


def _case(workspace: Workspace, lookup: Lookup, line: int, text: str, site: str | None) -> tuple[str, str]:
    found: set[tuple[str, str]] = set()
    for one in workspace.sites:
        if site in {None, one.code}:
            numbers = {AccessionPatterns(one.accession.patterns).normalise(text), text}
            found |= {(one.code, number) for number in numbers if _is_case(lookup, one.code, number)}
    if len(found) > 1:
        raise UsageError(f"the number in line {line} is of {len(found)} cases", "Give --site; nothing was changed.")
    if not found:
        raise UsageError(f"no case here has the number in line {line}", f"{_UNKNOWN} Nothing was changed.")
    return found.pop()


_CASES: tuple[tuple[Table, str], ...] = ((IDENTITIES, "id_value"), (REPORTS, "accession"), (LINKS, "accession"))


def _is_case(lookup: Lookup, site: str, number: str) -> bool:
    return any(_has_case(lookup, table, column, site, number) for table, column in _CASES)


def _has_case(lookup: Lookup, table: Table, column: str, site: str, number: str) -> bool:
    wanted: dict[str, Condition] = {column: OneOf({number}), "site": OneOf({site})}
    return bool(lookup.rows(table, ("site",), wanted | ({"id_type": OneOf({"accession"})} if table is IDENTITIES else {})))


def _slides(workspace: Workspace, numbers: Sequence[tuple[int, str]], site: str | None) -> set[str]:
    """Slides by identifier, by path below an archive (with or without the archive's name before it), or by file name."""
    wanted = {text for _, text in numbers}
    found: dict[str, set[str]] = {text: set() for text in wanted}
    for slide, names in _slide_names(workspace, site):
        for text in wanted.intersection(names):
            found[text].add(slide)
    for line, text in numbers:
        if not found[text]:
            raise UsageError(f"no slide here has the name in line {line}", f"{_UNKNOWN} Nothing was changed.")
        if len(found[text]) > 1:
            raise UsageError(
                f"the name in line {line} is of {len(found[text])} slides", "Give the whole path; nothing was changed."
            )
    return set().union(*found.values())


def _slide_names(workspace: Workspace, site: str | None) -> Iterator[tuple[str, tuple[str, ...]]]:
    for piece in Catalog(workspace.catalog).pieces(SLIDES, _AT_ONCE):
        for row in piece.select(["slide_id", "site", "archive", "relpath"]).to_pylist():
            if site in {None, row["site"]}:
                path = path_text(row["relpath"])
                name = PurePosixPath(path)
                yield row["slide_id"], (row["slide_id"], path, f"{row['archive']}/{path}", name.name, name.stem)
