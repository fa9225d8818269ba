"""Predictions are scored against labels that stay: who opens them is kept, and labels that were peeked at are found out."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathcurate.errors import (
    DigestMismatchError,
    DisclosureRefusedError,
    InputOutputError,
    PathcurateError,
    PlanIncompleteError,
    UsageError,
)
from pathcurate.evaluate import Evaluated, Options, evaluate, evaluate_unsealed
from pathcurate.evaluate.delivered import shown_to
from pathcurate.model.attestation import BENCHMARK_RESULT, Envelope
from pathcurate.model.benchmark import BenchmarkTask
from pathcurate.sealedsets import read_sealed_set
from pathcurate.sealing import labels_key, open_labels, write_unsealed
from pathcurate.vault import open_vault, read_events
from pathcurate.workspace import load_workspace
from tests.commandline import Done, pathcurate
from tests.products import key
from tests.sealed import SEALED, sealed_release

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
FEW = Options(drawings=20)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sealed_release(tmp_path_factory.mktemp("evaluate") / "w")


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    """A copy of its workspace that may be changed."""
    shutil.copytree(built.parents[2], tmp_path / "w")
    return tmp_path / "w"


def release(root: Path) -> Path:
    return root / "releases" / "small" / "1.0.0"


def truths(root: Path) -> dict[str, str]:
    sealed = read_sealed_set(release(root))
    rows = open_labels(open_vault(root / "vault"), "small", "1.0.0", sealed.commitment).to_pylist()
    return {row["unit_id"]: row["truth"] for row in rows}


def answers(path: Path, rows: dict[str, Any], column: str = "score", unit: str = "slide_id") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([(unit, column), *rows.items()])
    return path


def guesses(root: Path, *, wrong: int = 3) -> dict[str, float]:
    """Scores that are right but for some."""
    known = truths(root)
    return {
        unit: round((0.9 if (known[unit] == "yes") != (place < wrong) else 0.1) + place / 1000, 3)
        for place, unit in enumerate(sorted(known))
    }


def scored(root: Path, file: Path, options: Options = FEW, **parts: Any) -> Evaluated:
    workspace = load_workspace(root / "pathcurate.yaml")
    return evaluate(workspace, read_sealed_set(release(root)), file, options, actor="tester", now=NOW, **parts)


def value(evaluated: Evaluated, metric: str) -> float | None:
    return {one.metric: one.value for one in evaluated.result.overall.scores}[metric]


def trail(root: Path) -> list[tuple[str, str | None]]:
    return [(event.action, event.purpose) for event in read_events(root / "vault") if "evaluate" in event.action]


# --- Figures -------------------------------------------------------------------------------------------------------------


def test_figures_come_out_and_nothing_of_a_single_unit(root: Path, tmp_path: Path) -> None:
    done = scored(root, answers(tmp_path / "p.csv", guesses(root)), Options("Model A", drawings=20))
    assert value(done, "accuracy") == pytest.approx(21 / 24, abs=1e-4)
    assert sorted(path.name for path in done.directory.iterdir()) == ["report.html", "result.json"]
    said = json.loads((done.directory / "result.json").read_bytes())
    assert said["predictor"] == "Model A"
    assert said["commitment"] == read_sealed_set(release(root)).commitment.value
    assert not said["is_unsealed"]
    told = b"".join(path.read_bytes() for path in done.directory.iterdir())
    assert [unit for unit in truths(root) if unit.encode() in told] == []


def test_the_same_again_is_the_same(root: Path, tmp_path: Path) -> None:
    file = answers(tmp_path / "p.csv", guesses(root))
    first = scored(root, file)
    before = (first.directory / "result.json").read_bytes()
    again = scored(root, file)
    assert (again.directory, again.is_new, again.number, again.files) == (first.directory, False, 2, 1)
    assert (first.directory / "result.json").read_bytes() == before
    other = scored(root, file, Options(drawings=20, seed=1))
    assert other.directory != first.directory


def test_other_figures_are_not_written_over(root: Path, tmp_path: Path) -> None:
    file = answers(tmp_path / "p.csv", guesses(root))
    done = scored(root, file)
    result = done.directory / "result.json"
    result.chmod(0o644)
    result.write_text(result.read_text().replace("0.875", "0.999"))
    with pytest.raises(DigestMismatchError, match="something else"):
        scored(root, file)


def test_each_opening_is_kept_also_of_predictions_that_do_not_fit(root: Path, tmp_path: Path) -> None:
    scored(root, answers(tmp_path / "p.csv", guesses(root)), purpose="challenge of 2026")
    short = dict(list(guesses(root).items())[:-1])
    with pytest.raises(PathcurateError) as caught:
        scored(root, answers(tmp_path / "short.csv", short))
    assert caught.value.exit_code == InputOutputError.exit_code
    assert max(guesses(root)) in caught.value.message
    assert trail(root) == [("evaluate", "challenge of 2026"), ("evaluate", None)]
    (event, *_) = [event for event in read_events(root / "vault") if event.action == "evaluate"]
    assert (event.facts["product"], event.facts["units"], event.actor) == ("small", 24, "tester")


# --- Peeking -------------------------------------------------------------------------------------------------------------


def one_hot(known: dict[str, str]) -> dict[str, Any]:
    return {unit: int(truth == "yes") for unit, truth in known.items()}


@pytest.mark.parametrize(("column", "made"), [("prediction", dict), ("score", one_hot)], ids=["classes", "certain scores"])
def test_predictions_that_are_the_labels_are_found_out(
    root: Path, tmp_path: Path, column: str, made: Callable[[dict[str, str]], dict[str, Any]]
) -> None:
    file = answers(tmp_path / "peeked.csv", made(truths(root)), column)
    with pytest.raises(DisclosureRefusedError, match="peeked") as caught:
        scored(root, file)
    assert caught.value.exit_code == 13
    assert [action for action, _ in trail(root)] == ["evaluate", "evaluate refused"]
    assert not (root / "evaluations").exists()
    assert value(scored(root, file, Options(drawings=20, accepts_perfect=True)), "accuracy") == 1.0


def test_labels_in_another_column_beside_worse_scores_are_found_out(root: Path, tmp_path: Path) -> None:
    known, guessed = truths(root), guesses(root)
    file = tmp_path / "both.csv"
    with file.open("w", newline="") as out:
        csv.writer(out).writerows([("slide_id", "score", "note"), *((unit, guessed[unit], known[unit]) for unit in known)])
    with pytest.raises((DisclosureRefusedError, UsageError)):
        scored(root, file)
    assert not (root / "evaluations").exists()


def test_one_wrong_row_is_no_peeking(root: Path, tmp_path: Path) -> None:
    known = truths(root)
    first = min(known)
    known[first] = "no" if known[first] == "yes" else "yes"
    assert value(scored(root, answers(tmp_path / "p.csv", known, "prediction")), "accuracy") == pytest.approx(
        23 / 24, abs=1e-4
    )


# --- Labels that are not the ones ----------------------------------------------------------------------------------------


def test_a_label_that_was_changed_in_the_vault_scores_nothing(root: Path, tmp_path: Path) -> None:
    file = answers(tmp_path / "p.csv", guesses(root))
    (sealed,) = (root / "vault" / "sealed").iterdir()
    content = bytearray(sealed.read_bytes())
    content[len(content) // 2] ^= 1
    sealed.write_bytes(content)
    with pytest.raises(DigestMismatchError):
        scored(root, file)
    assert not (root / "evaluations").exists()
    assert trail(root) == []


def test_a_commitment_that_was_changed_scores_nothing(root: Path, tmp_path: Path) -> None:
    file = answers(tmp_path / "p.csv", guesses(root))
    path = release(root) / "evaluation" / "commitment.json"
    said = json.loads(path.read_bytes())
    path.chmod(0o644)
    path.write_text(json.dumps(said | {"commitment": "hmac-sha256:" + "0" * 64}))
    with pytest.raises(DigestMismatchError, match=r"evaluation/commitment\.json was changed"):
        scored(root, file)


def test_a_workspace_without_the_labels_says_so(root: Path, tmp_path: Path) -> None:
    file = answers(tmp_path / "p.csv", guesses(root))
    shutil.rmtree(root / "vault" / "sealed")
    with pytest.raises(PlanIncompleteError, match="does not hold the labels"):
        scored(root, file)


def test_a_release_that_withholds_nothing_is_refused(tmp_path: Path) -> None:
    directory = sealed_release(tmp_path / "w", SEALED.replace("sealed: {task: binary, label: tumour}\n", ""))
    with pytest.raises(PlanIncompleteError, match="no sealed evaluation"):
        read_sealed_set(directory)


@pytest.mark.parametrize(
    "wrong",
    [{"drawings": 0}, {"drawings": 10**9}, {"seed": -1}, {"confidence": 1.0}, {"threshold": float("nan")},
     {"predictor": "a\nb"}, {"predictor": "a" * 201}],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Options(**wrong)


# --- Open labels, signatures, command line -------------------------------------------------------------------------------


def opened(root: Path, folder: Path) -> Path:
    sealed, vault = read_sealed_set(release(root)), open_vault(root / "vault")
    folder.mkdir()
    labels = open_labels(vault, "small", "1.0.0", sealed.commitment)
    write_unsealed(folder, labels_key(vault, "small", "1.0.0", sealed.commitment), labels)
    return folder


def test_unsealed_labels_score_without_a_workspace(root: Path, tmp_path: Path) -> None:
    file, folder = answers(tmp_path / "p.csv", truths(root), "prediction"), opened(root, tmp_path / "labels")
    copy = shutil.copytree(release(root), tmp_path / "bought")
    shutil.rmtree(root)
    done = evaluate_unsealed(read_sealed_set(copy), folder, file, FEW, now=NOW, base=tmp_path / "out")
    assert value(done, "accuracy") == 1.0
    assert done.result.is_unsealed
    assert done.directory.parent == tmp_path / "out" / "small-1.0.0"


def test_unsealed_labels_that_were_changed_score_nothing(root: Path, tmp_path: Path) -> None:
    file, folder = answers(tmp_path / "p.csv", guesses(root)), opened(root, tmp_path / "labels")
    labels = pq.read_table(folder / "labels.parquet")
    values = labels["truth"].to_pylist()
    values[0] = "no" if values[0] == "yes" else "yes"
    pq.write_table(labels.set_column(1, "truth", pa.array(values)), folder / "labels.parquet")
    with pytest.raises(DigestMismatchError, match="not those"):
        evaluate_unsealed(read_sealed_set(release(root)), folder, file, FEW, now=NOW, base=tmp_path)


def test_a_signed_result_names_release_and_figures(root: Path, tmp_path: Path) -> None:
    signer, file = key(), answers(tmp_path / "p.csv", guesses(root))
    done = scored(root, file, signer=signer)
    assert done.signature is not None
    envelope = Envelope.parse(done.signature.read_bytes())
    statement = envelope.statement()
    assert statement.predicate_type == BENCHMARK_RESULT
    assert [one.name for one in statement.subjects] == ["manifest-sha256.txt", "result.json"]
    assert statement.predicate["scores"]["accuracy"]["value"] == value(done, "accuracy")
    again = scored(root, file, signer=signer)
    assert again.signature is not None
    assert again.signature.read_bytes() == envelope.as_bytes()
    other = key()
    (done.directory / f"result.{other.keyid[:8]}.json").write_bytes(envelope.as_bytes())
    with pytest.raises(DigestMismatchError, match="not what this key signed"):
        scored(root, file, signer=other)


def ran(root: Path, *words: str | Path) -> Done:
    return pathcurate("evaluate", release(root), *words, "--drawings", "20", "-w", root)


def test_the_command_shows_figures_with_intervals(root: Path, tmp_path: Path) -> None:
    done = ran(root, answers(tmp_path / "p.csv", guesses(root)), "--as", "模型甲")
    assert done.returncode == 0, done.stderr
    assert "of 模型甲 for 24 units" in done.stdout
    assert "accuracy" in done.stdout
    assert "opening 1 of these labels" in done.stdout
    shown = json.loads(ran(root, tmp_path / "p.csv", "--json").stdout)
    assert (shown["evaluation"], shown["files"], shown["task"]["task"]) == (2, 1, "binary")


def test_the_command_ends_with_13_for_peeked_labels(root: Path, tmp_path: Path) -> None:
    file = answers(tmp_path / "p.csv", truths(root), "prediction")
    assert ran(root, file).returncode == 13
    assert ran(root, file, "--accept-perfect", "--to", tmp_path / "here").returncode == 0
    assert (tmp_path / "here" / "result.json").is_file()


def test_a_key_that_is_nobodys_signs_nothing(root: Path, tmp_path: Path) -> None:
    (tmp_path / "pass").write_text("correct horse battery")
    (tmp_path / "pass").chmod(0o600)
    made = pathcurate("product", "keys", "new", "Li Hua", "--role", "steward", "--out", tmp_path / "li.pem",
                      "--passphrase-file", tmp_path / "pass", "-w", root)  # fmt: skip
    assert made.returncode == 0, made.stderr
    words = [
        answers(tmp_path / "p.csv", guesses(root)),
        "--key",
        tmp_path / "li.pem",
        "--passphrase-file",
        tmp_path / "pass",
    ]
    assert "signed: result." in ran(root, *words).stdout
    (root / "trust.yaml").unlink()
    assert ran(root, *words).returncode == 11


def test_a_task_of_the_release_is_what_was_asked(built: Path) -> None:
    sealed = read_sealed_set(built)
    assert isinstance(sealed.task, BenchmarkTask)
    assert (sealed.name, sealed.is_release, sealed.subject.name) == ("small 1.0.0", True, "manifest-sha256.txt")


def test_predictions_about_a_delivery_are_in_the_recipients_codes(root: Path, tmp_path: Path) -> None:
    workspace = load_workspace(root / "pathcurate.yaml")
    sealed, vault = read_sealed_set(release(root)), open_vault(root / "vault")
    labels = open_labels(vault, "small", "1.0.0", sealed.commitment)
    mine = shown_to(workspace, vault, sealed.task, labels, "lab")["unit_id"].to_pylist()
    assert set(mine).isdisjoint(labels["unit_id"].to_pylist())
    assert set(mine).isdisjoint(shown_to(workspace, vault, sealed.task, labels, "other")["unit_id"].to_pylist())
    scores = [0.9 if number % 3 else 0.2 for number in range(labels.num_rows)]
    own = answers(tmp_path / "own.csv", dict(zip(labels["unit_id"].to_pylist(), scores, strict=True)))
    delivered = answers(tmp_path / "delivered.csv", dict(zip(mine, scores, strict=True)))
    ours = evaluate(workspace, sealed, own, FEW, actor="li", now=NOW)
    theirs = evaluate(workspace, sealed, delivered, replace(FEW, recipient="lab"), actor="li", now=NOW)
    assert theirs.result.overall == ours.result.overall
    assert theirs.directory != ours.directory
    with pytest.raises(PathcurateError, match="units that this release does not ask about"):
        evaluate(workspace, sealed, delivered, FEW, actor="li", now=NOW)
    # The labels themselves are recognised in the recipient's codes too.
    peeked = dict(zip(mine, labels["truth"].to_pylist(), strict=True))
    with pytest.raises(DisclosureRefusedError, match="peeked"):
        evaluate(workspace, sealed, answers(tmp_path / "p.csv", peeked, "prediction"), replace(FEW, recipient="lab"),
                 actor="li", now=NOW)  # fmt: skip
    events = [event for event in read_events(workspace.vault) if event.action == "evaluate"]
    assert [event.facts.get("recipient") for event in events] == [None, "lab", None, "lab"]
