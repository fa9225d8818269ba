"""Four sites with planted errors and the answers: what is linked, what is not, and which wrong links nobody could see."""

# ruff: noqa: DTZ001  times of scanners and laboratories have no zone

import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from pathcurate.engines.embedded import Embedded
from pathcurate.findings import read_findings
from pathcurate.link import LinkSummary, keys, link
from pathcurate.model.case import CASES
from pathcurate.model.column import Table
from pathcurate.model.link import LINK_DECISIONS, LINKED_TIERS, LINKS
from pathcurate.model.material import MATERIALS, SCANNER_INDEX
from pathcurate.model.person import IDENTITIES, MERGES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.tables import Catalog, from_rows
from pathcurate.workspace import Workspace, load_workspace
from tests.makers.hospitals import GLASS, ODD_PATTERNS, SITES, Glass, Hospital, Row, draw

DAYS = 60
MADE = (LINKS, PERSONS, IDENTITIES, CASES, SLIDE_KEYS)
INPUTS = (REPORTS, SLIDES, MATERIALS, SCANNER_INDEX, MERGES)
Links = Mapping[str, Row]


# --- What must come out, by the rules of README "Linking" and the answers alone -----------------------------------


class Expected:
    """The link that each slide of a hospital must have."""

    def __init__(self, hospital: Hospital, *, merged: bool) -> None:
        self._cases = hospital.cases
        self._received = {(row["site"], row["accession"]): row["received_date"] for row in hospital.reports}
        self._shared = hospital.used_by_two
        self._glasses = {(row["glass_id"], row["accession"]) for row in hospital.materials}
        self._index = {row["entry_id"][2:]: row["accession"] for row in hospital.scanner_index}
        self._first = {(site, other): first for site, first, other in hospital.merged} if merged else {}
        self._by_number: dict[tuple[str, str], set[int]] = defaultdict(set)
        for case in self._cases.values():
            self._by_number[case.site, case.patient].add(case.person.key)

    def said(self, one: Glass) -> dict[str, str]:
        """Known numbers that the slide bears, by witness."""
        numbers = {"file_name": one.name, "barcode": one.barcode}
        said = {source: self._accession(one, digits) for source, digits in numbers.items() if digits}
        said |= {"index": self._index[one.key]} if one.key in self._index else {}
        if one.case.site == GLASS and not self._is_glass(one):
            # An opaque barcode that the laboratory system does not know.
            said.pop("barcode", None)
        return {source: number for source, number in said.items() if (one.case.site, number) in self._cases}

    def _accession(self, one: Glass, digits: str) -> str:
        if digits.startswith("H"):
            return one.case.accession
        return f"{one.case.accession[:4]}{int(digits)}"

    def of(self, one: Glass) -> tuple[str, str | None]:
        """Tier and case."""
        site, said = one.case.site, self.said(one)
        if len(set(said.values())) > 1:
            return "conflict", None
        if not said:
            return self._by_patient(one)
        [number] = set(said.values())
        case = self._cases[site, number]
        if self._is_nobodys(site, number) or self._is_stranger(site, one.patient, case.person.key, case.patient):
            return "conflict", None
        return "exact" if len(said) > 1 else next(iter(said)), number

    def _is_glass(self, one: Glass) -> bool:
        number = int(one.barcode or 0)
        return (f"9{number:05d}{int(one.part[1:]):04d}", f"S24-{number}") in self._glasses

    def _is_nobodys(self, site: str, number: str) -> bool:
        case = self._cases[site, number]
        return (site, case.patient) in self._shared and not case.has_card

    def _is_stranger(self, site: str, patient: str | None, person: int, patient_of_case: str) -> bool:
        known = self._by_number.get((site, patient or ""), set())
        return bool(known) and person not in known and not known & self._by_number[site, patient_of_case]

    def _by_patient(self, one: Glass) -> tuple[str, str | None]:
        site, patient = one.case.site, one.patient or ""
        bears_number = one.name or (one.barcode and site != GLASS)
        if bears_number or (site, patient) not in self._by_number or (site, patient) in self._shared:
            return "none", None
        [person] = self._by_number[site, patient]
        mine = {
            number for (there, number), case in self._cases.items()
            if there == site and case.person.key == person and not self._is_nobodys(site, number)
            and self._is_one(site, case.patient, patient, case.has_card)
            and 0 <= (one.scanned.date() - self._received[site, number].date()).days < DAYS
        }  # fmt: skip
        return ("patient_date", mine.pop()) if len(mine) == 1 else ("none", None)

    def _is_one(self, site: str, number: str, other: str, has_card: bool) -> bool:
        """Whether two numbers of one person are known to be one person's."""
        return has_card or self._first.get((site, number), number) == self._first.get((site, other), other)


# --- The hospital as a catalog ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Linked:
    """A catalog that was linked."""

    workspace: Workspace
    summary: LinkSummary

    @property
    def catalog(self) -> Catalog:
        return Catalog(self.workspace.catalog)

    @property
    def links(self) -> Links:
        return {row["slide_id"]: row for row in self.catalog.read(LINKS).to_pylist()}

    def state(self) -> dict[str, Any]:
        """All that linking makes, and what it found; only links come in an order that the size of a batch changes."""
        tables = {table.name: self.catalog.read(table).to_pylist() for table in MADE}
        tables[LINKS.name].sort(key=itemgetter("slide_id"))
        return {**tables, "findings": read_findings(self.catalog, "link") + read_findings(self.catalog, "keys")}


def workspace_at(root: Path, *, odd: bool = True) -> Workspace:
    """A workspace; without ``odd`` nobody has told yet how the last site writes its numbers."""
    root.mkdir(parents=True, exist_ok=True)
    sites: list[dict[str, Any]] = [{"code": code, "archives": [{"name": "main", "root": code}]} for code in SITES]
    if odd:
        sites[-1]["accession"] = {"patterns": list(ODD_PATTERNS)}
    document = {"workspace": 1, "name": "t", "link": {"patient_date_days": DAYS}, "sites": sites}
    (root / "pathcurate.yaml").write_text(json.dumps(document))
    return load_workspace(root / "pathcurate.yaml")


def rows_of(hospital: Hospital, *, merged: bool) -> dict[Table, list[Row]]:
    return {
        REPORTS: hospital.reports, SLIDES: hospital.slides, MATERIALS: hospital.materials,
        SCANNER_INDEX: hospital.scanner_index, MERGES: hospital.merges if merged else [],
    }  # fmt: skip


def fill(catalog: Catalog, rows: Mapping[Table, Sequence[Row]], layout: str = "whole") -> None:
    """Put rows into the catalog as one part, or as several of each kind of part."""
    rng = random.Random(layout)
    for table in INPUTS:
        mine = list(rows.get(table, ()))
        if layout == "whole":
            catalog.replace(table, from_rows(table, mine))
            continue
        rng.shuffle(mine)
        for start in range(4):
            catalog.upsert(table, from_rows(table, mine[start::4]), only_adds=start % 2 == 0)
        # What is told again replaces what was told before.
        catalog.upsert(table, from_rows(table, mine[: len(mine) // 7]))


def linked(root: Path, rows: Mapping[Table, Sequence[Row]], engine: Embedded, layout: str = "whole") -> Linked:
    workspace = workspace_at(root)
    fill(Catalog(workspace.catalog), rows, layout)
    return Linked(workspace, link(workspace, engine))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with Embedded(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as made:
        yield made


@pytest.fixture(scope="module")
def hospital() -> Hospital:
    return draw(1)


@pytest.fixture(scope="module")
def plain(hospital: Hospital, engine: Embedded, tmp_path_factory: pytest.TempPathFactory) -> Linked:
    return linked(tmp_path_factory.mktemp("plain"), rows_of(hospital, merged=True), engine)


# --- Tests --------------------------------------------------------------------------------------------------------


def test_every_slide_has_the_link_that_the_rules_give_it(hospital: Hospital, plain: Linked) -> None:
    expected = Expected(hospital, merged=True)
    found = {key: (row["tier"], row["accession"]) for key, row in plain.links.items()}
    assert found == {key: expected.of(one) for key, one in hospital.glass.items()}


SURE = ("exact", "reviewed")


def test_no_sure_link_is_wrong_and_what_is_wrong_nobody_could_see(hospital: Hospital, plain: Linked) -> None:
    expected, wrong = Expected(hospital, merged=True), Counter[str]()
    for key, row in plain.links.items():
        one = hospital.glass[key]
        if row["accession"] is None or row["accession"] == one.case.accession:
            continue
        wrong[row["tier"]] += 1
        assert row["tier"] not in SURE
        # A patient's number tells people apart, not two cases of one.
        assert hospital.cases[row["site"], row["accession"]].person is one.case.person or not row["patient_agrees"]
        # Whatever else the slide bears names the same case, or none.
        assert set(expected.said(one).values()) <= {row["accession"]}
        assert one.planted & {"name wrong", "barcode wrong", "swapped", "index wrong", "name missing"}
    linked_slides = sum(plain.summary.tiers[tier] for tier in LINKED_TIERS)
    assert sum(wrong.values()) / linked_slides < 0.005
    assert wrong["file_name"] > 0, "one witness alone can err unseen"


def test_two_known_numbers_or_another_patients_number_are_never_linked(hospital: Hospital, plain: Linked) -> None:
    expected, links = Expected(hospital, merged=True), plain.links
    planted, told = Counter[str](), Counter[str]()
    for key, one in hospital.glass.items():
        row = links[key]
        if len(set(expected.said(one).values())) > 1:
            assert (row["tier"], row["rule"], row["accession"]) == ("conflict", "numbers_disagree", None)
            planted.update(one.planted)
        elif row["tier"] == "conflict":
            assert row["rule"] in {"patient_disagrees", "number_two_people"}
            told.update([row["rule"]])
    assert set(planted) >= {"swapped", "name wrong", "barcode wrong", "index wrong"}
    assert min(told["patient_disagrees"], told["number_two_people"]) > 5


def test_every_untroubled_slide_is_linked_to_its_own_report(hospital: Hospital, plain: Linked) -> None:
    links, seen = plain.links, Counter[str]()
    for key, one in hospital.glass.items():
        is_shared = (one.case.site, one.case.patient) in hospital.used_by_two
        if (is_shared and not one.case.has_card) or one.planted - {"index"}:
            continue
        row, report = links[key], f"R-{one.case.site}-{one.case.number:05d}{'-F' if one.frozen else ''}"
        assert (row["accession"], row["report_id"]) == (one.case.accession, report)
        assert row["tier"] == ("file_name" if one.case.site == SITES[0] else "exact")
        assert row["patient_agrees"] is (True if one.patient and not is_shared else None)
        seen[one.case.site] += 1
    assert min(seen.values()) > 250
    assert set(seen) == set(SITES)


def test_numbers_are_of_the_people_who_have_them(hospital: Hospital, plain: Linked) -> None:
    people: dict[str, set[int]] = defaultdict(set)
    person_of = {(row["site"], row["accession"]): row["person_id"] for row in plain.catalog.read(CASES).to_pylist()}
    for place, case in hospital.cases.items():
        if person_of[place] is None:
            assert (case.site, case.patient) in hospital.used_by_two
            assert not case.has_card
        else:
            people[person_of[place]].add(case.person.key)
    assert {len(keys) for keys in people.values()} == {1}, "nobody is taken for somebody else"
    numbers = {(row["site"], row["id_value"]): row["person_id"] for row in plain.catalog.read(IDENTITIES).to_pylist()
               if row["id_type"] == "patient_id"}  # fmt: skip
    for person in hospital.persons:
        for site, mine in person.numbers.items():
            if len(mine) > 1:
                assert len({numbers[site, number] for number in mine}) == 1, "by one card, or by the merge list"
    assert len({numbers[site, "00000001"] for site in SITES}) == len(SITES)


def test_a_reviewer_puts_right_what_the_rules_could_not(
    hospital: Hospital, plain: Linked, engine: Embedded, tmp_path: Path
) -> None:
    troubled = [
        key for key, row in plain.links.items() if row["tier"] in {"conflict", "none", "file_name"}
        and hospital.glass[key].planted & {"swapped", "name wrong", "barcode wrong", "patient wrong", "name missing"}
    ]  # fmt: skip
    decisions = [
        {"decision_id": f"d{number:05d}", "slide_id": key, "site": hospital.glass[key].case.site, "decision": "confirm",
         "accession": hospital.glass[key].case.accession, "decided_at": datetime(2025, 1, 1)}
        for number, key in enumerate(troubled)
    ]  # fmt: skip
    workspace = workspace_at(tmp_path)
    fill(Catalog(workspace.catalog), rows_of(hospital, merged=True))
    Catalog(workspace.catalog).replace(LINK_DECISIONS, from_rows(LINK_DECISIONS, decisions))
    reviewed, links = Linked(workspace, link(workspace, engine)).links, plain.links
    for key, row in reviewed.items():
        one = hospital.glass[key]
        if key not in troubled:
            # A slide that was taken away may leave another as the only one that can show a glass.
            assert {**row, "material_id": None} == {**links[key], "material_id": None}
        elif row["tier"] == "conflict":
            assert row["rule"] == "number_two_people", "a case that is nobody's stays nobody's"
        else:
            assert (row["tier"], row["accession"]) == ("reviewed", one.case.accession)
    assert len(troubled) > 100


def test_the_result_is_the_same_whatever_order_parts_and_workers(
    hospital: Hospital, plain: Linked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_FEW", 0)
    monkeypatch.setattr(keys, "_READ_ROWS", 500)
    monkeypatch.setattr(keys, "_WRITTEN_ROWS", 150)
    monkeypatch.setattr("pathcurate.link._ROWS_AT_ONCE", 400)
    with Embedded(workers=2, temp_directory=tmp_path / "spill") as two:
        other = linked(tmp_path, rows_of(hospital, merged=True), two, layout="parts")
    assert other.state() == plain.state()
    assert other.summary == plain.summary


def test_a_hospital_in_four_goes_is_the_hospital_in_one(
    hospital: Hospital, plain: Linked, engine: Embedded, tmp_path: Path
) -> None:
    """At first half of it, no merge list, no scanner's table, and no patterns of the last site; then one after the other."""
    whole = rows_of(hospital, merged=True)
    first = {table: whole[table][::2] for table in (REPORTS, SLIDES)} | {MATERIALS: whole[MATERIALS]}
    workspace = workspace_at(tmp_path, odd=False)
    fill(Catalog(workspace.catalog), first)
    before = Linked(workspace, link(workspace, engine))
    assert not [row for row in before.links.values() if row["site"] == SITES[3] and row["tier"] == "exact"]
    assert "link.merged" not in {finding.rule for finding in before.summary.findings}
    workspace = workspace_at(tmp_path)
    catalog = Catalog(workspace.catalog)
    catalog.upsert(REPORTS, from_rows(REPORTS, whole[REPORTS][1::2]), only_adds=True)
    more, last = whole[SLIDES][1::4], whole[SLIDES][3::4]
    catalog.upsert(SLIDES, from_rows(SLIDES, more), only_adds=True)
    link(workspace, engine)
    for table in (SCANNER_INDEX, MERGES):
        catalog.upsert(table, from_rows(table, whole[table]))
    link(workspace, engine)
    catalog.upsert(SLIDES, from_rows(SLIDES, last))
    after = Linked(workspace, link(workspace, engine))
    assert after.state() == plain.state()
    again = Linked(workspace, link(workspace, engine))
    assert again.state() == plain.state(), "a run that finds nothing new says what it said"
    assert replace(again.summary, findings=()) == replace(plain.summary, findings=())
    assert Counter(again.summary.findings) == Counter(plain.summary.findings)
