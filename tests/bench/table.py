"""All benchmarks one after the other, and what they measured as one table: what, ours, peer, ratio, limit, memory.

Each script runs as a process of its own, ours and the peer in turn within it. A script that fails is a line of the table,
the others go on, and the run ends with exit code 1. `python tests/bench/table.py --help` shows the settings.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.processes import run
from tests.bench.rows import ROWS_FILE, Row, read_rows

HERE = Path(__file__).resolve().parent
_FOREIGN = os.environ.get("PATHCURATE_REAL_DATA", "")
SCRIPTS: Mapping[str, tuple[str, str]] = {
    "scan_speed": ("--files 100 --demo 500 --repeat 3", "--repeat 5"),
    "dicom_speed": ("--instances 800 --repeat 3", ""),
    "slow_storage": ("--files 200 --threads --io-threads 64", "--repeat 3"),
    "scan_scale": ("--entries 100000 --moved 20000 --first 20000", "--most 2800000"),
    "import_speed": ("--rows 10000 --repeat 3", "--most 2000000"),
    "understanding_speed": ("--reports 3000", "--reports 20000"),
    "concept_speed": ("--reports 3000 --repeat 3", "--reports 50000"),
    "link_scale": ("--slides 700000", ""),
    "persons_speed": ("", "--reports 1000000 5000000"),
    "find_speed": ("--slides 140000 --repeat 3", ""),
    "cohort_speed": ("", "--slides 14000000 --repeat 2"),
    "release_scale": ("", "--slides 2800000"),
    "registry_speed": ("--products 200 --events 20000", ""),
    "delivery_speed": ("--megabytes 400 --slides 200000", "--megabytes 2000"),
    "evaluate_speed": ("", ""),
    "deid_speed": ("--repeat 3", "--repeat 9" + (f" --foreign {_FOREIGN}/deid_text" if _FOREIGN else "")),
    "verify_speed": ("--identifiers 500000 --megabytes 8", "--peers"),
    "files_speed": ("--megabytes 200 --repeat 2", ""),
    "files_dicom": ("--repeat 3 --gigabytes 1", f"--real {_FOREIGN}/dicom" if _FOREIGN else ""),
    "archive_scale": ("--slides 28000", "--slides 2800000 14400000 --nightly"),
}
"""Each script and its settings: on small inputs, and at the size of an archive."""
_PACKAGES = ("pathcurate", "duckdb", "numpy", "pandas", "pyarrow", "pydicom", "openslide-python")
_HEADS = ("what", "ours", "peer", "ratio", "limit", "memory")


@dataclass(frozen=True, slots=True)
class Ran:
    """One script.

    Attributes:
        script: its name.
        seconds: how long it took.
        peak_bytes: the most memory of all its processes.
        rows: figures that it recorded.
        error: last line of what it said when it failed, empty if it did not.
        output: what it printed.
    """

    script: str
    seconds: float
    peak_bytes: int
    rows: tuple[Row, ...]
    error: str
    output: str


def measure(script: Path, settings: Sequence[str]) -> Ran:
    """Run a script to its end."""
    with tempfile.TemporaryDirectory(prefix="pathcurate-bench-") as folder:
        noted = Path(folder, "rows.jsonl")
        os.environ[ROWS_FILE] = str(noted)
        try:
            used = run([sys.executable, str(script), *settings])
        finally:
            del os.environ[ROWS_FILE]
        said = used.errors.strip().splitlines() or ["no word"]
        error = f"exit code {used.code}: {said[-1]}" if used.code else ""
        return Ran(script.stem, used.seconds, used.peak_bytes, tuple(read_rows(noted)), error, used.output)


def table(ran: Sequence[Ran]) -> str:
    """The table, with its columns one below the other."""
    lines = [list(_HEADS)]
    for one in ran:
        lines += [_cells(row, one) for row in one.rows]
        memory = f"{one.peak_bytes / 1e6:,.0f} MB in all"
        if one.error:
            lines.append([f"{one.script}: did not run: {one.error}", "", "", "", "", memory])
        elif not one.rows:
            lines.append([f"{one.script}: see its own output", f"{one.seconds:,.1f} s in all", "", "", "", memory])
    widths = [max(len(line[place]) for line in lines) for place in range(len(_HEADS))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )


def _cells(row: Row, of: Ran) -> list[str]:
    limit = ""
    if row.wanted is not None:
        limit = f"{'at least' if row.at_least else 'at most'} {_number(row.wanted)}: {'kept' if row.is_met else 'MISSED'}"
    return [
        row.what,
        f"{_number(row.ours)} {row.unit}" if row.ours is not None else "not measured",
        f"{_number(row.peer)} ({row.peer_name})" if row.peer is not None else "",
        f"{row.ratio:,.2f}" if row.ratio is not None else "",
        limit,
        f"{(row.peak_bytes or of.peak_bytes) / 1e6:,.0f} MB{'' if row.peak_bytes else ' in all'}",
    ]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


def machine() -> dict[str, Any]:
    """Where this was measured, and with what."""
    model = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "processor": model or platform.processor(), "cores": os.cpu_count(), "system": platform.platform(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "python": platform.python_version(),
        "versions": versions, "load": os.getloadavg()[0], "measured": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


def as_json(ran: Sequence[Ran], where: Mapping[str, Any]) -> str:
    """All of it for programs: the machine, and each script with its rows, ratios and whether limits are kept."""
    scripts = [
        {
            "script": one.script, "seconds": one.seconds, "peak_bytes": one.peak_bytes, "error": one.error,
            "rows": [{**asdict(row), "ratio": row.ratio, "is_met": row.is_met} for row in one.rows], "output": one.output,
        }
        for one in ran
    ]  # fmt: skip
    return json.dumps({"machine": where, "scripts": scripts}, ensure_ascii=False, indent=1) + "\n"


def main(arguments: Sequence[str] | None = None, folder: Path = HERE) -> int:
    """Measure, print, and say by the exit code whether all ran."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="SCRIPT", help="these scripts only")
    parser.add_argument("--full", action="store_true", help="at the size of an archive, which takes hours")
    parser.add_argument("--quiet", action="store_true", help="the table only, not what each script prints")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file too")
    options = parser.parse_args(arguments)
    where, ran = machine(), []
    for name in options.only or SCRIPTS:
        sys.stderr.write(f"{name} …\n")
        settings = SCRIPTS.get(name, ("", ""))[options.full].split()
        one = measure(folder / f"{name}.py", settings)
        ran.append(one)
        if not options.quiet:
            sys.stdout.write(f"{one.output}\n")
            sys.stdout.flush()
        if options.json:
            options.json.write_text(as_json(ran, where), encoding="utf-8")
    sys.stdout.write(table(ran) + "\n")
    return 1 if any(one.error for one in ran) else 0


if __name__ == "__main__":
    sys.exit(main())
