"""How long scoring takes, by task, and how often intervals from drawing patients hold the truth.

Random predictions of units of so many patients; for one core, set ``OMP_NUM_THREADS=1``.
`python tests/bench/evaluate_speed.py --help` shows the settings.
"""

import argparse
import csv
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate.benchmarks.answered import Answered
from pathcurate.benchmarks.intervals import scored
from pathcurate.benchmarks.predictions import read_predictions
from pathcurate.benchmarks.scoring import score
from pathcurate.model.benchmark import SEALED_LABELS, TASKS, BenchmarkTask, TaskName
from pathcurate.tables import from_rows
from tests.bench.rows import Row, record

CLASSES = {
    "binary": ("no", "yes"), "multiclass": tuple("abcde"), "ordinal": tuple("12345"), "choice": tuple("ABCDE"),
}  # fmt: skip
COLUMN = {"binary": "score", "survival": "risk", "choice": "answer"}


def made(
    kind: TaskName, rows: int, random: np.random.Generator, path: Path
) -> tuple[BenchmarkTask, list[dict[str, object]]]:
    """A task, its labels, and a file of predictions for it."""
    classes = CLASSES.get(kind, ())
    task = BenchmarkTask("p", "1.0.0", kind, "slide_id", "label", rows, classes, "yes" if kind == "binary" else "")
    truth, patients = random.integers(0, len(classes) or 50, rows), random.integers(0, max(1, rows // 3), rows)
    labels = [
        {
            "unit_id": f"S-{row:016d}",
            "truth": None if kind == "survival" else classes[truth[row]] if classes else str(truth[row]),
            "days": row % 997 if kind == "survival" else None,
            "event": row % 3 > 0 if kind == "survival" else None,
            "patient_id": f"P-{patients[row]:016d}",
            "site": f"site {row % 4}",
            "scanner": f"scanner {row % 5}",
            "topic": f"topic {row % 30}" if kind == "choice" else None,
        }
        for row in range(rows)
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        shares = [f"p_{name}" for name in classes] if kind == "multiclass" else []
        writer.writerow(["slide_id", *(shares or [COLUMN.get(kind, "prediction")])])
        drawn = random.random(rows)
        for row in range(rows):
            said = [classes[int(drawn[row] * len(classes))]] if classes else [drawn[row] * 50]
            said = [drawn[row]] if kind == "binary" else said
            if shares:
                said = [drawn[row], *([(1 - drawn[row]) / (len(classes) - 1)] * (len(classes) - 1))]
            writer.writerow([labels[row]["unit_id"], *said])
    return task, labels


def speed(kind: TaskName, rows: int, drawings: int) -> None:
    """Print the seconds of reading, of the figures of all rows, and of the whole result."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.csv"
        task, labels = made(kind, rows, np.random.default_rng(1), path)
        truth = from_rows(SEALED_LABELS, labels)
        begun = time.perf_counter()
        predictions = read_predictions(path, task, [str(label["unit_id"]) for label in labels])
        read = time.perf_counter()
        score(
            task, truth, predictions, release_digest="", commitment="", tool="", drawings=drawings,
        )  # fmt: skip
        done = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    seconds = done - begun
    record(Row(f"score {rows:,} predictions, {kind}, {drawings:,} drawings", seconds, "s", at_least=False))
    sys.stdout.write(
        f"{kind:>10} {rows:>7} rows x {drawings}: read {read - begun:.2f} s, scored {done - read:.2f} s, {peak:.0f} MB\n"
    )


def coverage(trials: int) -> None:
    """Print how many of 95 % intervals hold the true area under the curve, where rows of a patient are alike."""
    task = BenchmarkTask("p", "1.0.0", "binary", "slide_id", "label", 1, ("no", "yes"), "yes")

    def rows_of(random: np.random.Generator, patients: int) -> Answered:
        patient = np.repeat(np.arange(patients), 5)
        truth = (random.random(patients) < 0.4).astype(np.int64)[patient]
        scores = truth + random.normal(size=patients)[patient] + 0.3 * random.normal(size=len(patient))
        return Answered(task, patient, truth=truth, score=scores)

    random = np.random.default_rng(2)
    true = np.mean([scored(rows_of(random, 2000), None, 0, 0, 0.95)[0].value for _ in range(50)])
    for patients in (30, 100):
        held = dict.fromkeys(("patients", "rows"), 0)
        for trial in range(trials):
            rows = rows_of(random, patients)
            for name, cluster in (("patients", rows.patient), ("rows", np.arange(rows.rows))):
                one = scored(rows, cluster, 500, trial, 0.95)[0]
                held[name] += one.low is not None and one.high is not None and one.low <= true <= one.high
        shares = ", ".join(f"drawing {name} {100 * count / trials:.1f} %" for name, count in held.items())
        share = held["patients"] / trials
        record(Row(f"coverage of 95 % intervals, {patients} patients, {trials} trials", share, "of trials"))
        sys.stdout.write(f"coverage of 95 % intervals, {patients} patients with 5 rows each, {trials} trials: {shares}\n")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--drawings", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=300)
    settings = parser.parse_args()
    for kind in TASKS:
        speed(kind, settings.rows, settings.drawings)
    coverage(settings.trials)


if __name__ == "__main__":
    main()
