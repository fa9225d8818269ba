"""How fast ``readers.read_slide`` reads DICOM headers, beside ``pydicom.dcmread(stop_before_pixels=True)``.

Both read the same 2,000 instances (radiology and slides, mixed) in the same run and in turns, in one process, warm in the
page cache, and both read the same attributes. Then a slide's instance of 50,000 sparse frames. Prints medians and the range
of all repetitions. `python tests/bench/dicom_speed.py --help` shows the settings.
"""

import argparse
import io
import os
import shutil
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import pydicom

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate import readers
from pathcurate.readers.dicom.facts import DATA_SET
from pathcurate.storage import LocalSource
from tests.bench.rows import Row, record
from tests.dicoms import JPEG, item, radiology, slide_part

FRAMES = 50_000


def main() -> None:
    """Make the files, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=2000, help="small instances  [%(default)s]")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions of each side  [%(default)s]")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="dicom_speed_"))
    # What pydicom finds odd in values is not measured.
    warnings.simplefilter("ignore")
    try:
        files = make_instances(directory, options.instances)
        compare(f"{len(files)} instances", files, options.repeat)
        compare(f"{FRAMES:,} sparse frames", [make_sparse(directory / "sparse.dcm")], min(options.repeat, 3))
    finally:
        shutil.rmtree(directory)


def make_instances(directory: Path, count: int) -> list[Path]:
    """Radiology and slides in turns, with as many attributes as equipment writes."""
    private = {0x0009_0010: ("LO", "MAKER"), 0x0009_1001: ("UN", bytes(600)), 0x0019_0010: ("LO", "MAKER")}
    kinds = [
        lambda number: with_more(radiology(number, BurnedInAnnotation="NO", ViewPosition="AP"), private),
        lambda number: with_more(slide_part(number=number, width=64, height=64, syntax=JPEG), {}),
        lambda number: with_more(radiology(number, series=2, modality="MR", SliceThickness="3"), private),
        lambda number: with_more(slide_part("LABEL", number=number, width=32, height=32, BarcodeValue="B1"), {}),
    ]
    files = []
    for number in range(count):
        path = directory / f"{number:06}.dcm"
        path.write_bytes(kinds[number % len(kinds)](number))
        files.append(path)
    return files


def with_more(data: bytes, private: Mapping[int, tuple[str, Any]]) -> bytes:
    """An instance with further elements, none of which a scan needs."""
    instance = pydicom.dcmread(io.BytesIO(data))
    for tag, (kind, value) in private.items():
        instance.add_new(tag, kind, value)
    for element in range(0x1000, 0x1028):
        instance.add_new(0x0019_0000 | element, "DS", ["1.5", "2.5"])
    code = item(CodeValue="1", CodingSchemeDesignator="99", CodeMeaning="word")
    instance.ReferencedSeriesSequence = [item(SeriesInstanceUID="1.2.3", PurposeOfReferenceCodeSequence=[code])]
    instance.InstitutionName = "示例市病理诊断中心"
    instance.SoftwareVersions = ["1", "2"]
    buffer = io.BytesIO()
    instance.save_as(buffer)
    return buffer.getvalue()


def make_sparse(path: Path) -> Path:
    """An instance whose per-frame groups are as a streaming writer leaves them: all lengths undefined."""
    data = slide_part(width=32 * 2, height=32, sparse=True, syntax=JPEG)
    begin = data.index(b"\x00\x52\x30\x92SQ")
    sequence, closed = struct.pack("<HHII", 0xFFFE, 0xE000, 0xFFFFFFFF, 0)[:8], b"\xfe\xff\x0d\xe0\0\0\0\0"
    end = b"\xfe\xff\xdd\xe0\0\0\0\0"
    position = b"\x48\x00\x1a\x02SQ\0\0\xff\xff\xff\xff"
    with path.open("wb") as out:
        out.write(data[:begin] + b"\x00\x52\x30\x92SQ\0\0\xff\xff\xff\xff")
        for frame in range(FRAMES):
            place = b"".join(
                struct.pack("<HH2sHi", 0x0048, element, b"SL", 4, frame) for element in (0x021E, 0x021F)
            )  # fmt: skip
            out.write(sequence + position + sequence + place + closed + end + closed)
        out.write(end)
        out.write(data[data.index(b"\xe0\x7f\x10\x00OB") :])
    return path


def compare(title: str, files: list[Path], repeat: int) -> None:
    """Both sides in turns; the first repetition fills the page cache and is thrown away."""
    ours: list[float] = []
    theirs: list[float] = []
    for repetition in range(repeat + 1):
        for read, times in ((read_ours, ours), (read_theirs, theirs)):
            seconds = timed(read, files)
            if repetition:
                times.append(seconds / len(files))
    ratio = median(theirs) / median(ours)
    seconds = (median(ours) * 1e6, "µs", median(theirs) * 1e6)
    record(Row(f"a DICOM header, one of {title}", *seconds, "pydicom", at_least=False))
    sys.stdout.write(f"{title}: read_slide {shown(ours)}, pydicom {shown(theirs)}, {ratio:.2f} times as fast" + "\n")


def read_ours(path: Path) -> None:
    """One header, as the scan reads it."""
    with LocalSource(os.fsencode(path)) as source:
        result = readers.read_slide(source)
    if result is None or result.part is None or result.part.status != "ok":
        raise SystemExit(f"{path.name} was not read")


def read_theirs(path: Path) -> None:
    """The same attributes with pydicom."""
    access(pydicom.dcmread(path, stop_before_pixels=True), DATA_SET)


def access(data: pydicom.Dataset, wanted: Mapping[int, Any]) -> None:
    """Convert the values of the attributes that the scan reads, as it does."""
    for tag, want in wanted.items():
        if tag in data:
            value = data[tag].value
            if not isinstance(want, str):
                for one in value:
                    access(one, want)


def timed(read: Callable[[Path], None], files: list[Path]) -> float:
    """Seconds that reading all files takes."""
    begin = time.perf_counter()
    for path in files:
        read(path)
    return time.perf_counter() - begin


def shown(times: list[float]) -> str:
    """Median and range in microseconds or milliseconds."""
    unit, factor = ("ms", 1e3) if median(times) > 2e-3 else ("µs", 1e6)
    low, high = min(times) * factor, max(times) * factor
    return f"{median(times) * factor:.1f} {unit} ({low:.1f} to {high:.1f})"


if __name__ == "__main__":
    main()
