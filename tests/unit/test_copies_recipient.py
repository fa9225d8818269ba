"""Copies for one recipient of a release, and the list by which files are called back from cold storage."""

import csv
import io
import json
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathcurate import pseudonyms
from pathcurate.copies.choosing import Selection, scrub_layer
from pathcurate.copies.recall import RecallEntry, offline_files, write_recall
from pathcurate.errors import PlanIncompleteError, UsageError
from pathcurate.model.deidfile import RECEIPT_NAME
from pathcurate.model.feed import Reason, Scope
from pathcurate.model.series import SERIES
from pathcurate.model.slide import SLIDES
from pathcurate.releases import Release
from pathcurate.tables import Catalog, from_rows, write_parquet
from pathcurate.vault import open_vault
from pathcurate.withdrawals.subjects import add_withdrawn
from pathcurate.workspace import Workspace
from tests.makers.copies import (
    FIRST,
    SECOND,
    SPACED,
    code_of,
    copied_clinic,
    days_moved,
    make_clinic,
    rules_read_once,
    run,
    slides,
    table,
)


@pytest.fixture(scope="module", autouse=True)
def _rules_read_once() -> Iterator[None]:
    with rules_read_once():
        yield


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clinic; nobody may change it."""
    directory = tmp_path_factory.mktemp("clinic")
    make_clinic(directory)
    return directory


@pytest.fixture
def workspace(pristine: Path, tmp_path: Path) -> Workspace:
    return copied_clinic(pristine, tmp_path / "clinic")


def key_of(workspace: Workspace) -> bytes:
    return open_vault(workspace.vault).key


def shown(workspace: Workspace, name: str) -> dict[str, Any]:
    """What ``deid/`` says of a slide."""
    code = code_of(workspace, slides(workspace)[name])
    return next(row for row in pq.read_table(workspace.deid / "slides.parquet").to_pylist() if row["slide_id"] == code)


def release(workspace: Workspace, unit: str = "slide", names: tuple[str, ...] = (FIRST, SECOND, SPACED)) -> Release:
    """A release of the rows of some slides, in the codes of product ``knees``."""
    layer = pseudonyms.product(key_of(workspace), "knees").codes
    column = {"slide": "slide_id", "patient": "patient_id"}[unit]
    rows = [{column: layer.code(column[0].upper(), shown(workspace, name)[column])} for name in names]
    directory = workspace.root / "release"
    directory.mkdir(exist_ok=True)
    write_parquet(directory / "x.parquet", pa.Table.from_pylist(rows, schema=pa.schema([(column, pa.string())])))
    entry = {"path": "x.parquet", "rows": len(rows), "sha256": "sha256:0"}
    return Release(directory, {"product": "knees", "version": "1.0.0", "tables": {f"{unit}s": entry}}, "d")


def withdraw(workspace: Workspace, *subjects: tuple[str, str]) -> None:
    vault = open_vault(workspace.vault)
    add_withdrawn(vault, subjects, scope=Scope.SLIDE, reason=Reason.CONSENT, actor="x", at="2026-01-01T00:00:00+00:00")


# --- Copies --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["slide", "patient"])
def test_copies_are_in_the_codes_and_days_of_the_recipient(workspace: Workspace, tmp_path: Path, unit: str) -> None:
    target = tmp_path / "copies"
    summary = run(workspace, target, selection=Selection(release=release(workspace, unit, (FIRST,)), recipient="lab"))
    layer, row = pseudonyms.recipient(key_of(workspace), "knees", "lab"), shown(workspace, FIRST)
    assert (summary.layer, summary.standings) == ("recipient lab of knees", {"done": 1})
    (copy,) = (target / "slides").iterdir()
    assert copy.stem == layer.codes.code("S", row["slide_id"])
    assert days_moved(copy) == layer.dates.days(row["patient_id"])
    assert json.loads((target / RECEIPT_NAME).read_bytes())["layer"] == "recipient lab of knees"
    others = [pseudonyms.product(key_of(workspace), "knees"), pseudonyms.internal(key_of(workspace))]
    known = {row["slide_id"], others[0].codes.code("S", row["slide_id"]), slides(workspace)[FIRST], row["patient_id"]}
    content = b"".join(path.read_bytes() for path in target.rglob("*") if path.is_file())
    assert not [code for code in known if code.encode() in content]


def test_copies_of_two_recipients_never_lie_together(workspace: Workspace, tmp_path: Path) -> None:
    made = release(workspace, names=(SPACED,))
    run(workspace, tmp_path / "copies", selection=Selection(release=made, recipient="lab"))
    for other in (Selection(release=made, recipient="plant"), Selection(release=made)):
        with pytest.raises(UsageError, match="another layer"):
            run(workspace, tmp_path / "copies", selection=other)


def test_layers_are_told_apart_by_name_and_key() -> None:
    made = Release(Path(), {"product": "knees", "version": "1.0.0", "tables": {}}, "d")
    layers = [scrub_layer(bytes(32), made, name) for name in ("lab", "plant", None)] + [scrub_layer(bytes(32), None)]
    assert len({layer.name for layer in layers}) == 4
    assert len({layer.of("S-0123456789ABCDEF") for layer in layers}) == 4


@pytest.mark.parametrize("kind", ["person", "patient", "case", "slide"])
def test_what_was_withdrawn_is_not_chosen_and_an_earlier_copy_goes(workspace: Workspace, tmp_path: Path, kind: str) -> None:
    target, column = tmp_path / "copies", {"person": "group_id"}.get(kind, f"{kind}_id")
    selection = Selection(release=release(workspace), recipient="lab")
    assert run(workspace, target, selection=selection).standings == {"done": 3}
    row = shown(workspace, FIRST)
    withdraw(workspace, (kind, row[column]))
    summary = run(workspace, target, selection=selection)
    assert summary.standings == {"done": 2}
    gone = pseudonyms.recipient(key_of(workspace), "knees", "lab").codes.code("S", row["slide_id"])
    assert gone not in table(target)
    assert gone not in {path.stem for path in (target / "slides").iterdir()}
    assert gone not in (target / RECEIPT_NAME).read_text()


def test_of_the_product_what_was_withdrawn_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    withdraw(workspace, ("slide", shown(workspace, FIRST)["slide_id"]))
    summary = run(workspace, tmp_path / "copies", selection=Selection(release=release(workspace)))
    assert summary.standings == {"done": 2, "refused": 1}


def test_a_series_that_was_withdrawn_is_not_chosen(workspace: Workspace, tmp_path: Path) -> None:
    selection = Selection(release=release(workspace, "patient", (SECOND,)), recipient="lab")
    (series,) = Catalog(workspace.catalog).read(SERIES).to_pylist()
    assert run(workspace, None, selection=selection).standings == {"done": 2}
    withdraw(workspace, ("series", code_of(workspace, series["series_id"], "I")))
    assert run(workspace, None, selection=selection).standings == {"done": 1}


def test_of_a_release_that_names_series_only_those_are_chosen(workspace: Workspace) -> None:
    product = pseudonyms.product(key_of(workspace), "knees").codes
    (series,) = Catalog(workspace.catalog).read(SERIES).to_pylist()
    code = product.code("I", code_of(workspace, series["series_id"], "I"))
    made = release(workspace, "patient", (SECOND,))
    for codes, with_it in (([code], 1), (["I-0000000000000000"], 0)):
        path = made.directory / "series.parquet"
        write_parquet(path, pa.table({"series_id": codes}))
        entry = {"path": path.name, "rows": 1, "sha256": "sha256:0"}
        for tables in ({"series": entry}, {**made.tables, "series": entry}):
            selection = Selection(release=Release(made.directory, {**made.manifest, "tables": tables}, "d"), recipient="lab")
            wanted = with_it + ("patients" in tables)
            if wanted:
                assert run(workspace, None, selection=selection).standings == {"done": wanted}
            else:
                with pytest.raises(PlanIncompleteError, match="no slides or series"):
                    run(workspace, None, selection=selection)


def test_slides_that_the_archive_forgot_stop_nobody_but_whoever_asks_for_all(workspace: Workspace) -> None:
    made = release(workspace)
    data = pq.read_table(workspace.deid / "slides.parquet")
    wanted = shown(workspace, FIRST)["slide_id"]
    pq.write_table(pa.Table.from_pylist([row for row in data.to_pylist() if row["slide_id"] != wanted], schema=data.schema),
                   workspace.root / "rest.parquet")  # fmt: skip
    shutil.copy(workspace.root / "rest.parquet", workspace.deid / "slides.parquet")
    with pytest.raises(PlanIncompleteError):
        offline_files(workspace, Selection(release=made), key_of(workspace))
    assert offline_files(workspace, Selection(release=made, recipient="lab"), key_of(workspace)) == []


# --- Cold storage --------------------------------------------------------------------------------------------------------


def change(workspace: Workspace, table_: Any, **changes: dict[str, Any]) -> None:
    """Change rows of a catalog table, by key."""
    (column,) = table_.key
    rows = Catalog(workspace.catalog).read(table_).to_pylist()
    changed = [row | changes.get(row[column], {}) for row in rows]
    Catalog(workspace.catalog).replace(table_, from_rows(table_, changed))


def away(workspace: Workspace, recipient: str | None = "lab") -> list[RecallEntry]:
    return offline_files(workspace, Selection(release=release(workspace), recipient=recipient), key_of(workspace))


def test_what_can_be_read_is_not_called_back(workspace: Workspace) -> None:
    assert away(workspace) == []


@pytest.mark.parametrize("how", [{"status": "offline"}, {"storage_state": "offline"}])
@pytest.mark.parametrize("recipient", ["lab", None])
def test_what_lies_in_cold_storage_is_called_back(workspace: Workspace, how: dict[str, Any], recipient: str | None) -> None:
    known = slides(workspace)
    size = {"size_bytes": 12_345}
    change(workspace, SLIDES, **{known[FIRST]: {**how, **size}, known[SPACED]: how | {"size_bytes": None}})
    found = away(workspace, recipient)
    assert [(one.relpath, one.bytes) for one in found] == [(FIRST.encode(), 12_345), (SPACED.encode(), 0)]
    assert {(one.site, one.archive) for one in found} == {("NB01", "main")}


def test_who_withdrew_is_not_called_back_for(workspace: Workspace) -> None:
    change(workspace, SLIDES, **{one: {"status": "offline"} for one in slides(workspace).values()})
    withdraw(workspace, ("patient", shown(workspace, FIRST)["patient_id"]))
    assert [one.relpath for one in away(workspace)] == [SECOND.encode(), SPACED.encode()]


def test_a_mirax_slide_is_called_back_with_its_folder_and_a_series_with_its_files(workspace: Workspace) -> None:
    known, made = slides(workspace), release(workspace, "patient", (FIRST, SECOND))
    (series,) = Catalog(workspace.catalog).read(SERIES).to_pylist()
    change(workspace, SLIDES, **{known[FIRST]: {"status": "offline", "relpath": b"a/b.MRXS", "size_bytes": 7}})
    change(workspace, SERIES, **{series["series_id"]: {"status": "offline"}})
    found = offline_files(workspace, Selection(release=made, recipient="lab"), key_of(workspace))
    names = [one.relpath for one in found]
    assert names == sorted(names)
    assert {b"a/b.MRXS", b"a/b/"} < set(names)
    assert {b"S24-90818 X/1.dcm", b"S24-90818 X/2.dcm"} < set(names)
    assert sum(one.bytes for one in found) == 7 + series["size_bytes"]


def test_the_list_is_the_owners_alone_and_safe_to_open(workspace: Workspace) -> None:
    names = [b"=cmd|' /C calc'!A1", "欧阳.svs".encode("gb18030"), b'a"b,\n\r.svs', b"@x", b"\xff\xfe.svs"]
    path = write_recall(workspace, "small-lab-0123abcd-d1", [RecallEntry("NB01", "main", name, 5) for name in names])
    assert path == workspace.catalog / "review" / "recall-small-lab-0123abcd-d1.csv"
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    assert rows[0] == ["site", "archive", "path", "path_bytes_hex", "bytes"]
    assert [bytes.fromhex(row[3]) for row in rows[1:]] == names
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]
    assert rows[2][2] == "欧阳.svs"


def test_no_path_is_shown_where_an_entry_is() -> None:
    assert "张三" not in repr(RecallEntry("NB01", "main", "张三.svs".encode(), 5))
