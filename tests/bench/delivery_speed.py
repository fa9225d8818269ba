"""How fast a delivery is made: volumes beside `tar | age` and `cp` of the same files in the same run, tables in new codes.

python tests/bench/delivery_speed.py --megabytes 800 --slides 1000000
"""

import argparse
import hashlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from pyrage import x25519

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate import pseudonyms
from pathcurate.delivering import announce, plan, send, target_of
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.recoding import recode, write_recoded
from pathcurate.releases import Release
from pathcurate.tables import arrow_schema, conform, write_parquet
from pathcurate.vault import create_vault
from pathcurate.workspace import Workspace, load_workspace
from tests.bench.rows import Row, record

pc: Any = pyarrow.compute
FILES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=800)
    parser.add_argument("--slides", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        volumes(Path(folder), given.megabytes * 10**6)
    with tempfile.TemporaryDirectory() as folder:
        tables(Path(folder), given.slides)


def volumes(base: Path, size: int) -> None:
    """Files of random bytes, as compressed tiles are to a cipher."""
    (base / "src" / "slides").mkdir(parents=True)
    block, listed, members = os.urandom(16 << 20), [], {}
    for number in range(FILES):
        path = base / "src" / "slides" / f"S-{number}.svs"
        with path.open("wb") as file:
            while file.tell() < size // FILES:
                file.write(block)
        with path.open("rb") as file:
            listed.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  slides/{path.name}\n")
        members[f"slides/{path.name}"] = path
    contents = base / "src" / "manifest-sha256.txt"
    contents.write_text("".join(listed))
    members[contents.name] = contents
    total = sum(path.stat().st_size for path in members.values())
    identity = x25519.Identity.generate()
    key = str(identity.to_public())
    os.sync()
    say(f"| {total / 1e6:,.0f} MB | MB/s |\n| --- | --: |")

    def timed(name: str, work: Callable[[], object]) -> float:
        start = time.perf_counter()
        work()
        os.sync()
        rate = total / 1e6 / (time.perf_counter() - start)
        say(f"| {name} | {rate:,.0f} |")
        return rate

    def sent() -> None:
        target = target_of(str(base / "disk"), base)
        made = send(plan(members, size=total // 2, is_encrypted=True), target, key, base / "work")
        announce(target, base / "work", {}, made)

    copied = timed("cp", lambda: shutil.copytree(base / "src", base / "copy"))
    packed: float | None = None
    shutil.rmtree(base / "copy")
    if shutil.which("age") is not None:
        packed = timed("tar, age (the program)", lambda: _piped(base, key))
        (base / "all.age").unlink()
    rate = timed("send: tar, age, digests, copy, read-back, each synced", sent)
    record(Row(f"send {total / 1e6:,.0f} MB encrypted, checked and synced", rate, "MB/s", packed, "tar, age"))
    record(Row(f"send {total / 1e6:,.0f} MB encrypted, checked and synced", rate, "MB/s", copied, "cp alone"))
    check = ["sha256sum", "-c", "--quiet", "volumes-sha256.txt"]
    timed("sha256sum -c at the target", lambda: subprocess.run(check, cwd=base / "disk", check=True))


def _piped(base: Path, key: str) -> None:
    with subprocess.Popen(["tar", "-C", base / "src", "-cf", "-", "."], stdout=subprocess.PIPE) as packed:
        subprocess.run(["age", "-r", key, "-o", base / "all.age"], stdin=packed.stdout, check=True)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tables(base: Path, slides: int) -> None:
    """A release of one table, three slides a case and five a patient."""
    workspace, key = _workspace(base)
    inside, outside = pseudonyms.internal(key), pseudonyms.product(key, "big")
    codes = {
        name: inside.codes.code_array(kind, pa.array([f"{kind}{number // share}" for number in range(slides)]))
        for name, kind, share in (("slide_id", "S", 1), ("case_id", "C", 3), ("patient_id", "P", 5), ("group_id", "Q", 5))
    }
    days = pa.array(np.full(slides, 19000) + np.arange(slides) % 900, pa.int32()).cast(pa.date32())
    said = {"site": "NB01", "stain": "HE", "status": "ok", "tier": "exact"}
    rows = {**codes, "scan_datetime": days, **{name: pa.array([word] * slides) for name, word in said.items()}}
    for name, table in DEID_TABLES.items():
        data = _filled(conform(table, pa.table(rows)), slides) if name == "slides" else arrow_schema(table).empty_table()
        write_parquet(workspace.deid / f"{name}.parquet", data)
    moves = pseudonyms.moves_between(inside, outside, codes["patient_id"])
    shown = {**rows, "scan_datetime": pc.add(days.cast(pa.int32()), moves).cast(pa.date32())}
    shown |= {name: outside.codes.code_array(name[0].upper() if name != "group_id" else "Q", codes[name]) for name in codes}
    directory = base / "release"
    (directory / "provenance").mkdir(parents=True)
    (directory / "provenance" / "recipe.lock.yaml").write_text("unit: slide\n")
    (directory / "data").mkdir()
    write_parquet(directory / "data" / "slides.parquet", pa.table(shown).sort_by("slide_id"))
    entry = {"rows": slides, "key": ["slide_id"], "path": "data/slides.parquet", "sha256": "sha256:" + "0" * 64}
    release = Release(directory, {"product": "big", "version": "1.0.0", "tables": {"slides": entry}}, "sha256:" + "0" * 64)
    start = time.perf_counter()
    recoded = recode(workspace, release, "lab", key)
    middle = time.perf_counter()
    write_recoded(recoded, base)
    end = time.perf_counter()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    record(Row(f"{slides:,} rows in a recipient's codes", slides / (middle - start), "rows/s"))
    say(f"\n{slides:,} slides in a recipient's codes: {slides / (middle - start):,.0f} rows/s with row digests, "
          f"written in {end - middle:.1f} s; {most:,.0f} MB at most")  # fmt: skip


def _workspace(base: Path) -> tuple[Workspace, bytes]:
    (base / "pathcurate.yaml").write_text("workspace: 1\nname: big\nsites: [{code: NB01}]\n")
    workspace = load_workspace(base / "pathcurate.yaml")
    workspace.deid.mkdir()
    return workspace, create_vault(workspace.vault).key


def _filled(data: pa.Table, rows: int) -> pa.Table:
    """With something in every column that must not be empty."""
    for index, field in enumerate(data.schema):
        if not field.nullable and data[field.name].null_count:
            word: Any = "x" if pa.types.is_string(field.type) else True if pa.types.is_boolean(field.type) else 0
            data = data.set_column(index, field, pa.array([word] * rows, field.type))
    return data


if __name__ == "__main__":
    main()
