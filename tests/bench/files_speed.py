"""How fast copies of large slides are made and proven: against `cp` in the same run, and the memory that it takes.

Usage: ``python tests/bench/files_speed.py [--megabytes 1000] [--repeat 3]``. The slide is made: tiles of one JPEG, label,
macro and planted identifiers. With ``mkfs.xfs`` and the right to mount, copies on a file system that shares blocks too.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate.copies.proof import prove
from pathcurate.demo.tiffwriter import Page, ascii_text, encode_tiff, longs, shorts
from pathcurate.filerules import load_rules
from pathcurate.model.filescrub import OwnValue
from pathcurate.pseudonyms import internal
from pathcurate.scrubbers.files import scrubber_of
from pathcurate.slidefiles import LayerCodes, ScrubJob
from pathcurate.storage import LocalRoot
from tests.bench.rows import Row, record

SIDE = 256
PLANTED = ("S24-01234", "张建国", "0012345678", "S24-01234 A1 HE", "scanner-room-2")
MEMORY_WANTED, RATIO_WANTED, PROOF_WANTED = 300, 1.25, 250


def make_slide(path: Path, megabytes: int) -> None:
    """An SVS with one large level, a small one, thumbnail, label and macro."""
    tile = _jpeg((SIDE, SIDE))
    across = max(2, int((megabytes * 1e6 / len(tile)) ** 0.5))
    side = f"{across * SIDE}x{across * SIDE}"
    described = (
        f"Aperio Image Library v12.0.15 \r\n{side} [0,0 {side}]|AppMag = 40|MPP = 0.2520|Filename = {PLANTED[3]}"
        f"|Title = {PLANTED[0]}|User = {PLANTED[4]}|Date = 05/03/24|Time = 10:11:12"
    )
    pages = [
        _tiled(across, tile, described),
        _striped((across, across), described),
        _tiled(max(1, across // 4), tile, described),
        _striped((387, 463), "Aperio Image Library v12.0.15 \r\nlabel 387x463", kind=1),
        _striped((1280, 431), "Aperio Image Library v12.0.15 \r\nmacro 1280x431", kind=9),
    ]
    path.write_bytes(encode_tiff(pages, bigtiff=megabytes > 3500))


def _jpeg(size: tuple[int, int]) -> bytes:
    pixels = np.random.default_rng(1).integers(150, 255, (size[1] // 4 + 1, size[0] // 4 + 1, 3), np.uint8)
    out = BytesIO()
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(out, "JPEG", quality=90)
    return out.getvalue()


def _common(width: int, height: int, text: str) -> dict:
    return {
        256: longs(width), 257: longs(height), 258: shorts(8, 8, 8), 259: shorts(7), 262: shorts(6), 277: shorts(3),
        270: ascii_text(text),
    }  # fmt: skip


def _tiled(across: int, tile: bytes, text: str) -> Page:
    fields = {**_common(across * SIDE, across * SIDE, text), 322: shorts(SIDE), 323: shorts(SIDE)}
    return Page(fields, [tile] * across**2, tiled=True)


def _striped(size: tuple[int, int], text: str, kind: int = 0) -> Page:
    fields = {**_common(*size, text), 278: longs(size[1]), **({254: longs(kind)} if kind else {})}
    return Page(fields, [_jpeg(size)])


def job_of(path: Path) -> ScrubJob:
    """The slide as it is scrubbed."""
    layer = internal(bytes(32))
    known = tuple(OwnValue("case", value) for value in PLANTED)
    return ScrubJob(
        LocalRoot(os.fsencode(path.parent)), (os.fsencode(path.name),), "svs", layer.codes.code("S", "1"),
        layer.codes.code("P", "1"), layer.codes.code("C", "1"), 7, LayerCodes((layer.codes,)), load_rules()["svs"], known,
    )  # fmt: skip


def scrub_once(path: Path, target: Path) -> dict[str, float]:
    """Seconds of the steps, of this process's time and by the wall."""
    job, scrubber = job_of(path), scrubber_of("svs")
    assert scrubber is not None
    folder = target / "copy"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    wall, own = time.perf_counter(), time.process_time()
    plan, written = scrubber.write(job, folder)
    wall, own = time.perf_counter() - wall, time.process_time() - own
    assert written is not None, (plan.unknown, plan.refusal)
    proof_own = time.process_time()
    proof = prove(job, plan, folder, written)
    proof_own = time.process_time() - proof_own
    assert not proof.faults, proof.faults
    data = (folder / written.main).read_bytes()
    left = sum(text.encode(encoding) in data for text in PLANTED for encoding in ("utf-8", "gb18030", "utf-16-le"))
    return {"wall": wall, "own": own, "proof": proof_own, "left": left, "size": len(data)}


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def timed(action: Callable[[], object]) -> float:
    """Seconds by the wall."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def measure(what: str, path: Path, target: Path, repeat: int) -> None:
    """Scrubbing and `cp` by turns, then the proof."""
    copied, scrubbed, proofs, left = [], [], [], 0
    for _ in range(repeat):
        (target / "cp").unlink(missing_ok=True)
        copied.append(timed(lambda: subprocess.run(["cp", "--reflink=auto", path, target / "cp"], check=True)))
        (target / "cp").unlink()
        one = scrub_once(path, target)
        scrubbed.append(one["wall"])
        proofs.append(one["proof"])
        left += int(one["left"])
    size = path.stat().st_size / 1e6
    ratio = statistics.median(scrubbed) / statistics.median(copied)
    rate = size / statistics.median(proofs)
    ours, theirs = statistics.median(scrubbed), statistics.median(copied)
    record(Row(f"scrub {what}", ours, "s", theirs, "cp", RATIO_WANTED * theirs, at_least=False))
    record(Row(f"prove {what}, one core", rate, "MB/s", wanted=PROOF_WANTED))
    record(Row(f"planted identifiers left in {what}", left, "", wanted=0, at_least=False))
    say(
        f"  cp {statistics.median(copied):.3f} s, scrub {statistics.median(scrubbed):.3f} s: {ratio:.2f} times"
        f" (wanted {RATIO_WANTED}); proof {rate:,.0f} MB/s and core (wanted {PROOF_WANTED}); identifiers left: {left}"
    )


def child(path: Path, target: Path) -> None:
    """One run in a process of its own: its peak of memory."""
    job, scrubber = job_of(path), scrubber_of("svs")
    assert scrubber is not None
    folder = target / "child"
    folder.mkdir()
    plan, written = scrubber.write(job, folder)
    assert written is not None
    prove(job, plan, folder, written)
    # Not getrusage: a child begins with the peak of the process that started it.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    say(str(int(re.findall(r"VmHWM:\s+([0-9]+) kB", status)[0]) / 1024))


@contextmanager
def xfs(size: int) -> Iterator[Path | str]:
    """A file system that shares blocks, or why there is none."""
    if os.geteuid() or shutil.which("mkfs.xfs") is None:
        yield "not root, or no mkfs.xfs"
        return
    with tempfile.TemporaryDirectory() as folder:
        image, place = Path(folder) / "image", Path(folder) / "xfs"
        place.mkdir()
        with image.open("wb") as file:
            file.truncate(size)
        made = subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", image], capture_output=True, check=False)
        if (
            made.returncode
            or subprocess.run(["mount", "-o", "loop", image, place], capture_output=True, check=False).returncode
        ):
            yield "it cannot be made or mounted here"
            return
        try:
            yield place
        finally:
            subprocess.run(["umount", place], check=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000, help="size of the slide  [%(default)s]")
    parser.add_argument("--repeat", type=int, default=3, help="timed repetitions  [%(default)s]")
    parser.add_argument("--child", type=Path, nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(*asked.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slide.svs"
        make_slide(path, asked.megabytes)
        what = f"an SVS of {path.stat().st_size / 1e6:,.0f} MB"
        say(f"{what}; load {os.getloadavg()[0]:.1f}")
        measure(what, path, Path(folder), asked.repeat)
        command = [sys.executable, __file__, "--child", path, folder]
        peak = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        record(Row(f"memory of scrubbing and proving {what}", peak, "MB", wanted=MEMORY_WANTED, at_least=False))
        say(f"  peak memory of scrub and proof: {peak:,.0f} MB (wanted {MEMORY_WANTED})")
        with xfs(4 * path.stat().st_size + (400 << 20)) as place:
            if isinstance(place, str):
                say(f"XFS with shared blocks: skipped, {place}")
            else:
                shutil.copy(path, place / "slide.svs")
                say("XFS with shared blocks:")
                measure(f"{what} on XFS", place / "slide.svs", place, asked.repeat)


if __name__ == "__main__":
    main()
