"""How fast `deid verify` searches: build time, memory, megabytes per second and core of every pass; peers in the same run.

Usage: ``python tests/bench/verify_speed.py [--identifiers 5000000] [--megabytes 32] [--peers]``. Identifiers and texts are
made up from a seed; nearly all numbers and codes of the texts are nobody's.
"""

import argparse
import base64
import json
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate.leaksearch.identifiers import Identifiers
from pathcurate.leaksearch.passes import ALL, readings
from tests.bench.rows import Row, record

WANTED, WANTED_GIGABYTES = 150, 2
"""Megabytes a second of one core in UTF-8, and the most memory, for 5 million identifiers."""
SURNAMES = "王李张刘陈杨黄赵周吴徐孙马胡朱郭何罗高林郑梁谢宋唐许韩冯邓曹"
GIVEN = "".join(chr(0x4E00 + step * 23) for step in range(500))
WORDS = [
    "左乳", "右肺上叶", "浸润性导管癌", "组织学分级", "Ⅱ级", "淋巴结", "未见癌转移", "免疫组化", "ER", "CD117",
    "Ki-67", "约", "肿物", "大小", "切面灰白", "质硬", "界不清", "镜下", "腺癌", "鳞状细胞癌", "送检", "组织", "脉管内",
    "癌栓", "切缘", "阴性", "阳性", "乳头状", "Gleason", "Fuhrman", "HER2", "p53", "(+++)", "3.5cm", "2/15", "10/10HPF",
    "，", "。", "：", "；", "（", "）",
]  # fmt: skip
LATIN = [
    "the", "tumour", "cells", "are", "positive", "for", "and", "negative", "margin", "of", "carcinoma", "grade", "lymph",
    "nodes", "12", "3.5", "cm", "Ki-67", "(ER)", "pT2", "N0",
]  # fmt: skip
BLOCK = 1 << 20


def identifiers(count: int, seed: int = 1) -> dict[str, Callable[[], Iterator[str]]]:
    """By kind: 30 % numbers of 8 to 12 digits, 22 % case numbers, 20 % identity cards, 18 % names, 10 % file names."""
    draw = random.Random(seed)

    def case() -> str:
        return f"{draw.choice('SBFCMP')}{draw.randint(10, 26)}-{draw.randint(0, 99999):05}"

    def card() -> str:
        born = f"{draw.randint(1930, 2015)}{draw.randint(1, 12):02}{draw.randint(1, 28):02}"
        return f"{draw.choice((110105, 310104, 440106, 510107))}{born}{draw.randint(0, 999):03}{draw.choice('0123456789X')}"

    makers: dict[str, tuple[float, Callable[[], str]]] = {
        "number": (0.30, lambda: str(draw.randrange(10 ** (digits := draw.randint(7, 11)), 10 ** (digits + 1)))),
        "case": (0.22, case),
        "id": (0.20, card),
        "name": (0.18, lambda: draw.choice(SURNAMES) + "".join(draw.choices(GIVEN, k=draw.choice((2, 2, 2, 3))))),
        "file": (0.10, lambda: f"{case()}-{draw.choice('ABCD')}{draw.randint(1, 9)}_HE_{draw.randint(10**7, 10**8)}"),
    }
    return {
        kind: (lambda share=share, make=make: (make() for _ in range(int(count * share))))  # type: ignore[misc]
        for kind, (share, make) in makers.items()
    }


def text(size: int, words: list[str], between: str, seed: int = 2) -> str:
    """A text of about so many bytes, with numbers and codes that are nobody's."""
    draw, lines, length = random.Random(seed), list[str](), 0
    while length < size:
        line = between.join(draw.choices(words, k=30))
        line += f" {draw.randrange(10**9, 10**10)}" if draw.random() < 0.3 else ""
        line += f" C-{draw.getrandbits(80):016X}" if draw.random() < 0.2 else ""
        lines.append(line)
        length += len(line.encode()) + 1
    return "\n".join(lines)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def rate(name: str, data: bytes, find: Callable[[bytes], int]) -> None:
    """Print the megabytes per second of one core, the best of three."""
    best, hits = float("inf"), 0
    for _ in range(3):
        began = time.process_time()
        hits = sum(find(data[low : low + BLOCK]) for low in range(0, len(data), BLOCK))
        best = min(best, time.process_time() - began)
    say(f"  {name:<34}{len(data) / best / 1e6:>8.0f} MB/s  {hits:>8,} hits")
    wanted = WANTED if name.startswith("utf-8") else None
    record(Row(f"search for identifiers, one core: {name}", len(data) / best / 1e6, "MB/s", wanted=wanted))


def peak_gigabytes() -> float:
    """Most memory that this process has ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Measure."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--identifiers", type=int, default=5_000_000)
    options.add_argument("--megabytes", type=int, default=32)
    options.add_argument("--peers", action="store_true", help="the peers too; the automaton takes 1.5 GB and a minute")
    given = options.parse_args()
    chinese = text(given.megabytes << 20, WORDS, "")
    latin = text(given.megabytes << 20, LATIN, " ")
    before = peak_gigabytes()
    began = time.process_time()
    known = Identifiers((kind, make()) for kind, make in identifiers(given.identifiers).items())
    took = time.process_time() - began
    say(f"{len(known):,} identifiers, made and taken in, in {took:.1f} s")
    say(f"peak {peak_gigabytes():.2f} GB, {before:.2f} of it texts")

    def one_pass(name: str) -> Callable[[bytes], int]:
        return lambda data: sum(1 for reading in readings(data, [name]) for _ in known.find_units(reading.units))

    say("one core, megabytes of what is read:")
    rate("utf-8, Chinese reports", chinese.encode(), one_pass("utf-8"))
    rate("utf-8, English", latin.encode(), one_pass("utf-8"))
    few = chinese[: 4 << 20]
    wide = {
        "utf-16": few.encode("utf-16-le"), "gb18030": few.encode("gb18030"),
        "misread": few.encode().decode("latin-1").encode(), "base64": base64.b64encode(few.encode()),
        "percent": quote(few).encode(), "escapes": json.dumps(few).encode(),
        "markup": "".join(f"<p>{line}</p>" for line in few.splitlines()).encode(),
    }  # fmt: skip
    for name, data in wide.items():
        rate(f"{name}, of data so encoded", data, one_pass(name))
    for name in ALL[1:]:
        rate(f"{name}, of plain Chinese UTF-8", few.encode(), one_pass(name))
    rate("all passes, Chinese UTF-8", few.encode(), lambda data: sum(
        1 for reading in readings(data) for _ in known.find_units(reading.units)))  # fmt: skip
    say(f"peak {peak_gigabytes():.2f} GB")
    what = f"memory of a search for {given.identifiers:,} identifiers"
    record(Row(what, peak_gigabytes(), "GB", wanted=WANTED_GIGABYTES, at_least=False))
    if given.peers:
        peers(given.identifiers, chinese.encode())


def peers(count: int, data: bytes) -> None:
    """The same identifiers by Aho and Corasick, and by grep: neither folds anything or looks at borders."""
    import ahocorasick_rs

    values = [value.encode() for make in identifiers(count).values() for value in make()]
    began = time.process_time()
    automaton = ahocorasick_rs.BytesAhoCorasick(values, implementation=ahocorasick_rs.Implementation.ContiguousNFA)
    say(f"ahocorasick_rs: built in {time.process_time() - began:.1f} s; peak {peak_gigabytes():.2f} GB")
    rate("ahocorasick_rs, contiguous NFA", data, lambda part: len(automaton.find_matches_as_indexes(part, overlapping=True)))
    grep = shutil.which("grep")
    if grep is None:
        say("grep is not installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        patterns, plain = Path(folder) / "patterns", Path(folder) / "text"
        patterns.write_bytes(b"\n".join(values))
        plain.write_bytes(data)
        began = time.perf_counter()
        try:
            subprocess.run([grep, "-c", "-F", "-f", patterns, plain], capture_output=True, check=False, timeout=120)
        except subprocess.TimeoutExpired:
            say("  grep -F -f: not done after two minutes")
            return
        took = time.perf_counter() - began
        say(f"  grep -F -f, with its start: {took:.1f} s for {len(data) / 1e6:.0f} MB ({len(data) / took / 1e6:.0f} MB/s)")


if __name__ == "__main__":
    main()
