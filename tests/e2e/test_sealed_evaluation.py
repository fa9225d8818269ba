"""The shipped sealed evaluation on the made-up hospital: built, registered, judged by, opened, and checked by a buyer."""

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathcurate.registries.sql import open_registry
from pathcurate.sealedsets import read_sealed_set
from pathcurate.sealing import open_labels
from pathcurate.vault import open_vault, read_events
from tests.commandline import Done, pathcurate
from tests.registered import command

NAME = "sealed_evaluation"


@dataclass(frozen=True)
class Ward:
    """A workspace with the sealed release."""

    root: Path

    @property
    def release(self) -> Path:
        return self.root / "releases" / NAME / "1.0.0"

    def __call__(self, *words: str | Path) -> Done:
        return pathcurate(*words, "-w", self.root)

    def ok(self, *words: str | Path) -> str:
        done = self(*words)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def truths(self) -> dict[str, str]:
        sealed = read_sealed_set(self.release)
        rows = open_labels(open_vault(self.root / "vault"), NAME, "1.0.0", sealed.commitment).to_pylist()
        return {row["unit_id"]: row["truth"] for row in rows}

    def predictions(self, file: str, scores: dict[str, object], column: str = "score") -> Path:
        path = self.root.parent / file
        with path.open("w", newline="") as out:
            csv.writer(out).writerows([("slide_id", column), *scores.items()])
        return path

    def guesses(self) -> dict[str, object]:
        """One in three is on the wrong side."""
        known = self.truths()
        return {unit: 0.8 if (known[unit] == "yes") != (place % 3 == 0) else 0.2 for place, unit in enumerate(sorted(known))}


@pytest.fixture(scope="module")
def ward(run_hospital: Path, tmp_path_factory: pytest.TempPathFactory) -> Ward:
    root = tmp_path_factory.mktemp("ward") / "hospital"
    # The slides' files are not read again.
    shutil.copytree(run_hospital, root, ignore=shutil.ignore_patterns("*.svs", "*.tif", "*.dcm"))
    ward = Ward(root)
    recipe = root / "recipes" / f"{NAME}.yaml"
    for words in (("permissions", "import"), ("concepts", "build"), ("deid", "apply"), ("cohort", recipe),
                  ("manifest", "build", recipe), ("product", "register", NAME)):  # fmt: skip
        ward.ok(*words)
    # What an authority needs papers for is tested elsewhere.
    with open_registry(root / "registry.db") as registry:
        for name in ("check", "approve", "submit", "receipt"):
            registry.transition(command(name, f"{NAME}@1.0.0"))
    return ward


def test_a_sealed_release_is_judged_by_opened_and_checked(ward: Ward, tmp_path: Path) -> None:
    known = ward.truths()
    assert len(known) >= 2
    assert sorted(pq.read_table(ward.release / "data" / "slides.parquet")["slide_id"].to_pylist()) == sorted(known)
    # A model, good or bad.
    shown = json.loads(ward.ok("evaluate", NAME, ward.predictions("good.csv", ward.guesses()), "--drawings", "20", "--json"))
    accuracy = {one["metric"]: one["value"] for one in shown["overall"]["scores"]}["accuracy"]
    wrong = sum((place % 3 == 0) for place in range(len(known)))
    assert accuracy == pytest.approx(1 - wrong / len(known), abs=1e-4)
    report = (Path(shown["directory"]) / "report.html").read_bytes()
    assert [unit for unit in known if unit.encode() in report] == []
    # A file that lacks units, names one twice, or one that is not asked about.
    units = sorted(known)
    twice = ward.predictions("twice.csv", {**dict.fromkeys(units[1:], 0.5), "S-0000000000000000": 0.5})
    done = ward("evaluate", NAME, twice)
    assert done.returncode == 3
    assert units[0] in done.stderr
    # Somebody who has seen the labels.
    peeked = ward.predictions("peeked.csv", {unit: int(truth == "yes") for unit, truth in known.items()})
    assert ward("evaluate", NAME, peeked).returncode == 13
    leak = ward("product", "unseal", NAME, "--found", ward.predictions("leak.csv", known, "answer"))
    assert leak.returncode == 4, leak.stdout
    # Opened, and checked by a buyer who has the release and the folder alone.
    labels = tmp_path / "labels"
    ward.ok("product", "unseal", NAME, "--to", labels, "--reason", "the challenge has ended")
    assert f"unseal by {json.loads(ward.ok('product', 'show', NAME, '--json'))['history'][-1]['actor']}" in ward.ok(
        "product", "show", NAME
    )
    bought = shutil.copytree(ward.release, tmp_path / "bought")
    assert pathcurate("product", "unseal", bought, "--check", labels).returncode == 0
    scored = pathcurate("evaluate", bought, peeked, "--labels", labels, "--drawings", "20", "--to", tmp_path / "result")
    assert scored.returncode == 0, scored.stderr
    assert json.loads((tmp_path / "result" / "result.json").read_bytes())["is_unsealed"]
    # A label that was changed after the release committed to it.
    table = pq.read_table(labels / "labels.parquet")
    values = table["truth"].to_pylist()
    values[0] = "no" if values[0] == "yes" else "yes"
    pq.write_table(table.set_column(1, "truth", pa.array(values)), labels / "labels.parquet")
    assert pathcurate("product", "unseal", bought, "--check", labels).returncode == 4
    assert pathcurate("evaluate", bought, peeked, "--labels", labels).returncode == 4
    opened = {event.action for event in read_events(ward.root / "vault")}
    assert {"evaluate", "evaluate refused", "product unseal", "product unseal --found"} <= opened
