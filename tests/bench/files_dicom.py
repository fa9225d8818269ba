"""How well and how fast DICOM files are scrubbed, beside three peers on the same files in the same run.

The files: pydicom's own test files, those of --real, one with every row of PS3.15 table E.1-1 at the top and nested, and a
slide's label. The judge (``tests/dicomjudge.py``) counts attributes of the table, private ones, curves and overlays whose
value a copy still has. Nobody has an option in force, so that sex and age count too. All run on one core and the processor's
seconds count; ours take 50 files a job, as instances of a series. Then one large instance: seconds, and memory of a process
of its own. Prints a table in Markdown. `python tests/bench/files_dicom.py --help` shows the settings.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import venv
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pydicom

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate.model.filescrub import UnscrubbableError
from pathcurate.scrubbers import dicom
from tests.bench.rows import Row, record
from tests.bench.slides import say
from tests.dicomjudge import STRICT, every_row, job, leaks
from tests.dicoms import JPEG, slide_part

ROOT = Path(__file__).resolve().parents[2]
PEERS_VENV = ROOT / ".venv-bench-files"
REQUIREMENTS = Path(__file__).with_name("requirements-files.txt")
PEERS = ("dicognito", "deid", "dicom-anonymizer")
PER_JOB = 50
LEAST_RATE = 300
"""What is wanted: files a second and core, more than anybody else, and no leak."""
NO_OPTIONS = {**STRICT, "unsure_pixels": "keep"}
_NO_DICOM = {".py", ".pyc", ".json", ".txt", ".md", ".gz", ".zip", ".toml", ".xml", ".csv", ".icc", ".dump"}


@dataclass(frozen=True)
class Outcome:
    """What a tool did: files that it failed on, leaks of those it did by set of files, and files a second."""

    tool: str
    failed: int
    leaks: dict[str, tuple[int, int, int]]
    rates: tuple[float, ...]


def main() -> None:
    """Make the files, run everybody, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, help="a directory with more DICOM files")
    parser.add_argument("--repeat", type=int, default=3, help="repetitions  [%(default)s]")
    parser.add_argument("--frames", type=int, default=50_000, help="frames of the large instance  [%(default)s]")
    parser.add_argument("--gigabytes", type=float, default=2, help="size of the large instance  [%(default)s]")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    directory = Path(tempfile.mkdtemp(prefix="files_dicom_"))
    try:
        sets = gathered(directory / "in", options.real)
        outcomes = [ours(sets, directory / "ours", options.repeat)]
        make_venv()
        outcomes += [theirs(peer, sets, directory / peer, options.repeat) for peer in PEERS]
        table(sets, outcomes)
        rate, others = median(outcomes[0].rates), [median(outcome.rates) for outcome in outcomes[1:]]
        best = max(outcomes[1:], key=lambda outcome: median(outcome.rates))
        record(Row("scrub DICOM files, one core", rate, "files/s", median(best.rates), best.tool, LEAST_RATE))
        left = {outcome.tool: sum(top + nested for top, nested, _ in outcome.leaks.values()) for outcome in outcomes}
        fewest = min(outcomes[1:], key=lambda outcome: (outcome.failed, left[outcome.tool])).tool
        what = "attributes left in scrubbed DICOM files"
        record(Row(what, left[outcomes[0].tool], "attributes", left[fewest], fewest, 0, at_least=False))
        is_clean = not any(top or nested for top, nested, _ in outcomes[0].leaks.values())
        say(f"\nwanted: no leak, {LEAST_RATE} files/s, faster than the others: "
            f"{'reached' if is_clean and rate >= max(LEAST_RATE, *others) else 'NOT REACHED'}")  # fmt: skip
        large(directory / "large", options.frames, options.gigabytes)
    finally:
        shutil.rmtree(directory)


def gathered(directory: Path, real: Path | None) -> dict[str, list[Path]]:
    """The files by set, copied under names that do not collide; of the found ones those that hold an instance."""
    directory.mkdir(parents=True)
    sets: dict[str, list[Path]] = {"every row": [], "label": [], "corpus": []}
    places = [Path(pydicom.__file__).parent / "data", *([real] if real else [])]
    files = (path for place in places for path in sorted(place.rglob("*")))
    found = [path for path in files if path.is_file() and path.suffix not in _NO_DICOM]
    label = slide_part("LABEL", LabelText="S23-00001 ZHANG", BarcodeValue="B0001")
    made = {"every row": every_row(has_commands=False), "label": label}
    for name, data in made.items():
        path = directory / f"{name.replace(' ', '_')}.dcm"
        path.write_bytes(data)
        sets[name].append(path)
    for number, path in enumerate(found):
        copy = directory / f"c{number:05}.dcm"
        shutil.copyfile(path, copy)
        try:
            dicom.plan(job(directory, copy.name, **NO_OPTIONS))
            sets["corpus"].append(copy)
        except (UnscrubbableError, OSError):
            data = path.read_bytes()
            if data[128:132] == b"DICM":
                sets["corpus"].append(copy)
    return sets


def judged(sets: dict[str, list[Path]], copy_of: "dict[Path, Path]") -> dict[str, tuple[int, int, int]]:
    """Leaks at the top and nested, and judged attributes, by set, of the files that have a copy."""
    result = {}
    for name, files in sets.items():
        counts = [leaks(path.read_bytes(), copy_of[path].read_bytes()) for path in files if path in copy_of]
        above = [path for _, found in counts for path, _ in found]
        result[name] = (above.count(()), len(above) - above.count(()), sum(judged for judged, _ in counts))
    return result


def ours(sets: dict[str, list[Path]], target: Path, repeat: int) -> Outcome:
    """Our scrubber: file by file for the judge, then in jobs for the time."""
    copy_of, good, failed = {}, [], 0
    for path in (path for files in sets.values() for path in files):
        folder = target / path.stem
        folder.mkdir(parents=True)
        try:
            written = dicom.write(job(path.parent, path.name, **NO_OPTIONS), folder)[1]
        except UnscrubbableError:
            written = None
        if written is None:
            failed += not path.name.startswith("label")
            continue
        copy_of[path] = folder / written.main
        good.append(path.name)
    rates = []
    for _ in range(repeat):
        jobs = [(good[at : at + PER_JOB], target / f"timed{at}") for at in range(0, len(good), PER_JOB)]
        for _, folder in jobs:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        begun = time.process_time()
        for names, folder in jobs:
            dicom.write(job(sets["label"][0].parent, *names, **NO_OPTIONS), folder)
        rates.append(len(good) / (time.process_time() - begun))
    return Outcome("pathcurate", failed, judged(sets, copy_of), tuple(rates))


def make_venv() -> None:
    """The peers' virtual environment, unless it is there."""
    made_of = PEERS_VENV / "made_of.txt"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if made_of.exists() and made_of.read_text(encoding="utf-8") == wanted:
        return
    venv.create(PEERS_VENV, with_pip=True, clear=True)
    install = [str(PEERS_VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-r", str(REQUIREMENTS)], check=False, capture_output=True)
    made_of.write_text(wanted, encoding="utf-8")


def theirs(peer: str, sets: dict[str, list[Path]], target: Path, repeat: int) -> Outcome:
    """A peer in a process of its own."""
    target.mkdir()
    files = [path for paths in sets.values() for path in paths]
    order = {"peer": peer, "files": list(map(str, files)), "target": str(target), "repeat": repeat}
    program = [str(PEERS_VENV / "bin" / "python"), str(Path(__file__).with_name("files_dicom_peers.py"))]
    done = subprocess.run(program, input=json.dumps(order), capture_output=True, text=True, check=False)
    if done.returncode:
        return Outcome(f"{peer} (exit {done.returncode})", len(files), dict.fromkeys(sets, (0, 0, 0)), (0,))
    said = json.loads(done.stdout)
    copies = {path: target / path.name for path in files if path.name not in said["failed"]}
    copy_of = {path: copy for path, copy in copies.items() if copy.exists()}
    rates = tuple(said["files"] / seconds for seconds in said["seconds"])
    return Outcome(peer, len(said["failed"]), judged(sets, copy_of), rates)


def table(sets: dict[str, list[Path]], outcomes: Sequence[Outcome]) -> None:
    """Print what everybody did."""
    say(f"{len(sets['corpus'])} files of the corpus, none with an option in force; leaks at the top and nested.\n")
    say(f"| tool | {' | '.join(f'leaks, {name}' for name in sets)} | not done | files/s per core (range) |")
    say("|---" * (len(sets) + 3) + "|")
    for outcome in outcomes:
        cells = [
            f"{top:,} + {nested:,} of {judged:,}" if judged else "no copy" for top, nested, judged in outcome.leaks.values()
        ]
        speed = f"{median(outcome.rates):,.0f} ({min(outcome.rates):,.0f} to {max(outcome.rates):,.0f})"
        say(f"| {outcome.tool} | {' | '.join(cells)} | {outcome.failed} | {speed} |")


def large(directory: Path, frames: int, gigabytes: float) -> None:
    """A slide's level of many sparse frames, then one of many bytes, each in a process of its own."""
    directory.mkdir()
    across = int(frames**0.5) * 32
    sparse = slide_part(width=across, height=frames // int(frames**0.5) * 32, sparse=True, syntax=JPEG)
    (directory / "sparse.dcm").write_bytes(sparse)
    whole = slide_part(width=64, height=64, syntax=JPEG)
    with (directory / "large.dcm").open("wb") as file:
        file.write(whole[:-8])
        for _ in range(int(gigabytes * 16)):
            file.write(b"\xfe\xff\0\xe0" + (64 << 20).to_bytes(4, "little"))
            file.truncate(file.seek(64 << 20, os.SEEK_CUR))
        file.write(whole[-8:])
    for name in ("sparse.dcm", "large.dcm"):
        handle, writer = os.pipe()
        if (child := os.fork()) == 0:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            begun = time.perf_counter()
            (directory / f"{name}.out").mkdir()
            dicom.write(job(directory, name), directory / f"{name}.out")
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            os.write(writer, json.dumps([time.perf_counter() - begun, before / 1024, after / 1024]).encode())
            os._exit(0)
        os.waitpid(child, 0)
        seconds, before, after = json.loads(os.read(handle, 1000))
        size = (directory / name).stat().st_size
        say(f"\n{name}: {size / 1e6:,.0f} MB in {seconds:.2f} s; memory {after:,.0f} MB, of which {before:,.0f} before")


if __name__ == "__main__":
    main()
