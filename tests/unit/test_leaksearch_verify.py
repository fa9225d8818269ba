"""`deid verify DIR`: the identifiers of a catalog, the search that proves itself first, and what a person is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from pathcurate import deid
from pathcurate.cli.main import run
from pathcurate.deid import faults
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import InputOutputError
from pathcurate.leaksearch.identifiers import Identifiers
from pathcurate.model.material import SCANNER_INDEX
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.tables import Catalog, from_rows
from pathcurate.vault import broken_event
from pathcurate.workspace import Workspace, load_workspace
from tests.canaries import Search
from tests.clinic import CANARIES, open_clinic, report, slide


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A de-identified clinic."""
    workspace = open_clinic(tmp_path_factory.mktemp("verify") / "clinic")
    assert deid.apply(workspace, actor="tester").faults == ()
    return workspace


def has(identifiers: Identifiers, text: str) -> bool:
    return any(hit.end - hit.start == len(text) for hit in identifiers.find(text))


def test_every_kind_of_identifier_is_taken_from_the_catalog(clinic: Workspace) -> None:
    known = faults.known(clinic)
    for what in (
        "name", "accession", "raw accession", "external", "identity card", "phone", "doctor", "pathologist", "reviewer",
        "slide", "report", "event", "group", "sha", "serial", "file name",
    ):  # fmt: skip
        assert has(known, CANARIES[what]), what
    assert not has(known, "NB01")
    assert not has(known, "archive")


def test_cells_with_two_names_paths_and_departments(tmp_path: Path) -> None:
    workspace = open_clinic(tmp_path, slides=(), reports=(), events=(), keys={})
    catalog = Catalog(workspace.catalog)
    rows = [
        report(1, submitting_doctor="王小明/李大壮", pathologist="赵钱孙、周吴郑", patient_name="钱多多（女）",
               submitting_unit="普外科"),
        report(2, submitting_unit="示例市第二人民医院", reviewer="HE"),
    ]  # fmt: skip
    catalog.replace(REPORTS, from_rows(REPORTS, rows))
    paths = ["2023/张三丰/S23-7/x.svs", "肿瘤 20230405/胃窦/陈大文.svs", "2023-05-06/thumbnail.svs", "a/b/SCAN00042.svs"]
    catalog.upsert(SLIDES, from_rows(SLIDES, [slide(n, relpath=path.encode("gb18030")) for n, path in enumerate(paths)]))
    entry = {"entry_id": "N1", "site": "NB01", "archive": "a", "path": "D:\\\\孙悟空\\\\IMG_778899.kfb"}
    catalog.replace(SCANNER_INDEX, from_rows(SCANNER_INDEX, [entry]))
    known = faults.known(workspace)
    for text in (
        "王小明", "李大壮", "赵钱孙", "钱多多", "示例市第二人民医院", "张三丰", "陈大文", "SCAN00042", "孙悟空",
        "IMG_778899",
    ):  # fmt: skip
        assert has(known, text), text
    for text in ("普外科", "胃窦", "20230506", "2023", "thumbnail", "HE", "x"):
        assert not has(known, text), text


def test_identifiers_of_many_cells_are_gathered_in_shares(clinic: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, asked = faults.known(clinic), []
    monkeypatch.setattr("pathcurate.leaksearch.known.CELLS_AT_ONCE", 7)
    batches = Embedded.batches

    def asking(self: Embedded, sql: str, *more: Any) -> Any:
        asked.append(sql)
        return batches(self, sql, *more)

    monkeypatch.setattr(Embedded, "batches", asking)
    shared = faults.known(clinic)
    assert sum("GROUP BY" in sql for sql in asked) > 5
    assert shared.kinds() == whole.kinds()
    assert len(shared) == len(whole)
    for what, value in CANARIES.items():
        # A value of two kinds that are folded alike, as a number and the file that is named after it, is of either.
        found = [{(hit.start, hit.end) for hit in one.find(value)} for one in (whole, shared)]
        assert found[0] == found[1], what


def test_a_directory_with_leaks_is_refused_and_they_are_named_by_place_alone(
    clinic: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "page.html").write_text(f"<p>{CANARIES['name']}</p>", encoding="utf-8")
    (tmp_path / f"{CANARIES['accession']}.txt").write_text("plain")
    (tmp_path / "odd.7z").write_bytes(b"7z\xbc\xaf\x27\x1c")
    arguments = ["deid", "verify", str(tmp_path), "-w", str(clinic.root)]
    assert run([*arguments, "--json"]) == 13
    result = capsys.readouterr()
    document = json.loads(result.out)
    assert {(leak["file"], leak["kind"]) for leak in document["leaks"]} == {
        ("page.html", "name"), ("file 1", "case"), ("odd.7z", "not searched"),
    }  # fmt: skip
    assert len(document["control"]) >= 2
    assert run(arguments) == 13
    shown = capsys.readouterr()
    assert "LEAK page.html at 3: name, utf-8, 1 place" in shown.out
    assert "NOT SEARCHED odd.7z: packed as 7z, which is not opened" in shown.out
    assert Search(CANARIES).in_text("".join((*result, *shown))) == set()
    assert broken_event(clinic.vault) is None


def test_a_clean_directory_passes(clinic: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "page.html").write_text("<p>浸润性导管癌，CD117(+)，8500/3</p>", encoding="utf-8")
    assert run(["deid", "verify", str(tmp_path), "-w", str(clinic.root)]) == 0
    assert capsys.readouterr().out.endswith("verified: passed\n")
    assert run(["deid", "verify", str(tmp_path / "none"), "-w", str(clinic.root)]) == 3


def test_a_search_that_finds_nothing_in_the_catalog_is_not_trusted(
    clinic: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "search_directory", lambda *_: iter(()))
    with pytest.raises(InputOutputError, match="found nothing where identifiers are"):
        faults.search(clinic, tmp_path, actor="tester")


def test_texts_are_no_strays_and_what_leaks_beside_the_columns_is_a_fault(clinic: Workspace) -> None:
    (clinic.deid / "texts").mkdir(exist_ok=True)
    identifiers = faults.known(clinic)
    assert faults.find_faults(load_workspace(clinic.root / "pathcurate.yaml"), identifiers) == []
    path = clinic.deid / "patients.parquet"
    plain = path.read_bytes()
    path.write_bytes(b"PAR1" + CANARIES["name"].encode() + plain[4:])
    try:
        found = faults.find_faults(clinic, identifiers)
    except InputOutputError:
        found = ["patients cannot be read"]
    finally:
        path.write_bytes(plain)
    assert [fault for fault in found if fault.startswith("patients")] == found != []
