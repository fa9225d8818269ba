"""From Python as from the command line: the same stages, answers, trail and refusals."""

import re
import threading
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from pathcurate.api import Archive, open_table
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import LockedError, UsageError
from pathcurate.storage import locked
from pathcurate.vault import broken_event, read_events
from tests.archives import Here
from tests.conftest import CHECKOUT


@pytest.fixture(scope="module")
def archive(pristine_hospital: Path, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """A hospital after all stages, run from Python."""
    import shutil

    directory = tmp_path_factory.mktemp("api") / "hospital"
    shutil.copytree(pristine_hospital, directory)
    shutil.copytree(CHECKOUT / "recipes", directory / "recipes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Embedded, "run", Here.run)
        archive = Archive(directory)
        steps = []
        assert archive.scan(progress=lambda done, total: steps.append(done / total)).found == 161
        assert steps
        assert archive.import_reports().rows == 123
        assert set(archive.import_tables()) == {
            "events", "materials", "index", "identities", "annotations", "permissions"
        }  # fmt: skip
        archive.link()
        archive.build_concepts()
        archive.deidentify()
        selected = archive.select("demo_he_2023")
        assert selected.rows.num_rows == 18
        archive.deidentify(texts="demo_he_2023")
        built = archive.build("demo_he_2023")
        assert built.is_new
        assert not archive.build("demo_he_2023").is_new
        assert archive.register("demo_he_2023").state == "frozen"
    return archive


def test_the_release_is_that_of_the_command_line(archive: Archive, run_hospital: Path) -> None:
    of_cli = Archive(run_hospital).release("demo_he_2023")
    assert archive.release("demo_he_2023").manifest["counts"] == of_cli.manifest["counts"]
    assert [one.name for one in archive.releases()] == ["demo_he_2023"]
    slides = open_table(archive.release("demo_he_2023"), "slides")
    assert slides.num_rows == of_cli.manifest["counts"]["slides"]
    assert isinstance(slides.to_pandas(), pd.DataFrame)


def test_validation_and_findings(archive: Archive) -> None:
    assert archive.validate("demo_he_2023").findings is not None
    found = archive.findings()
    assert found[0].severity.rank == max(one.severity.rank for one in found)


def test_what_is_identified_is_noted_with_its_purpose(archive: Archive) -> None:
    slides = archive.table("slides", columns=["slide_id", "status"], purpose="quality")
    assert slides.column_names == ["slide_id", "status"]
    events = list(read_events(archive.workspace.vault))
    assert (events[-1].action, events[-1].purpose, events[-1].facts["table"]) == ("api table", "quality", "slides")
    assert events[-1].facts["rows"] == slides.num_rows


def test_de_identified_tables_have_no_numbers_of_patients(archive: Archive) -> None:
    cases = archive.deidentified("cases")
    assert isinstance(cases, pa.Table)
    true = set(archive.table("reports", columns=["patient_id"])["patient_id"].to_pylist())
    assert true.isdisjoint(cases["patient_id"].to_pylist())
    assert archive.describe("cases")["tables"]["cases"]["rows"]


def test_many_threads_find_at_once(archive: Archive) -> None:
    numbers = archive.table("reports", columns=["accession"])["accession"].to_pylist()[:12]
    alone = [archive.find(number).cases for number in numbers]
    found: dict[str, object] = {}

    def look(number: str) -> None:
        found[number] = archive.find(number, purpose="a check").cases

    threads = [threading.Thread(target=look, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in numbers] == alone
    assert broken_event(archive.workspace.vault) is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda archive: archive.table("slide"), "did you mean `slides`"),
        (lambda archive: archive.table("slides", columns=["slide"]), "no column of slides `slide`"),
        (lambda archive: archive.deidentified("caces"), "did you mean `cases`"),
        (lambda archive: archive.select("demo_he_2024"), "did you mean `demo_he_2023`"),
        (lambda archive: archive.release("nothing"), "nothing"),
        (lambda archive: open_table(archive.release("demo_he_2023"), "slide"), "did you mean `slides`"),
    ],
)
def test_what_is_not_there_is_said_with_a_guess(archive: Archive, wrong, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        wrong(archive)
    assert said in caught.value.message


def test_a_workspace_in_use_is_left_alone(archive: Archive) -> None:
    with locked(archive.workspace.root, "scan"), pytest.raises(LockedError):
        archive.link()


def test_no_workspace(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Archive(tmp_path)


def test_the_example_of_the_readme_runs(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    chapter = readme.partition("\n## From Python\n")[2].partition("\n## ")[0]
    (example,) = re.findall(r"```python\n(.*?)```", chapter, re.DOTALL)
    (tmp_path / "demo-hospital").symlink_to(archive.workspace.root)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Embedded, "run", Here.run)
    said: dict[str, object] = {}
    exec(compile(example, "README.md", "exec"), said)  # noqa: S102  the README's own words
    assert {name for name in re.findall(r"`([a-z_]+)`", chapter) if name != "demo_he_2023"} <= set(dir(Archive))
