"""What the whole pipeline costs at the size of an archive, stage by stage, and how it grows; then one night on top of it.

The catalog is made up (``archive_made``): nothing of its slides and exports lies on disk. All else are the real commands,
each a process of its own, of which time, work of all processors and memory of all its processes are noted. A second version
is built and compared with the first. ``--nightly`` then adds 2,000 cases, through the real import, and runs all stages
again.
`python tests/bench/archive_scale.py --help` shows the settings.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.archive_made import REPORTS_OF_A_SLIDE, Size, make_archive, make_night
from tests.bench.archive_plot import plotted
from tests.bench.processes import Used, run
from tests.bench.rows import Row, record

MOST_SECONDS, MOST_BYTES, MOST_NIGHTLY_SECONDS = 1800, 6e9, 120
"""What is wanted of 2.8 million slides, in all and at any time, and of one night on top of them."""
WANTED_AT = 2_800_000
NIGHTLY_CASES = 2000
_WORK = {"rows": "rows imported", "to_read": "reports searched", "texts.scrubbed": "reports scrubbed"}
"""Counts of the commands that must follow the new rows, not the archive."""
RECIPE = """
recipe: 1
name: archive
version: {version}
title: Adenocarcinoma of the lung on H&E slides, named by the report
purpose: research
unit: slide
links: [exact, barcode, metadata, index, file_name]
concepts:
  adenocarcinoma: {{any: ['\\badenocarcinoma\\b', 腺癌], unless: [原位腺癌], sections: [diagnosis], assertion: affirmed}}
  squamous: {{any: [鳞状细胞癌, 鳞癌], sections: [diagnosis], assertion: affirmed}}
  invasion: {{any: ['(脉管|血管)内?(可?见)?(癌栓|侵犯)', 癌栓], sections: [diagnosis, microscopy], assertion: any}}
  nodal_metastasis: {{any: ['淋巴结[^。；;]{{0,12}}转移'], sections: [diagnosis]}}
  dysplasia: {{any: [异型增生, 上皮内瘤变], sections: [diagnosis, microscopy], assertion: any}}
  neoadjuvant: {{any: [新辅助, 化疗后, 放化疗后], sections: [clinical, diagnosis, comment], assertion: any}}
include:
  - {{id: stain, level: slide, where: {{stain: HE}}}}
  - {{id: resolution, level: slide, where: {{mpp: {{min: 0.2, max: {mpp}}}}}}}
  - id: lung
    level: case
    has: {{table: diagnoses, where: {{icdo3_topography: C34.1, behaviour: "3", assertion: affirmed}}}}
  - {{id: named, level: case, has: {{table: reports, text: adenocarcinoma}}}}
exclude:
  - {{id: treated, level: case, has: {{table: reports, text: neoadjuvant}}}}
split: {{group: patient, ratios: {{train: 0.7, val: 0.1, test: 0.2}}, seed: archive}}
tables:
  slides:
    columns: [slide_id, case_id, patient_id, site, sex, age_band, stain, mpp, width, height, scan_datetime, tier, split]
  reports:
    rows: of_cases
    columns: [report_id, case_id, patient_id, report_type, reported_date, icdo3_topography, icdo3_morphology, grade]
texts: [diagnosis, microscopy, comment]
"""


class Runs:
    """The commands of one workspace and what each took."""

    def __init__(self, base: Path, slides: int) -> None:
        self._base, self._slides = base, slides
        self.stages: list[dict[str, Any]] = []

    def run(self, stage: str, *command: str, rows: Sequence[str] = ()) -> dict[str, Any]:
        """Run a command; ``rows`` is where its answer says how many rows it worked on, none for the slides.

        Raises:
            SystemExit: it failed; its own words are shown.
        """
        used: Used = run([sys.executable, "-m", "pathcurate", *command, "--json", "-w", str(self._base)])
        if used.code:
            raise SystemExit(f"{stage} ended with {used.code}:\n{used.output[-2000:]}\n{used.errors[-4000:]}")
        answer: dict[str, Any] = json.loads(used.output)
        count: Any = answer
        for name in rows:
            count = count[name]
        made = {
            "stage": stage, "seconds": round(used.seconds, 2), "worked": round(used.worked, 2),
            "peak_bytes": used.peak_bytes, "rows": int(count) if rows else self._slides, "counted": _counts(answer),
        }  # fmt: skip
        self.stages.append(made)
        say(row_of(made))
        return answer

    def recipe(self, version: str, mpp: float) -> str:
        """The recipe, written; its path."""
        path = self._base / "recipes" / "archive.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(RECIPE.format(version=version, mpp=mpp), encoding="utf-8")
        return str(path)

    def cohort_to_release(self, version: str, mpp: float, title: str = "") -> None:
        """Select, scrub the texts of what was selected, build."""
        recipe = self.recipe(version, mpp)
        self.run(f"cohort{title}", "cohort", recipe)
        self.run(f"texts of the cohort{title}", "deid", "apply", "--texts", "archive", rows=("texts", "reports"))
        self.run(f"manifest build{title}", "manifest", "build", recipe)

    def release(self, version: str) -> str:
        """Where a version lies."""
        return str(self._base / "releases" / "archive" / version)


def _counts(answer: dict[str, Any]) -> dict[str, int]:
    """All whole numbers of an answer, by name."""
    nested = {
        f"{name}.{key}": one for name, value in answer.items() if isinstance(value, dict) for key, one in value.items()
    }
    return {name: value for name, value in {**answer, **nested}.items() if type(value) is int}


def pipeline(base: Path, size: Size) -> list[dict[str, Any]]:
    """Every stage on a catalog that none has seen."""
    runs = Runs(base, size.slides)
    runs.recipe("1.0.0", 0.25)
    runs.run("link", "link", rows=("slides",))
    runs.run("permissions", "permissions", "import", rows=("rows",))
    runs.run("concepts build", "concepts", "build", rows=("reports",))
    runs.run("deid plan", "deid", "plan")
    runs.run("deid apply", "deid", "apply", rows=("rows", "reports"))
    runs.cohort_to_release("1.0.0", 0.25)
    runs.run("validate", "validate", runs.release("1.0.0"))
    runs.cohort_to_release("2.0.0", 0.3, ", second version")
    runs.run("manifest diff", "manifest", "diff", runs.release("1.0.0"), runs.release("2.0.0"))
    return runs.stages


def nightly(base: Path, cases: int, night: int) -> list[dict[str, Any]]:
    """New cases, and every stage once more."""
    reports, slides = make_night(base, cases, night)
    say(f"\none night: {cases:,} new cases, {reports:,} reports and {slides:,} slides")
    runs = Runs(base, slides)
    export = str(base / f"lis/NB01/night{night}.csv")
    runs.run("reports import", "reports", "import", export, rows=("rows",))
    runs.run("link", "link")
    runs.run("concepts build", "concepts", "build", rows=("to_read",))
    runs.run("deid apply", "deid", "apply", rows=("texts", "scrubbed"))
    version = f"{2 + night}.0.0"
    runs.cohort_to_release(version, 0.3)
    runs.run("validate", "validate", runs.release(version))
    done = {name: sum(stage["counted"].get(name, 0) for stage in runs.stages) for name in _WORK}
    say(f"  worked on: {', '.join(f'{_WORK[name]} {value:,}' for name, value in done.items())}")
    return runs.stages


def row_of(stage: dict[str, Any]) -> str:
    """A line about one stage."""
    rate = stage["rows"] / max(stage["seconds"], 0.01)
    took = f"{stage['seconds']:>9.1f} s {stage['worked']:>9.1f} s cpu {stage['peak_bytes'] / 1e6:>8,.0f} MB"
    return f"  {stage['stage']:<36}{took} {stage['rows']:>11,} rows {rate:>11,.0f} rows/s"


def summed(stages: Sequence[dict[str, Any]], title: str, seconds: float) -> dict[str, Any]:
    """What the stages come to, said and as numbers."""
    whole = sum(stage["seconds"] for stage in stages)
    peak = max(stage["peak_bytes"] for stage in stages)
    say(f"  {'in all':<36}{whole:>9.1f} s {sum(stage['worked'] for stage in stages):>9.1f} s cpu {peak / 1e6:>8,.0f} MB")
    largest = sorted(stages, key=lambda stage: -stage["seconds"])[:3]
    shares = ", ".join(f"{stage['stage']} {stage['seconds'] / whole:.0%}" for stage in largest)
    # On few slides most of the time is the start of the commands.
    wanted = seconds if seconds >= MOST_NIGHTLY_SECONDS else None
    record(Row(f"whole pipeline, {title}", whole, "s", wanted=wanted, at_least=False, peak_bytes=peak))
    record(Row(f"memory of the whole pipeline, {title}", peak / 1e9, "GB", wanted=MOST_BYTES / 1e9, at_least=False))
    say(f"  {title}: most of the time is {shares}; wanted at most {seconds:,.0f} s and {MOST_BYTES / 1e9:.0f} GB")
    return {"seconds": round(whole, 1), "peak_bytes": peak, "slowest": largest[0]["stage"], "stages": list(stages)}


def grown(measured: Sequence[dict[str, Any]]) -> None:
    """How much longer each stage takes from one size to the next."""
    for before, after in pairwise(measured):
        factor = after["slides"] / before["slides"]
        say(f"\nfrom {before['slides']:,} to {after['slides']:,} slides, {factor:.2f} times as many:")
        earlier = {stage["stage"]: stage["seconds"] for stage in before["stages"]}
        for stage in after["stages"]:
            say(f"  {stage['stage']:<36}{stage['seconds'] / max(earlier[stage['stage']], 0.01):>7.2f} times as long")
        say(f"  {'in all':<36}{after['seconds'] / before['seconds']:>7.2f} times as long")


def measured(base: Path, size: Size, *, nights: Sequence[int]) -> dict[str, Any]:
    """Make an archive unless it is there, measure the pipeline and so many nights, each of so many cases."""
    if not (base / "pathcurate.yaml").exists():
        begun = time.perf_counter()
        make_archive(base, size)
        say(f"\n{size.slides:,} slides and {size.reports:,} reports made up in {time.perf_counter() - begun:.0f} s")
    say(f"{size.slides:,} slides, {size.reports:,} reports; load {os.getloadavg()[0]:.1f}")
    found: dict[str, Any] = {"slides": size.slides, "reports": size.reports}
    if not (base / "releases").exists():
        wanted = MOST_SECONDS * size.slides / WANTED_AT
        found |= summed(pipeline(base, size), f"{size.slides:,} slides", wanted)
    found["nights"] = [
        {"cases": cases, **summed(nightly(base, cases, number), f"a night of {cases:,} cases", MOST_NIGHTLY_SECONDS)}
        for number, cases in enumerate(nights, start=1)
    ]
    return found


def say(line: str) -> None:
    """A line for people, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="archive_scale_") as directory:
        yield Path(directory)


def main() -> None:
    """Make, measure, print; one size after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, nargs="+", default=[28_000, 280_000], help="sizes  [%(default)s]")
    parser.add_argument("--nightly", type=int, nargs="*", metavar="CASES", help="nights on the largest  [one of 2000 cases]")
    parser.add_argument("--directory", type=Path, help="keep the archives here, and use what is there")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    parser.add_argument("--plot", type=Path, help="write the growth as a picture (SVG) to this file")
    options = parser.parse_args()
    sizes = sorted(set(options.slides))
    nights = [] if options.nightly is None else options.nightly or [NIGHTLY_CASES]
    found = []
    for slides in sizes:
        size = Size(slides, int(slides * REPORTS_OF_A_SLIDE))
        with _folder(options.directory) as folder:
            found.append(measured(folder / f"archive{slides}", size, nights=nights if slides == sizes[-1] else []))
        if options.json:
            options.json.write_text(json.dumps(found, indent=1, ensure_ascii=False))
    whole = [one for one in found if "stages" in one]
    grown(whole)
    if options.plot:
        options.plot.write_text(plotted(whole), encoding="utf-8")
        say(f"\nthe growth is drawn in {options.plot}")


if __name__ == "__main__":
    main()
