"""How long it takes to find the persons behind the reports of an archive, and how much memory, at several sizes.

Reports are made up from the seed: 19 sites; 0.7 patients a report; identity cards on 70 %, telephones on 60 %; 4 % of the
patients have a second number at another site, under the same card, 0.2 % of the numbers are of two people, 4 % of the
reports have no number; and a merge list with one statement for every hundred reports. Each size runs in a
process of its own; printed are seconds, the peak of its memory (in all, the reports included) and what was found.
`python tests/bench/persons_speed.py --help` shows the settings.
"""

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate.link.persons import COLUMNS, MERGE_COLUMNS, build_people
from pathcurate.model.person import MERGES
from pathcurate.tables import arrow_schema
from tests.bench.rows import Row, record

SITES = 19
Column = npt.NDArray[Any]
_WEIGHTS = np.array((7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2))
_CHECKS = np.frombuffer(b"10X98765432", dtype=np.uint8)
_SURNAMES, _GIVEN = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗", [chr(0x4E00 + 37 * number) for number in range(300)]


def main() -> None:
    """Measure each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, nargs="+", default=[200_000], help="sizes  [%(default)s]")
    parser.add_argument("--seed", type=int, default=5, help="of the made-up reports  [%(default)s]")
    options = parser.parse_args()
    for count in options.reports:
        with tempfile.TemporaryDirectory() as directory:
            for step in (make, measure):
                process = multiprocessing.get_context("spawn").Process(
                    target=step, args=(Path(directory), count, options.seed)
                )
                process.start()
                process.join()


def make(directory: Path, count: int, seed: int) -> None:
    """Make the reports and the merge list."""
    chance = np.random.default_rng(seed)
    reports = made_reports(count, chance)
    pq.write_table(reports, directory / "reports.parquet")
    pq.write_table(made_merges(reports, count // 100, chance), directory / "merges.parquet")


def measure(directory: Path, count: int, _seed: int) -> None:
    """Find the persons, print."""
    read = [pq.read_table(directory / f"{name}.parquet") for name in ("merges", "reports")]
    before, start, cpu = _peak(), time.perf_counter(), time.process_time()
    people = build_people(read.pop(), read.pop())
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    record(Row(f"persons of {count:,} reports", seconds, "s", at_least=False, peak_bytes=_peak()))
    sys.stdout.write(
        f"{count:>10,} reports: {seconds:6.1f} s ({cpu:.1f} s of processors), {_peak() / 1e9:.2f} GB at most "
        f"({before / 1e9:.2f} GB with the reports alone); {people.persons.num_rows:,} persons, "
        f"{people.identities.num_rows:,} identities, {len(people.findings):,} findings\n"
    )


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def made_reports(count: int, chance: np.random.Generator) -> pa.Table:
    """Reports of 0.7 patients each."""
    patients = max(int(0.7 * count), 1)
    born = chance.integers(-15_000, 15_000, patients).astype("datetime64[D]")
    is_male = chance.random(patients) < 0.5
    cards = _cards(born, is_male, chance)
    names = pa.array([a + b for a in _SURNAMES for b in (*_GIVEN, *(x + y for x in _GIVEN for y in _GIVEN))])
    name = chance.integers(0, len(names), patients)
    phone = _digits("1", chance.integers(0, 10**10, patients), 10)
    home = chance.integers(0, SITES, patients)

    who = chance.integers(0, patients, count)
    is_elsewhere = (who % 25 == 0) & (chance.random(count) < 0.5)
    site = (home[who] + is_elsewhere) % SITES
    number = np.where((who % 500 == 1) & (who > 1), who - 1, who) + 10**7 * is_elsewhere
    # Who shares a number has it at the same site.
    site = np.where(who % 500 == 1, (home[who - 1] + is_elsewhere) % SITES, site)
    columns: dict[str, Any] = {
        "report_id": _digits("R-", np.arange(count), 16),
        "site": pa.array([f"NB{number:02}" for number in range(1, SITES + 1)]).take(site),
        "accession": _digits("S", 10**8 + np.arange(count) * 9 // 10, 9),
        "patient_id": _without(_digits("", number, 8), chance.random(count) < 0.04),
        "patient_name": _without(names.take(name[who]), chance.random(count) < 0.02),
        "id_number": _without(cards.take(who), chance.random(count) < 0.3),
        "sex": pa.array(["female", "male"]).take(is_male[who].astype(np.int64)),
        "birth_date": pa.array(born[who]).cast(pa.date32()),
        "phone": _without(phone.take(who), chance.random(count) < 0.4),
    }
    return pa.table({name: columns[name] for name in COLUMNS})


def made_merges(reports: pa.Table, count: int, chance: np.random.Generator) -> pa.Table:
    """A merge list of numbers that the reports have: right and wrong ones."""
    picked = reports.select(["site", "patient_id"]).filter(pc.is_valid(reports["patient_id"]))
    rows = chance.integers(0, picked.num_rows, (2, count))
    one, other = picked.take(rows[0]), picked.take(rows[1])
    columns = {
        "merge_id": _digits("", np.arange(count), 9), "site": one["site"], "patient_id": one["patient_id"],
        "other_site": other["site"], "other_patient_id": other["patient_id"],
    }  # fmt: skip
    schema = pa.schema([arrow_schema(MERGES).field(name).with_nullable(nullable=True) for name in MERGE_COLUMNS])
    return pa.table([columns.get(field.name, pa.nulls(count, field.type)) for field in schema], schema=schema)


def _cards(born: Column, is_male: Column, chance: np.random.Generator) -> "pa.Array[Any]":
    """Identity cards' numbers with the check character that they demand."""
    count = len(born)
    area = chance.integers(110_000, 659_000, count)
    days = np.datetime_as_string(born, unit="D").astype("S10").view(np.uint8).reshape(count, 10)[:, [0, 1, 2, 3, 5, 6, 8, 9]]
    serial = chance.integers(0, 500, count) * 2 + is_male
    parts = [area // 10**place % 10 for place in range(5, -1, -1)], [serial // 10**place % 10 for place in range(2, -1, -1)]
    digits = np.column_stack([*parts[0], *(days.T - ord("0")), *parts[1]])
    characters = np.column_stack([digits + ord("0"), _CHECKS[digits @ _WEIGHTS % 11]]).astype(np.uint8)
    return _fixed(characters)


def _digits(head: str, numbers: Column, places: int) -> "pa.Array[Any]":
    digits = [numbers // 10**place % 10 + ord("0") for place in range(places - 1, -1, -1)]
    heads = [np.full(len(numbers), ord(character)) for character in head]
    return _fixed(np.column_stack([*heads, *digits]).astype(np.uint8))


def _fixed(characters: Column) -> "pa.Array[Any]":
    count, width = characters.shape
    ends = np.arange(count + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends.tobytes()), pa.py_buffer(characters.tobytes()))


def _without(values: "pa.Array[Any]", is_missing: Column) -> "pa.Array[Any]":
    kept: pa.Array[Any] = pc.if_else(pa.array(is_missing), pa.scalar(None, pa.string()), values)
    return kept


if __name__ == "__main__":
    main()
