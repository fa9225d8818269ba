"""How much of what identifies the text scrubber removes, how much else it removes, and how fast, beside other tools.

The texts are those of ``deid_texts``, whose authors had not seen the rules. The peers see the same texts in the same run,
each in its own process of ``.venv-bench-deid``, which is made of ``requirements-deid.txt`` when it is missing. All run on
one core, and the processor's seconds count. Prints tables in Markdown, or with --json one object.
`python tests/bench/deid_speed.py --help` shows the settings.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import venv
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate.model.removal import Removal
from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.scrubbers.text import KnownValues, ReportTexts, SiteRules, TextScrubber
from pathcurate.scrubbers.text.kernel import TOGETHER, Scrub, find_text_removals
from pathcurate.scrubbers.text.patterns import RULES
from tests.bench.deid_foreign import foreign_sets
from tests.bench.deid_scoring import DIRECT, PLANTED, QUASI, Sample, Score, Spans, read_corpus, score
from tests.bench.rows import Row, record
from tests.bench.slides import say

ROOT = Path(__file__).resolve().parents[2]
PEERS_VENV = ROOT / ".venv-bench-deid"
REQUIREMENTS = Path(__file__).with_name("requirements-deid.txt")
RULES_PATHS = ("pathcurate/scrubbers/text", "pathcurate/text")
LEAST_SHARE, LEAST_RATE = 0.99, 900
"""What is wanted: recall and character precision, and Chinese reports a second with known values on."""
YEAR = 2024
"""Of the reports, for dates without one."""
PATTERNS = [
    {"name": rule.name, "kind": rule.kind.upper(), "pattern": rule.pattern.pattern, "is_lower": rule.is_lower}
    for rule in RULES
]
"""Those of our rules that are a pattern; names, dates, hospitals and addresses are told by lists and code."""
HEAD = (
    "| tool | direct, in full | direct, touched | names, numbers, dates, phones | quasi, in full | character precision | "
    "hits per 1,000 texts without | texts/s per core (range) |\n|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, slots=True)
class Peer:
    """Another tool: how tables call it, how ``deid_peers.py`` does, which languages it knows, and how it is set."""

    tool: str
    peer: str
    languages: tuple[str, ...] = ("zh", "en")
    patterns: Sequence[dict[str, Any]] = ()
    least_score: float = 0.0


PEERS = (
    Peer("Presidio, its own patterns, all scores", "presidio"),
    Peer("Presidio, its own, 0.4 or more", "presidio", least_score=0.4),
    Peer(f"Presidio, with {len(PATTERNS)} of our patterns, 0.4 or more", "presidio", patterns=PATTERNS, least_score=0.4),
    Peer("jieba, tags nr ns nt", "jieba", languages=("zh",)),
    Peer("scrubadub", "scrubadub"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one tool did with one set of texts; ``seconds`` are the processor's, of each repetition."""

    tool: str
    samples: int
    score: Score | None
    seconds: tuple[float, ...]
    error: str = ""

    def rates(self) -> tuple[float, float, float] | None:
        """Texts a second: the median, the least and the most; None if it was not timed."""
        if not self.seconds:
            return None
        return tuple(self.samples / function(self.seconds) for function in (median, max, min))  # type: ignore[return-value]


def main() -> None:
    """Score, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, help="timed repetitions  [%(default)s]")
    parser.add_argument("--chinese", nargs="+", default=["zh_a", "zh_b"], help="files of deid_texts  [%(default)s]")
    parser.add_argument("--english", nargs="+", default=["en_b"], help="files of deid_texts  [%(default)s]")
    parser.add_argument("--no-peers", action="store_true", help="only our own scrubber")
    parser.add_argument("--foreign", type=Path, help="directory with the published sets, see deid_foreign.py")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    peers = () if options.no_peers else PEERS
    if peers:
        install_peers()
    machine = describe_machine(options.repeat)
    sets = {"zh": read_corpus(*options.chinese), "en": read_corpus(*options.english)}
    longer = list(long_reports(sets["zh"], options.repeat))
    outcomes = {
        language: [*ours(samples, language, options.repeat), *theirs(samples, language, peers, options.repeat)]
        for language, samples in sets.items()
    }
    outcomes["zh"] += longer
    foreign = {
        name: [Outcome("ours", len(samples), score(samples, scrubbed(samples, language_of(name))), ())]
        for name, samples in (foreign_sets(options.foreign) if options.foreign else ())
    }
    if options.json:
        tables = {**outcomes, **foreign}
        say(json.dumps({**machine, "sets": {name: list(map(as_json, rows)) for name, rows in tables.items()}}, indent=1))
        return
    say("\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in machine.items()))
    titles = {"zh": f"Chinese ({', '.join(options.chinese)})", "en": f"English, planted ({', '.join(options.english)})"}
    for language, samples in sets.items():
        print_table(titles[language], samples, outcomes[language])
        print_kinds(outcomes[language][0].score)
        print_kept(samples, language)
    print_wanted(outcomes["zh"][0], longer[0], outcomes["en"][0])
    for name, rows in foreign.items():
        say(f"\n### {name}: {rows[0].samples} texts\n\n{HEAD}\n{as_row(rows[0])}")
        print_kinds(rows[0].score)


def ours(samples: Sequence[Sample], language: str, repeat: int) -> Iterator[Outcome]:
    """Our scrubber, with what is known of each report and without."""
    for tool, is_known in (("ours, known values", True), ("ours, nothing known", False)):
        found = scrubbed(samples, language, is_known=is_known)
        seconds = times(partial(scrubbed, samples, language, is_known=is_known), repeat)
        yield Outcome(tool, len(samples), score(samples, found), seconds)


def scrubbed(samples: Sequence[Sample], language: str | None, *, is_known: bool = True) -> list[Spans]:
    """The places that our scrubber removes, without rules of a site."""
    scrubber, nothing = TextScrubber(SiteRules("NB01")), KnownValues()
    reports = [ReportTexts([sample.text], sample.known if is_known else nothing, language, YEAR) for sample in samples]
    return [[(one.start, one.end) for one in removals] for [removals] in scrubbed_together(scrubber, reports)]


def scrubbed_together(scrubber: TextScrubber, reports: Sequence[ReportTexts]) -> Iterator[list[list[Removal]]]:
    """The removals in the texts of each report, as many reports together as the kernel scrubs."""
    for first in range(0, len(reports), TOGETHER):
        yield from scrubber.removals_of(reports[first : first + TOGETHER])


def long_reports(samples: Sequence[Sample], repeat: int) -> Iterator[Outcome]:
    """Time reports as long as real ones: three of the texts, and what is known of the first of which anything is."""
    scrubber, nothing = TextScrubber(SiteRules("NB01")), KnownValues()
    reports = [samples[first : first + 3] for first in range(0, len(samples) // 3 * 3, 3)]
    inputs = [
        ([sample.text for sample in report], next((one.known for one in report if one.known != nothing), nothing))
        for report in reports
    ]
    batch = pa.RecordBatch.from_pylist([
        {"report_id": f"R{number}", "site": "NB01", "language": "zh", "year": YEAR, "known": asdict(known),
         **dict.fromkeys(TEXT_COLUMNS), **dict(zip(("gross", "microscopy", "diagnosis"), texts, strict=True))}
        for number, (texts, known) in enumerate(inputs)
    ])  # fmt: skip
    spec = Scrub((SiteRules("NB01"),))

    def scrub() -> None:
        deque(scrubbed_together(scrubber, [ReportTexts(texts, known, "zh", YEAR) for texts, known in inputs]), maxlen=0)

    length = sum(len(text) for texts, _ in inputs for text in texts) / len(inputs)
    title = f"ours, known values, reports of {length:.0f} characters"
    yield Outcome(title, len(inputs), None, times(scrub, repeat))
    yield Outcome(f"{title}, as a kernel", len(inputs), None, times(lambda: find_text_removals(batch, spec), repeat))


def times(action: Callable[[], object], repeat: int) -> tuple[float, ...]:
    """The processor's seconds of each repetition, after a first one that is not counted."""
    action()
    seconds = []
    for _ in range(repeat):
        begun = time.process_time()
        action()
        seconds.append(time.process_time() - begun)
    return tuple(seconds)


def install_peers() -> None:
    """Make the peers' environment, unless it is there and made of the same requirements."""
    made_of = PEERS_VENV / "made_of.txt"
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if made_of.exists() and made_of.read_text(encoding="utf-8") == wanted:
        return
    venv.create(PEERS_VENV, with_pip=True, clear=True)
    install = [str(PEERS_VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for requirement in filter(None, (line.partition("#")[0].strip() for line in wanted.splitlines())):
        # One that cannot be installed is named by its process, and keeps no other from running.
        subprocess.run([*install, requirement], check=False, capture_output=True)
    made_of.write_text(wanted, encoding="utf-8")


def theirs(samples: Sequence[Sample], language: str, peers: Sequence[Peer], repeat: int) -> Iterator[Outcome]:
    """The peers that know the language, one after the other."""
    program = [str(PEERS_VENV / "bin" / "python"), str(Path(__file__).with_name("deid_peers.py"))]
    for peer in peers:
        if language not in peer.languages:
            continue
        asked = json.dumps({
            "peer": peer.peer, "language": language, "patterns": list(peer.patterns), "least_score": peer.least_score,
            "repeat": repeat, "texts": [sample.text for sample in samples],
        })  # fmt: skip
        done = subprocess.run(program, input=asked, capture_output=True, text=True, encoding="utf-8", check=False)
        if done.returncode:
            # Without its message: that may quote a text.
            error = done.stderr.strip().rpartition("\n")[2].partition(":")[0] or f"exit {done.returncode}"
            yield Outcome(peer.tool, len(samples), None, (), error)
            continue
        said = json.loads(done.stdout)
        tool = f"{peer.tool} ({said['version']})"
        yield Outcome(tool, len(samples), score(samples, said["found"]), tuple(said["seconds"]))


def describe_machine(repeat: int) -> dict[str, str | int]:
    """On what and of what the figures are."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in cpus if line.startswith("model name")]
    commit = ["git", "-C", str(ROOT), "log", "-1", "--format=%h of %cs", "--", *RULES_PATHS]
    changed = ["git", "-C", str(ROOT), "status", "--porcelain", "--", *RULES_PATHS]
    rules = subprocess.run(commit, capture_output=True, text=True, check=False).stdout.strip() or "no commit"
    is_changed = bool(subprocess.run(changed, capture_output=True, text=True, check=False).stdout.strip())
    return {
        "machine": f"{models[0] if models else platform.machine()}, {os.cpu_count()} processors, {platform.system()}",
        "python": platform.python_version(),
        "rules": rules + (" and changes that are not committed" if is_changed else ""),
        "repetitions": repeat,
        "load_average": f"{os.getloadavg()[0]:.1f}",
    }


def language_of(name: str) -> str | None:
    """What a report in this set would have as its language."""
    return None if "Spanish" in name else "en"


def print_table(title: str, samples: Sequence[Sample], rows: Sequence[Outcome]) -> None:
    """One set of texts, a row for each tool."""
    characters = sum(len(sample.text) for sample in samples) / len(samples)
    direct = sum(mark.kind in DIRECT for sample in samples for mark in sample.marks)
    quasi = sum(mark.kind in QUASI for sample in samples for mark in sample.marks)
    clean = sum(sample.is_clean for sample in samples)
    say(f"\n### {title}: {len(samples)} texts of {characters:.0f} characters, {direct} direct and {quasi} quasi "
        f"identifiers, {clean} texts without\n\n{HEAD}\n" + "\n".join(map(as_row, rows)))  # fmt: skip


def print_kept(samples: Sequence[Sample], language: str) -> None:
    """What would leave: identifiers that stay in texts which nothing holds back; a text that is doubtful is withheld."""
    batch = pa.RecordBatch.from_pylist([
        {"report_id": f"R{number}", "site": "NB01", "language": language, "year": YEAR, "known": asdict(sample.known),
         **dict.fromkeys(TEXT_COLUMNS), "diagnosis": sample.text}
        for number, sample in enumerate(samples)
    ])  # fmt: skip
    found = find_text_removals(batch, Scrub((SiteRules("NB01"),))).to_pylist()
    given = [(sample, one["removals"]) for sample, one in zip(samples, found, strict=True) if not one["suspicious"]]
    there = score(samples, [[(0, len(sample.text))] for sample in samples])
    left = score([sample for sample, _ in given], [[(one["start"], one["end"]) for one in gone] for _, gone in given])
    leave = sum(left.marks[kind] - left.full[kind] for kind in DIRECT)
    every = sum(there.marks[kind] for kind in DIRECT)
    say(f"\nTexts withheld: {len(samples) - len(given)} of {len(samples)}. Direct identifiers in the texts that are not: "
        f"{leave} of {every}, so that {number(1 - leave / every)} stay where they are")  # fmt: skip


def print_kinds(of: Score | None) -> None:
    """Recall of each kind."""
    if of is not None:
        kinds = [kind for kind in (*DIRECT, *QUASI) if of.marks[kind]]
        say("\nOurs by kind, in full of all: " + ", ".join(f"{kind} {of.full[kind]}/{of.marks[kind]}" for kind in kinds))


def print_wanted(chinese: Outcome, longer: Outcome, english: Outcome) -> None:
    """What was reached of what is wanted."""
    of, planted, rates, long_rates = chinese.score, english.score, chinese.rates(), longer.rates()
    assert of is not None
    assert planted is not None
    assert rates is not None
    assert long_rates is not None
    lines = [
        ("Chinese direct identifiers, recall", of.recall(DIRECT), LEAST_SHARE),
        ("Chinese, character precision", of.precision, LEAST_SHARE),
        ("Chinese texts/s per core with known values", rates[0], LEAST_RATE),
        ("Chinese reports/s per core with known values, reports of three of the texts", long_rates[0], LEAST_RATE),
        ("English names, numbers, dates and phones, recall", planted.recall(PLANTED), LEAST_SHARE),
    ]
    say("\n### Wanted")
    for title, value, least in lines:
        record(Row(title, value, "/s" if least == LEAST_RATE else "", wanted=least))
        say(f"* {title}: {number(value)}, wanted at least {least}: {'reached' if (value or 0) >= least else 'MISSED'}")
    record(Row("Removals in Chinese texts without identifiers", of.hits, "", wanted=0, at_least=False))
    say(f"* Removals in texts without identifiers: {of.hits}, wanted none: {'MISSED' if of.hits else 'reached'}")


def as_row(of: Outcome) -> str:
    """One row of a table."""
    if of.error:
        return f"| {of.tool} | did not run: {of.error} | | | | | | |"
    rates = of.rates()
    speed = f"{rates[0]:,.0f} ({rates[1]:,.0f}-{rates[2]:,.0f})" if rates else "–"
    shares = ["–"] * 6 if of.score is None else list(map(number, shares_of(of.score).values()))
    return f"| {of.tool} | {' | '.join(shares)} | {speed} |"


def as_json(of: Outcome) -> dict[str, Any]:
    """One row with all counts."""
    counts = None if of.score is None else {
        "marks": of.score.marks, "full": of.score.full, "touched": of.score.touched, "removed": of.score.removed,
        "inside": of.score.inside, "clean": of.score.clean, "hits": of.score.hits, **shares_of(of.score),
    }  # fmt: skip
    return {"tool": of.tool, "texts": of.samples, "error": of.error, "seconds": of.seconds, "score": counts}


def shares_of(of: Score) -> dict[str, float | None]:
    """The figures of a table's row."""
    return {
        "direct_full": of.recall(DIRECT), "direct_touched": of.touched_share(DIRECT), "planted_full": of.recall(PLANTED),
        "quasi_full": of.recall(QUASI), "precision": of.precision, "hits_per_1000": of.hits_per_1000,
    }  # fmt: skip


def number(value: float | None) -> str:
    """For people: shares with three digits, and nothing rounded up to one that is not reached."""
    if value is None:
        return "–"
    return f"{int(value * 1000) / 1000:.3f}" if value <= 1 else f"{value:,.0f}"


if __name__ == "__main__":
    main()
