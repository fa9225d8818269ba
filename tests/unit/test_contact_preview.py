"""The contact sheet of a cohort: pictures of slides, never of labels, and why they are in; nothing on it identifies."""

import json
import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pathcurate.cohort import preview, read_recipe
from pathcurate.cohort.preview import contact_sheet
from pathcurate.model.link import LINKS
from pathcurate.model.recipe import Recipe
from pathcurate.model.slide import SLIDES
from pathcurate.readers.pictures import open_picture
from pathcurate.reviews import remove_expired
from pathcurate.tables import Catalog, read_parquet
from pathcurate.vault import broken_event, open_vault
from pathcurate.vault.crosswalk import look_up
from pathcurate.workspace import Workspace, load_workspace
from tests.archives import Here
from tests.commandline import pathcurate

NOW = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
HOSTILE = "</title><script>alert(1)</script>"
Row = dict[str, Any]


@pytest.fixture(scope="module")
def root(run_hospital: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hospital of this file's own; its slides are those of the others."""
    directory = tmp_path_factory.mktemp("preview") / "hospital"
    shutil.copytree(run_hospital, directory, copy_function=_copy_or_link)
    return directory


def _copy_or_link(source: str, target: str) -> None:
    (shutil.copy2 if source.endswith((".parquet", ".json", ".jsonl", ".db", ".yaml", "key")) else os.link)(source, target)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Here(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as embedded:
        yield embedded


@pytest.fixture(scope="module")
def workspace(root: Path) -> Workspace:
    return load_workspace(root / "pathcurate.yaml")


def recipe(unit: str, *criteria: Row, title: str = "Some") -> Recipe:
    keep = criteria or ({"id": "stained", "level": "slide", "where": {"stain": "HE"}},)
    return Recipe.model_validate({
        "recipe": 1, "name": "some", "version": "1.0.0", "title": title, "purpose": "research", "unit": unit,
        "include": list(keep), "columns": [f"{unit}_id"],
    })  # fmt: skip


def rows_of(workspace: Workspace, unit: str) -> pa.Table:
    """All units that have a readable and linked slide."""
    slides = read_parquet(workspace.deid / "slides.parquet", ("slide_id", "case_id", "patient_id", "status", "tier"))
    kept = slides.filter(pc.and_(pc.equal(slides["status"], "ok"), pc.is_in(slides["tier"], pa.array(["barcode", "exact"]))))
    if unit == "slide":
        return kept.select(["slide_id", "case_id", "patient_id"])
    names = ["case_id", "patient_id"] if unit == "case" else ["patient_id"]
    return kept.group_by(names).aggregate([])


def page_of(workspace: Workspace, engine: Any, wanted: Recipe, rows: pa.Table, most: int = 6) -> tuple[Path, str]:
    path = contact_sheet(workspace, engine, wanted, rows, most, now=NOW, actor="tester")
    assert path is not None
    return path, path.read_text(encoding="utf-8")


def shown(page: str, kind: str = "figcaption") -> list[str]:
    return re.findall(rf"<{kind}><code>(.*?)</code>", page)


def test_units_are_drawn_by_their_digest_and_shown_with_pictures(workspace: Workspace, engine: Any) -> None:
    rows = rows_of(workspace, "slide")
    path, page = page_of(workspace, engine, recipe("slide"), rows)
    codes = shown(page)
    assert len(codes) == 6 == page.count('src="data:image/jpeg;base64,')
    assert codes == shown(page_of(workspace, engine, recipe("slide"), rows.take(list(reversed(range(rows.num_rows)))))[1])
    assert set(codes) < set(shown(page_of(workspace, engine, recipe("slide"), rows, most=9)[1]))
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_nothing_on_the_page_identifies(workspace: Workspace, engine: Any) -> None:
    _, page = page_of(workspace, engine, recipe("slide"), rows_of(workspace, "slide"), most=40)
    originals = look_up(open_vault(workspace.vault), shown(page))
    assert len(originals) == 40
    for slide_id, _, _, relpath in originals.values():
        assert slide_id not in page
        assert Path(relpath).stem not in page
    links = {row["slide_id"]: row["accession"] for row in Catalog(workspace.catalog).read(LINKS).to_pylist()}
    numbers = {links[slide_id] for slide_id, *_ in originals.values()} - {None}
    assert len(numbers) > 10
    assert not any(number in page for number in numbers)


def test_no_picture_but_that_of_the_tissue_is_opened(
    workspace: Workspace, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = []

    def watched(root: Any, relpath: bytes, reader: str, kind: str) -> Any:
        kinds.append(kind)
        return open_picture(root, relpath, reader, kind)

    monkeypatch.setattr(preview, "open_picture", watched)
    page_of(workspace, engine, recipe("slide"), rows_of(workspace, "slide"))
    assert kinds == ["thumbnail"] * 6


def test_a_case_is_shown_with_its_slides_and_a_patient_too(workspace: Workspace, engine: Any) -> None:
    slides = read_parquet(workspace.deid / "slides.parquet", ("slide_id", "case_id", "patient_id")).to_pylist()
    for unit in ("case", "patient"):
        _, page = page_of(workspace, engine, recipe(unit), rows_of(workspace, unit))
        for article in page.split("<article")[1:]:
            (owner,) = shown(article, "h2")
            own = {row["slide_id"] for row in slides if row[f"{unit}_id"] == owner}
            assert 0 < len(shown(article)) <= 4
            assert set(shown(article)) <= own


def test_reasons_tell_deidentified_values_and_no_true_ones(workspace: Workspace, engine: Any) -> None:
    wanted = recipe(
        "case",
        {"id": "woman", "label": HOSTILE, "level": "case", "where": {"sex": {"any_of": ["female", "male"]}}},
        {"id": "grown", "level": "case", "where": {"age": {"min": 1}}},
        {"id": "since", "level": "case", "where": {"received_date": {"min": "1990-01-01"}}},
        {"id": "born", "level": "patient", "where": {"birth_date": {"min": "1880-01-01"}}},
        title=HOSTILE,
    )
    rows = rows_of(workspace, "case")
    _, page = page_of(workspace, engine, wanted, rows)
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    cases = {row["case_id"]: row for row in read_parquet(workspace.deid / "cases.parquet").to_pylist()}
    true = {row["case_id"]: row for row in read_parquet(workspace.vault / "criteria" / "cases.parquet").to_pylist()}
    for article in page.split("<article")[1:]:
        (code,) = shown(article, "h2")
        assert f"sex = <b><bdi>{cases[code]['sex']}</bdi></b>" in article
        for column in ("age", "received_date", "birth_date"):
            assert f"{column} = (not shown)" in article
        assert f"{true[code]['received_date']:%Y-%m-%d}" not in article
        assert f"{cases[code]['received_date']:%Y-%m-%d}" not in article


def test_what_cannot_be_shown_says_so(workspace: Workspace, engine: Any, tmp_path: Path) -> None:
    root = tmp_path / "hospital"
    shutil.copytree(workspace.root, root, copy_function=_copy_or_link)
    own = load_workspace(root / "pathcurate.yaml")
    catalog = Catalog(own.catalog)
    rows = rows_of(own, "slide").slice(0, 4)
    originals = look_up(open_vault(own.vault), rows["slide_id"].to_pylist())
    gone, damaged, offline, fine = (originals[code] for code in rows["slide_id"].to_pylist())
    places = {(site.code, archive.name): archive.root for site in own.sites for archive in site.archives}

    def file_of(original: tuple[str, ...]) -> Path:
        return Path(str(places[original[1], original[2]])) / original[3]

    file_of(gone).unlink()
    content = file_of(damaged).read_bytes()
    file_of(damaged).unlink()
    file_of(damaged).write_bytes(b"II*\0" + bytes(len(content) // 2))
    states = catalog.read(SLIDES)
    is_offline = pc.equal(states["slide_id"], offline[0])
    state = pc.if_else(is_offline, "offline", states["storage_state"])
    catalog.replace(SLIDES, states.set_column(states.schema.get_field_index("storage_state"), "storage_state", state))
    _, page = page_of(own, engine, recipe("slide"), rows)
    assert (page.count("cannot be read now"), page.count("in cold storage"), page.count("<img")) == (2, 1, 1)
    assert fine[0] not in page


def test_a_sheet_is_audited_and_ends(workspace: Workspace, engine: Any) -> None:
    path, _ = page_of(workspace, engine, recipe("slide"), rows_of(workspace, "slide"), most=2)
    event = json.loads((workspace.vault / "audit.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert (event["action"], event["actor"]) == ("cohort --sample", "tester")
    assert broken_event(workspace.vault) is None
    # By these an erasure finds that the page speaks of somebody.
    sheet = json.loads((path.parent / "sheet.json").read_bytes())
    assert len(sheet["slides"]) == 2
    remove_expired(workspace, NOW + timedelta(days=13))
    assert path.exists()
    remove_expired(workspace, NOW + timedelta(days=15))
    assert not path.exists()


def test_an_empty_cohort_has_no_sheet(workspace: Workspace, engine: Any) -> None:
    none = rows_of(workspace, "slide").slice(0, 0)
    assert contact_sheet(workspace, engine, recipe("slide"), none, 5, now=NOW, actor="tester") is None


@pytest.mark.usefixtures("kernels_here")
def test_the_command_names_the_page_and_nobody_on_it(root: Path) -> None:
    file = root / "recipes" / "demo_he_2023.yaml"
    done = pathcurate("cohort", file, "--dry-run", "--sample", "3", "-w", root, "--json")
    assert done.returncode == 0, done.stderr
    page = Path(json.loads(done.stdout)["page"])
    assert page.parent.parent == root / "catalog" / "review"
    text = page.read_text(encoding="utf-8")
    assert len(shown(text)) == 3
    for criterion in read_recipe(file).recipe.criteria:
        assert f"<strong>{escape(criterion.label or criterion.id)}</strong>" in text
