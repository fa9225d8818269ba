"""How `run` imports the tables of other systems: in order, only what has changed, and without what was forgotten."""

from dataclasses import replace
from pathlib import Path

from pathcurate.cli.run import _Run, coarser
from pathcurate.cli.session import Session
from pathcurate.engines.embedded import Embedded
from pathcurate.materials import forget_materials
from pathcurate.model.evaluation import Evaluation
from pathcurate.model.material import MATERIALS
from pathcurate.model.person import MERGES
from pathcurate.tables import Catalog
from pathcurate.workspace import Workspace, load_workspace

SITES = """\
workspace: 1
name: w
sites:
  - {code: NB01, name: 一院, events: [{path: e.csv}], materials: [{path: 'g*.csv'}], index: [{path: i.csv}]}
identities: [{path: m.csv}]
"""
EVERY = ["events", "materials", "index", "identities"]


def call(root: Path) -> tuple[list[str], list[str]]:
    """Which stages ran, and which were passed over."""
    workspace = load_workspace(root / "pathcurate.yaml")
    session = Session(root, as_json=False, quiet=True, verbose=False)
    with Embedded(workers=1, temp_directory=workspace.catalog / ".spill") as engine:
        # The recipe is of later stages.
        run = _Run(session, workspace, engine, engine, None, fresh=False)  # type: ignore[arg-type]
        run._tables()
    return list(run.seconds), run.skipped


def make(root: Path) -> Workspace:
    contents = {
        "pathcurate.yaml": SITES, "e.csv": "病案号,类别\n1,随访\n", "g1.csv": "病理号,切片号\nS23-001,Q1\n",
        "g2.csv": "病理号,切片号\nS23-002,Q2\n", "i.csv": "路径,病理号\na.svs,S23-001\n",
        "m.csv": "机构,病案号,EMPI\n一院,1,M1\n",
    }  # fmt: skip
    for name, text in contents.items():
        (root / name).write_text(text, encoding="utf-8")
    return load_workspace(root / "pathcurate.yaml")


def test_each_table_is_imported_once_and_again_if_it_changes(tmp_path: Path) -> None:
    catalog = Catalog(make(tmp_path).catalog)
    assert call(tmp_path) == (EVERY, [])
    assert call(tmp_path) == ([], EVERY)
    (tmp_path / "i.csv").write_text("路径,病理号\na.svs,S23-002\n", encoding="utf-8")
    assert call(tmp_path)[0] == ["index"]
    # A list that names its sites by name depends on their names.
    (tmp_path / "pathcurate.yaml").write_text(SITES.replace("一院", "总院"), encoding="utf-8")
    assert call(tmp_path)[0] == ["identities"]
    assert catalog.row_count(MERGES) == 0


def test_a_source_that_is_taken_away_takes_its_rows(tmp_path: Path) -> None:
    catalog = Catalog(make(tmp_path).catalog)
    call(tmp_path)
    (tmp_path / "pathcurate.yaml").write_text(SITES.replace(", materials: [{path: 'g*.csv'}]", ""), encoding="utf-8")
    assert call(tmp_path)[0] == ["materials"]
    assert catalog.row_count(MATERIALS) == 0
    assert call(tmp_path) == ([], [name for name in EVERY if name != "materials"])


def test_what_was_forgotten_stays_out(tmp_path: Path) -> None:
    workspace = make(tmp_path)
    call(tmp_path)
    forget_materials(workspace, [("NB01", "g2.csv")])
    for expected in (["materials"], []):
        assert call(tmp_path)[0] == expected
        assert [row["glass_id"] for row in Catalog(workspace.catalog).read(MATERIALS).to_pylist()] == ["Q1"]


def test_what_was_made_coarser_is_told() -> None:
    reached = Evaluation(None, "agreement", "sha256:0", "agreement", 5, (), 0, 0, has_texts=False)  # type: ignore[arg-type]
    assert coarser(reached) == ""
    one = replace(reached, steps=("age in bands of five", "no province"), suppressed_rows=1, suppressed_persons=1)
    assert coarser(one) == "; for k = 5: age in bands of five, no province, 1 row left out"
    assert coarser(replace(one, steps=(), suppressed_rows=2)) == "; for k = 5: 2 rows left out"
