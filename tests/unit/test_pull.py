"""The glass of a cohort that was never scanned: the right cases by their codes alone, in the order of the shelves."""

# ruff: noqa: DTZ001  laboratory systems give local time

import csv
import io
import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pathcurate.cli.main import run
from pathcurate.errors import InputOutputError, PathcurateError, PlanIncompleteError, UsageError
from pathcurate.materials.pull import SHOWN, pull, write_pull
from pathcurate.model.attrition import COHORT_FILE
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES, PERMISSION_CODES
from pathcurate.model.link import LINKS
from pathcurate.model.material import MATERIALS
from pathcurate.model.person import IDENTITIES
from pathcurate.pseudonyms import internal
from pathcurate.tables import Catalog, from_rows, write_parquet
from pathcurate.vault import create_vault
from pathcurate.verification import input_states, write_seal
from pathcurate.workspace import Workspace, load_workspace

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
PERSONS = {("NB01", "S23-1"): "P1", ("NB01", "S23-2"): "P1", ("NB02", "S23-1"): "P2"}
GLASS = [
    ("NB01", "S23-1", "A", "10", "HE"), ("NB01", "S23-1", "A", "2", "HE"), ("NB01", "S23-1", "A", "2", "IHC:ER"),
    ("NB01", "S23-2", None, None, "HE"), ("NB02", "S23-1", "B", "1", "HE"), ("NB01", "S23-3", "A", "1", "HE"),
]  # fmt: skip


def glass(
    number: int, site: str, accession: str, specimen: str | None, block: str | None, stain: str, **more: Any
) -> dict[str, Any]:
    return {
        "material_id": f"M-{number:016d}", "site": site, "kind": "slide", "accession": accession, "specimen": specimen,
        "accession_raw": accession, "block": block, "stain": stain, "stain_raw": stain, "glass_id": f"Q{number}", **more,
    }  # fmt: skip


class Archive:
    """A workspace with glass of four cases, of which one is scanned, and cohorts that are written here."""

    def __init__(self, root: Path) -> None:
        (root / "pathcurate.yaml").write_text("workspace: 1\nname: w\nsites: [{code: NB01}, {code: NB02}]\n")
        self.workspace: Workspace = load_workspace(root / "pathcurate.yaml")
        self.catalog = Catalog(self.workspace.catalog)
        self.glass = [glass(number, *row) for number, row in enumerate(GLASS, start=1)]
        self.glass.append({**glass(7, "NB01", "S23-1", "A", "1", "HE"), "kind": "block"})
        self.catalog.replace(MATERIALS, from_rows(MATERIALS, self.glass))
        identities = [
            {"site": site, "issuer": site, "id_type": "accession", "id_value": accession, "person_id": person}
            for (site, accession), person in PERSONS.items()
        ]
        self.catalog.replace(IDENTITIES, from_rows(IDENTITIES, identities))
        self.links([5])
        vault = create_vault(self.workspace.vault)
        self.layer = internal(vault.key).codes
        for name, table in DEID_TABLES.items():
            write_parquet(self.workspace.deid / f"{name}.parquet", from_rows(table, ()))
        for name, table in {**CRITERIA_TABLES, "permissions": PERMISSION_CODES}.items():
            write_parquet(self.workspace.vault / "criteria" / f"{name}.parquet", from_rows(table, ()))
        self.key = vault.fingerprint
        self.seal = write_seal(self.workspace, input_states(self.workspace), vault.fingerprint, ())

    def reseal(self) -> None:
        self.seal = write_seal(self.workspace, input_states(self.workspace), self.key, ())

    def links(self, numbers: list[int]) -> None:
        rows = [
            {"slide_id": f"S-{number:016d}", "site": "NB02", "material_id": f"M-{number:016d}", "tier": "none"}
            for number in numbers
        ]
        rows.append({"slide_id": "S-0000000000000099", "site": "NB01", "tier": "none"})
        made_of = f"slides@0 {self.catalog.state(MATERIALS)}"
        self.catalog.replace_streamed(LINKS, iter(from_rows(LINKS, rows).to_batches()), made_of)

    def cohort(self, unit: str, *codes: str, name: str = "c") -> None:
        key = {"slide": "case_id", "case": "case_id", "patient": "patient_id"}[unit]
        folder = self.workspace.cohorts / name
        write_parquet(folder / "cohort.parquet", pa.table({key: pa.array(codes, pa.string())}))
        (folder / COHORT_FILE).write_text(json.dumps({"unit": unit, "inputs": dict(self.seal.tables)}))

    def numbers(self, **options: Any) -> list[str]:
        return [row["glass_id"] for row in pull(self.workspace, "c", now=NOW, **options).glass.to_pylist()]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def test_of_the_cohorts_cases_the_glass_that_no_slide_shows(archive: Archive) -> None:
    code = archive.layer.code
    archive.cohort("case", code("C", "NB01", "S23-1"), code("C", "NB02", "S23-1"), code("C", "NB01", "S23-404"))
    found = pull(archive.workspace, "c", now=NOW)
    assert (found.cases, found.has_links, found.glass.column_names) == (2, True, list(SHOWN))
    # Block 2 before block 10; the case of the other site with this number is scanned.
    assert archive.numbers() == ["Q2", "Q3", "Q1"]
    assert archive.numbers(stain="IHC:ER") == ["Q3"]
    assert archive.numbers(stain="PAS") == []


def test_a_cohort_of_slides_repeats_its_cases_and_one_of_patients_has_all_of_theirs(archive: Archive) -> None:
    archive.cohort("slide", *[archive.layer.code("C", "NB01", "S23-2")] * 3)
    assert archive.numbers() == ["Q4"]
    archive.cohort("patient", archive.layer.code("P", "P1"))
    assert archive.numbers() == ["Q2", "Q3", "Q1", "Q4"]


def test_without_any_slide_of_known_glass_it_says_so(archive: Archive) -> None:
    archive.links([])
    archive.reseal()
    archive.cohort("case", archive.layer.code("C", "NB02", "S23-1"))
    assert pull(archive.workspace, "c", now=NOW).has_links is False
    assert archive.numbers() == ["Q5"]


def test_the_list_is_only_for_its_owner_and_asking_for_it_is_noted(archive: Archive) -> None:
    archive.glass[3] |= {"glass_id": "=cmd|' /C calc'!A0", "accession_raw": "@SUM(A1)", "stain_raw": 'a"b\r\nc,d'}
    archive.glass[3] |= {"made_date": datetime(2023, 4, 5)}
    archive.catalog.replace(MATERIALS, from_rows(MATERIALS, archive.glass))
    archive.links([5])
    archive.reseal()
    archive.cohort("patient", archive.layer.code("P", "P1"))
    path = write_pull(archive.workspace, pull(archive.workspace, "c", now=NOW), actor="tester")
    assert path.parent == archive.workspace.catalog / "review"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    assert len(rows) == 4
    assert (rows[3]["glass_id"], rows[3]["accession_raw"]) == ("'=cmd|' /C calc'!A0", "'@SUM(A1)")
    assert (rows[3]["stain_raw"], rows[3]["specimen"], rows[3]["made_date"]) == ('a"b\r\nc,d', "", "2023-04-05 00:00:00")
    event = json.loads((archive.workspace.vault / "audit.jsonl").read_text().splitlines()[-1])
    assert (event["actor"], event["action"]) == ("tester", "materials pull")
    assert {name: event["facts"][name] for name in ("cohort", "cases", "glass")} == {"cohort": "c", "cases": 2, "glass": 4}


def test_the_command_counts_and_names_nobody(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    archive.cohort("patient", archive.layer.code("P", "P1"))
    root = str(archive.workspace.root)
    assert run(["materials", "pull", "c", "-w", root]) == 0
    shown = capsys.readouterr()
    assert shown.out == "4 slides not scanned, of 2 cases with known glass\n  NB01  4\n"
    assert shown.err == ""
    assert not (archive.workspace.catalog / "review").exists()
    assert run(["materials", "pull", "c", "--stain", "HE", "--to-review", "--json", "-w", root]) == 0
    document = json.loads(capsys.readouterr().out)
    assert Path(document.pop("review")).parent == archive.workspace.catalog / "review"
    assert document == {"cohort": "c", "cases": 2, "glass": 3, "sites": {"NB01": 3}}


@pytest.mark.parametrize(
    ("name", "stain", "kind", "words"),
    [
        ("d", None, UsageError, "no cohort `d`"), ("../c", None, UsageError, "no cohort"),
        ("", None, UsageError, "no cohort"),
        ("c", "H&E", UsageError, "no stain `H&E`"), ("c", "IHC:ki67", UsageError, "did you mean `IHC:Ki-67`"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_refused(
    archive: Archive, name: str, stain: str | None, kind: type[PathcurateError], words: str
) -> None:
    archive.cohort("case")
    with pytest.raises(kind, match=words):
        pull(archive.workspace, name, now=NOW, stain=stain)


def test_a_cohort_whose_codes_may_be_others_is_refused(archive: Archive) -> None:
    archive.cohort("case")
    assert archive.numbers() == []
    facts = archive.workspace.cohorts / "c" / COHORT_FILE
    facts.write_text(json.dumps({"unit": "case", "inputs": {"deid/slides.parquet": "sha256:0"}}))
    with pytest.raises(PlanIncompleteError, match="older than the de-identified tables"):
        archive.numbers()
    archive.cohort("case")
    archive.links([1])
    with pytest.raises(PlanIncompleteError, match="links changed since"):
        archive.numbers()


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"\xff\xfe"])
def test_a_cohort_whose_file_is_damaged_is_refused_with_advice(archive: Archive, damage: bytes) -> None:
    archive.cohort("case")
    (archive.workspace.cohorts / "c" / COHORT_FILE).write_bytes(damage)
    with pytest.raises(InputOutputError, match="cannot be read"):
        archive.numbers()


def test_glass_that_was_imported_after_linking_is_not_said_to_be_unscanned(archive: Archive) -> None:
    archive.cohort("case", archive.layer.code("C", "NB01", "S23-1"))
    archive.catalog.replace(MATERIALS, from_rows(MATERIALS, archive.glass[:3]))
    with pytest.raises(PlanIncompleteError, match="materials changed since the last de-identification"):
        archive.numbers()
    archive.reseal()
    with pytest.raises(PlanIncompleteError, match="which of today's glass is scanned"):
        archive.numbers()
    archive.links([5])
    archive.reseal()
    assert archive.numbers() == ["Q2", "Q3", "Q1"]
