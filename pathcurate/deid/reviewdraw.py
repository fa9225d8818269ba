"""Which scrubbed texts people are asked about: those left out, a sample, and those with suspicious words or rare rules."""

import json
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.deid.faults import known
from pathcurate.deid.texts import members, report_codes
from pathcurate.engines import Engine, LossReason
from pathcurate.model.removal import NAMES, Kind, Removal
from pathcurate.model.report import REPORTS, TEXT_COLUMNS
from pathcurate.model.text import SCRUBBED_TEXTS, TEXT_DECISIONS
from pathcurate.pseudonyms import Layer
from pathcurate.relations import relation
from pathcurate.scrubbers.text import detect
from pathcurate.scrubbers.text.suspicion import REASONS, find_signer_suspicions, find_suspicions, without
from pathcurate.sqlplan.expressions import literal
from pathcurate.tables import Catalog, column_values, read_parquet
from pathcurate.text.folding import half_width
from pathcurate.workspace import Workspace

MOST_READ: Final = 100_000
"""Texts that are looked through, drawn at random; with more a sheet would take hours and be no better."""
_BATCH_ROWS: Final = 500
_CERTAIN: Final = ("known.", "site.", "date.", "shape.bracket", "label.case", "label.number")
"""How the names of rules begin whose hits nobody is asked about: what is known, what reviewers decided, days, and numbers
behind a label that says so."""
_OFTEN_WRONG: Final = frozenset((*NAMES, Kind.HOSPITAL, Kind.UNIT, Kind.ADDRESS, Kind.CASE, Kind.NUMBER))
"""Kinds of removals whose words are asked about: other words are taken for them more often than for telephones."""
_SHOWN: Final = "text_review_shown"
_HELD: Final = "text_review_held"
_CODES: Final = "text_review_codes"
_TIMEOUT: Final = 30.0  # seconds a text
_FOUND: "Final[Sequence[tuple[str, pa.DataType]]]" = (
    ("start", pa.int64()), ("end", pa.int64()), ("why", pa.string()),
)  # fmt: skip
_RESULT: "Final[Sequence[tuple[str, pa.DataType]]]" = (
    ("error", pa.string()), ("suspicious", pa.list_(pa.struct(_FOUND))),
)  # fmt: skip
SUSPICIONS_FOUND: Final = pa.schema(_RESULT)

Row = Mapping[str, Any]
Span = tuple[int, int, str]
"""Start, end, and why."""
Word = tuple[str, str]
"""A site and a word as it stands in its texts."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a sheet shall hold.

    Attributes:
        cohort: only texts of this cohort; None for all that were scrubbed.
        sites: only texts of these sites; all if empty.
        withheld: texts that are left out because something in them still looks as if it identified somebody.
        sample: texts drawn at random of all others, whatever is in them.
        suspicious: texts that hold something suspicious which nobody has decided about.
        rare: texts out of which a rule that seldom finds anything took something.
        seed: of what is drawn.
    """

    cohort: str | None = None
    sites: tuple[str, ...] = ()
    withheld: int = 30
    sample: int = 30
    suspicious: int = 30
    rare: int = 10
    seed: int = 0


@dataclass(frozen=True, slots=True, repr=False)
class Seen:
    """A text that was looked through.

    Attributes:
        report_id: its report, in the catalog.
        text_column: its column.
        site: its site.
        text: as it is in the catalog.
        removals: what was taken out of it: start, end, kind and rule.
        suspicions: what is suspicious in the rest: start, end and reason.
    """

    report_id: str
    text_column: str
    site: str
    text: str
    removals: tuple[tuple[int, int, str, str], ...]
    suspicions: tuple[tuple[int, int, str], ...]

    def suspicious_words(self) -> dict[str, str]:
        """Each suspicious word with its reason."""
        return {self.text[start:end]: why for start, end, why in self.suspicions if is_word(self.text[start:end])}

    def doubtful_words(self) -> dict[str, str]:
        """Each word that a rule took out which may be wrong, with the rule."""
        return {
            word: rule
            for start, end, kind, rule in self.removals
            if kind in _OFTEN_WRONG and not rule.startswith(_CERTAIN) and is_word(word := self.text[start:end])
        }

    def rules(self) -> set[str]:
        """The rules that took something out of it, but for certain ones."""
        return {rule for *_, rule in self.removals if not rule.startswith(_CERTAIN)}


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a sheet will show.

    Attributes:
        texts: the texts with why each is shown, one of :data:`pathcurate.model.textreview.PURPOSES`.
        counts: in how many of the texts that were looked through each suspicious or doubtful word was seen.
        decided: words that were decided about, in half width.
        read: texts that were looked through.
        failed: of these, texts that could not be.
    """

    texts: tuple[tuple[Seen, str], ...]
    counts: Mapping[Word, int]
    decided: Set[Word]
    read: int
    failed: int


def is_word(text: str) -> bool:
    """Whether a piece of a text can be decided about: neither one character nor a paragraph, on one line."""
    return len(text) >= 2 and len(text) <= 100 and text == text.strip() and text.isprintable()


def draw(workspace: Workspace, engine: Engine, layer: Layer, choice: Choice, progress: Callable[[int, int], None]) -> Drawn:
    """Look through the scrubbed texts and choose.

    The sample is drawn from all that are not left out, so that it says how good those are that may be released. Suspicious
    texts are taken in turn for each reason, each for a word that no other shows, so that the many of one kind do not hide
    the few of another.

    Args:
        workspace: the workspace, whose scrubbed texts are up to date.
        engine: for SQL and the search.
        layer: the internal layer.
        choice: what is wanted.
        progress: called with the number of texts looked through, and of all.
    """
    catalog = Catalog(workspace.catalog)
    scope = _Scope(workspace, engine, layer, choice)
    held = _withheld(workspace, engine, scope, choice)
    decided = {(row["site"], row["word"]) for row in catalog.read(TEXT_DECISIONS, columns=("site", "word")).to_pylist()}
    sample: list[Seen] = []
    counts: Counter[Word] = Counter()
    by_reason: dict[str, dict[Word, Seen]] = {reason: {} for reason in REASONS}
    by_rule: dict[str, list[Seen]] = {}
    rules: Counter[str] = Counter()
    read = failed = 0
    for seen in _look_through(engine, scope, progress):
        read += 1
        if seen is None:
            failed += 1
            continue
        if len(sample) < choice.sample:
            sample.append(seen)
        for word, why in seen.suspicious_words().items():
            counts[seen.site, word] += 1
            if (seen.site, half_width(word)) not in decided and len(by_reason[why]) < choice.suspicious:
                by_reason[why].setdefault((seen.site, word), seen)
        counts.update((seen.site, word) for word in seen.doubtful_words())
        for rule in seen.rules():
            rules[rule] += 1
            if len(found := by_rule.setdefault(rule, [])) < choice.rare:
                found.append(seen)
    for seen in held:
        counts.update((seen.site, word) for word in {**seen.suspicious_words(), **seen.doubtful_words()})
    taken = {_key(seen) for seen in sample}
    suspicious = _in_turn([list(words.values()) for words in by_reason.values()], choice.suspicious, taken)
    rarest = sorted(by_rule, key=lambda rule: (rules[rule], rule))
    rare = _in_turn([by_rule[rule] for rule in rarest], choice.rare, taken)
    chosen = {"withheld": held, "sample": sample, "suspicious": suspicious, "rare": rare}
    texts = [(seen, purpose) for purpose, group in chosen.items() for seen in group]
    return Drawn(tuple(texts), counts, decided, read, failed)


def _key(seen: Seen) -> tuple[str, str]:
    return seen.report_id, seen.text_column


def _in_turn(groups: Iterable[Sequence[Seen]], wanted: int, taken: set[tuple[str, str]]) -> list[Seen]:
    """One text of each group in turn, none twice, until there are enough or none is left."""
    chosen: list[Seen] = []
    waiting = [iter(group) for group in groups]
    while waiting and len(chosen) < wanted:
        left = []
        for group in waiting:
            following = next((seen for seen in group if _key(seen) not in taken), None)
            if following is not None and len(chosen) < wanted:
                taken.add(_key(following))
                chosen.append(following)
                left.append(group)
        waiting = left
    return chosen


# --- Looking through -----------------------------------------------------------------------------------------------


class _Scope:
    """The scrubbed texts that may be chosen: gives SQL for them.

    Attributes:
        total: at most how many are looked through.
    """

    def __init__(self, workspace: Workspace, engine: Engine, layer: Layer, choice: Choice) -> None:
        catalog = Catalog(workspace.catalog)
        texts = workspace.deid / "texts"
        # The cache may hold what is wanted no longer; the table of scrubbed texts is what was verified.
        shown = read_parquet(texts / "texts.parquet", ("report_id", "text_column"))
        reports = read_parquet(texts / "text_reports.parquet", ("report_id", "status"))
        held = reports.filter(pc.equal(reports["status"], pa.scalar("withheld"))).select(["report_id"])
        if choice.cohort is not None:
            cases = read_parquet(workspace.deid / "reports.parquet", ("report_id", "case_id", "patient_id"))
            own = cases.filter(members(workspace, cases, [choice.cohort]))["report_id"].combine_chunks()
            shown, held = (table.filter(pc.is_in(table["report_id"], value_set=own)) for table in (shown, held))
        engine.view(_SHOWN, shown)
        engine.view(_HELD, held)
        engine.view(_CODES, report_codes(catalog, layer))
        self.total = min(shown.num_rows, MOST_READ)
        self._seed = choice.seed
        self._cache = relation(engine, catalog, SCRUBBED_TEXTS, ("report_id", "text_column", "is_suspicious", "removals"))
        self._reports = relation(engine, catalog, REPORTS, ("report_id", "site", *TEXT_COLUMNS))
        self._where = f" WHERE r.site IN ({', '.join(literal(code) for code in choice.sites)})" if choice.sites else ""

    def shown(self) -> str:
        """SQL for the texts that are not left out."""
        return self._texts(f"JOIN {_SHOWN} s ON s.report_id = k.report_code AND s.text_column = c.text_column", MOST_READ)

    def held(self, most: int) -> str:
        """SQL for those that are left out."""
        return self._texts(
            f"JOIN {_HELD} h ON h.report_id = k.report_code "
            f"ANTI JOIN {_SHOWN} s ON s.report_id = k.report_code AND s.text_column = c.text_column", most,
        )  # fmt: skip

    def _texts(self, joins: str, most: int) -> str:
        """SQL for texts by their lots, each as it is in the catalog, with what was taken out of it."""
        text = " ".join(f"WHEN '{name}' THEN r.{name}" for name in TEXT_COLUMNS)
        # A digest of seed and text is its lot: it depends neither on the order of rows nor on what else is there.
        lots = (
            "SELECT c.report_id, c.text_column, c.is_suspicious, c.removals, "
            f"md5('{self._seed}:' || c.report_id || ':' || c.text_column) AS lot "
            f"FROM {self._cache} c JOIN {_CODES} k ON c.report_id = k.report_id {joins}"
            + (f" JOIN {self._reports} r ON r.report_id = c.report_id{self._where}" if self._where else "")
        )
        return (
            f"SELECT t.report_id, t.text_column, r.site, CASE t.text_column {text} END AS text, t.removals, t.is_suspicious "
            f"FROM ({lots} ORDER BY lot LIMIT {most}) t JOIN {self._reports} r ON r.report_id = t.report_id "
            "ORDER BY t.lot, t.report_id, t.text_column"
        )


def _seen(row: Row, suspicions: Iterable[Span]) -> Seen:
    # Kind, rule, place in the catalog's text, place in the scrubbed one: as scrubbing notes them.
    removals = tuple((start, end, kind, rule) for kind, rule, start, end, *_ in json.loads(row["removals"]))
    return Seen(row["report_id"], row["text_column"], row["site"], row["text"], removals, tuple(suspicions))


def _withheld(workspace: Workspace, engine: Engine, scope: _Scope, choice: Choice) -> list[Seen]:
    """Texts that are left out, with what keeps them out and what else is suspicious in them."""
    if not choice.withheld:
        return []
    # One that its report has lost since is in the cache still.
    rows = [row for row in engine.table(scope.held(choice.withheld)).to_pylist() if row["text"] is not None]
    # Reading all that the catalog knows takes minutes in a large one, and the detectors name most of what is left.
    identifiers = known(workspace) if any(not row["is_suspicious"] for row in rows) else None
    held = []
    for row in rows:
        removals = _removals(row["removals"])
        text = without(row["text"], [(one.start, one.end) for one in removals])
        spans = [(one.start, one.end, "detected") for one in detect(text)]
        if identifiers is not None:
            spans = [*((*_characters(text, hit.start, hit.end), "known") for hit in identifiers.find(text)), *spans]
        suspicions = (*find_suspicions(text), *find_signer_suspicions(row["text"], removals))
        spans += [(one.start, one.end, one.reason) for one in suspicions]
        held.append(_seen(row, _apart(spans)))
    return held


def _characters(text: str, start: int, end: int) -> tuple[int, int]:
    """A place in UTF-16 units of a text as one in characters."""
    units = text.encode("utf-16-le", "surrogatepass")
    first, last = (len(units[: 2 * place].decode("utf-16-le", "surrogatepass")) for place in (start, end))
    return first, last


def _apart(spans: Iterable[Span]) -> list[Span]:
    """Spans without those that overlap an earlier one, from left to right."""
    kept: list[Span] = []
    for start, end, why in spans:
        if all(end <= other or until <= start for other, until, _ in kept):
            kept.append((start, end, why))
    return sorted(kept)


def _look_through(engine: Engine, scope: _Scope, progress: Callable[[int, int], None]) -> Iterator[Seen | None]:
    """The texts that are not left out, in order; None for one that could not be looked through."""
    waiting: deque[Row] = deque()

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in engine.batches(scope.shown()):
            for start in range(0, batch.num_rows, _BATCH_ROWS):
                piece = batch.slice(start, _BATCH_ROWS)
                waiting.extend(piece.to_pylist())
                yield piece.select(["text", "removals"])

    done = 0
    for batch in engine.run(find_suspicious, batches(), None, SUSPICIONS_FOUND, on_crash=_lost, timeout=_TIMEOUT):
        for result in batch.to_pylist():
            row = waiting.popleft()
            found = [(one["start"], one["end"], one["why"]) for one in result["suspicious"]]
            yield None if result["error"] is not None else _seen(row, found)
        done += batch.num_rows
        progress(done, scope.total)


def find_suspicious(batch: pa.RecordBatch, _spec: object) -> pa.RecordBatch:
    """Kernel: what is suspicious in each text; one that cannot be searched has ``error``.

    Args:
        batch: texts with ``text`` and ``removals``, as the cache of scrubbed texts keeps them.
    """
    rows: list[Row] = []
    for text, removals in zip(column_values(batch, "text"), column_values(batch, "removals"), strict=True):
        error, found = None, []
        try:
            removed = _removals(removals)
            masked = without(text, [(one.start, one.end) for one in removed])
            suspicions = find_suspicions(masked)
            signers = find_signer_suspicions(text, removed)
            spans = _apart((one.start, one.end, one.reason) for one in (*suspicions, *signers))
            found = [{"start": start, "end": end, "why": why} for start, end, why in spans]
        except Exception as failure:  # noqa: BLE001  one text must not end the run for all others
            error = type(failure).__name__
        rows.append({"error": error, "suspicious": found})
    return pa.RecordBatch.from_pylist(rows, schema=SUSPICIONS_FOUND)


def _removals(noted: str) -> list[Removal]:
    """What was taken out of a text, as the cache of scrubbed texts notes it."""
    return [Removal(start, end, Kind(kind), rule) for kind, rule, start, end, *_ in json.loads(noted)]


def _lost(_row: pa.RecordBatch, reason: LossReason) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"error": reason, "suspicious": []}], schema=SUSPICIONS_FOUND)
