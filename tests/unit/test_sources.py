"""The frame of imports: what is read again and what is not, whose rows stay, what an interruption leaves."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pathcurate import sources
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.findings import read_findings
from pathcurate.model.event import EVENTS
from pathcurate.model.finding import FINDINGS, Finding, Severity
from pathcurate.model.source import SOURCE_ROWS, SOURCES
from pathcurate.sources import ImportSummary, Intake, SourceFile, SourceRow, choose, digest, framed, import_files
from pathcurate.tables import Catalog

LONG_AGO = (1_600_000_000, 1_600_000_000)


class Bench:
    """Files of one line a row: ``patient text``; ``!`` makes a finding about the row, ``?`` ends the import."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.catalog = Catalog(root / "catalog")
        self.was_read: list[str] = []
        self.read_as = "rules 1"

    def write(self, name: str, *lines: str) -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
        os.utime(path, LONG_AGO)

    def files(self) -> list[SourceFile]:
        return [
            SourceFile("NB01", path, str(path.relative_to(self.root)), self.read_as)
            for path in sorted(self.root.rglob("*.txt"))
        ]

    def rows(self, file: SourceFile) -> Iterator[SourceRow | Finding]:
        self.was_read.append(file.source_file)
        for number, line in enumerate(file.path.read_text().splitlines(), start=1):
            if line == "?":
                raise UsageError("no", "no")
            if line == "!":
                yield Finding(
                    "events.bad", Severity.ERROR, "bad", site=file.site, subject=f"{file.source_file} row {number}"
                )
                continue
            patient, text = line.split()
            row = {"site": file.site, "patient_id": patient, "kind": "visit", "text": text, "source_row": number}
            yield SourceRow(digest([patient]), digest([patient, text]), row)

    def run(self, *only: str) -> ImportSummary:
        self.was_read.clear()
        intake = Intake(
            EVENTS, "E", self.rows, lambda table, *_: table,
            lambda catalog: sources.repeated_in_files(catalog, EVENTS), frozenset({"events.repeated_in_file"}),
        )  # fmt: skip
        chosen = [file for file in self.files() if file.source_file in only] if only else None
        return import_files(self.catalog, intake, self.files(), chosen)

    def states(self) -> list[str]:
        return [self.catalog.state(table) for table in (EVENTS, SOURCES, SOURCE_ROWS, FINDINGS)]

    def table(self) -> list[tuple[Any, ...]]:
        names = ("event_id", "patient_id", "text", "source_file", "source_row")
        return [tuple(row[name] for name in names) for row in self.catalog.read(EVENTS).to_pylist()]

    def found(self) -> list[tuple[str, str | None]]:
        return [(finding.rule, finding.subject) for finding in read_findings(self.catalog, "events")]

    def everything(self) -> list[list[dict[str, Any]]]:
        """All that is kept, but for times and the number of the state."""
        tables = [self.catalog.read(table) for table in (EVENTS, SOURCES, SOURCE_ROWS, FINDINGS)]
        passing = {"imported_at", "state", "mtime_ns"}
        kept = [table.drop_columns([name for name in table.column_names if name in passing]) for table in tables]
        return [list(table.to_pylist()) for table in kept]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_nothing_that_is_unchanged_is_read_and_nothing_is_written(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.write("a.txt", "P1 x", "!")
    bench.write("b.txt", "P2 y")
    first = bench.run()
    assert (first.files, first.rows, first.unchanged, first.total) == (2, 2, 0, 2)
    states = bench.states()

    def refuse(path: Path, *arguments: Any, **named: Any) -> Any:
        assert path.suffix != ".txt", "a source was opened"
        return opened(path, *arguments, **named)

    opened = Path.open
    monkeypatch.setattr(Path, "open", refuse)
    second = bench.run()
    assert (second.files, second.rows, second.unchanged, second.removed, second.total) == (0, 0, 2, 0, 2)
    assert bench.states() == states
    # What was found before is still so, and is told again.
    assert second.findings == tuple(finding for finding in read_findings(bench.catalog, "events"))
    assert bench.found() == [("events.bad", "a.txt row 2")]


def test_a_file_that_was_only_touched_is_not_read_again(bench: Bench) -> None:
    bench.write("a.txt", "P1 x")
    bench.run()
    state = bench.catalog.state(EVENTS)
    os.utime(bench.root / "a.txt", (1_700_000_000, 1_700_000_000))
    assert (bench.run().unchanged, bench.was_read, bench.catalog.state(EVENTS)) == (1, [], state)


def test_a_change_that_keeps_size_and_time_is_seen_while_the_file_is_young(bench: Bench) -> None:
    bench.write("a.txt", "P1 x")
    os.utime(bench.root / "a.txt")
    state = (bench.root / "a.txt").stat()
    bench.run()
    (bench.root / "a.txt").write_text("P1 y\n")
    os.utime(bench.root / "a.txt", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert bench.run().files == 1
    assert [row[2] for row in bench.table()] == ["y"]


def test_other_rules_read_every_file_again(bench: Bench) -> None:
    bench.write("a.txt", "P1 x")
    bench.write("b.txt", "P2 y")
    bench.run()
    before = bench.everything()[0]
    bench.read_as = "rules 2"
    assert bench.run().files == 2
    assert bench.everything()[0] == before


def test_one_changed_file_is_read_alone_and_findings_of_others_stay(bench: Bench) -> None:
    bench.write("a.txt", "P1 x", "!")
    bench.write("a.txt row 2.txt", "!", "P9 z")
    bench.write("b.txt", "P2 y", "!", "!")
    bench.run()
    bench.write("b.txt", "P2 y", "P3 y", "!")
    assert (bench.run().files, bench.was_read) == (1, ["b.txt"])
    assert bench.found() == [
        ("events.bad", "a.txt row 2"), ("events.bad", "a.txt row 2.txt row 1"), ("events.bad", "b.txt row 3"),
    ]  # fmt: skip
    bench.write("a.txt", "P1 x")
    bench.run()
    assert bench.found() == [("events.bad", "a.txt row 2.txt row 1"), ("events.bad", "b.txt row 3")]


def test_a_file_that_is_gone_takes_its_rows_and_findings_with_it(bench: Bench) -> None:
    bench.write("a.txt", "P1 x", "!")
    bench.write("b.txt", "P2 y")
    bench.run()
    (bench.root / "a.txt").unlink()
    # An import of the other file alone says nothing about this one.
    assert (bench.run("b.txt").removed, len(bench.table())) == (0, 2)
    summary = bench.run()
    assert (summary.files, summary.unchanged, summary.removed, summary.total) == (0, 1, 1, 1)
    assert bench.found() == []


def test_a_row_of_two_files_is_there_once_and_stays_when_one_goes(bench: Bench) -> None:
    bench.write("1.txt", "P1 x", "P2 y")
    bench.write("2.txt", "P3 z", "P2 y", "P1 x")
    bench.write("3.txt", "P2 y")
    summary = bench.run()
    assert (summary.rows, summary.total) == (6, 3)
    assert {(finding.subject, finding.count) for finding in summary.findings} == {
        ("2.txt and 1.txt", 2),
        ("3.txt and 1.txt", 1),
    }
    before = bench.table()
    (bench.root / "1.txt").unlink()
    bench.run()
    # Nothing was read for it, and the rows have kept their identifiers.
    assert bench.was_read == []
    assert [row[1:] for row in bench.table()] == [("P3", "z", "2.txt", 1), ("P2", "y", "2.txt", 2), ("P1", "x", "2.txt", 3)]
    assert {row[0] for row in bench.table()} == {row[0] for row in before}
    assert bench.found() == [("events.repeated_in_file", "3.txt and 2.txt")]


def test_an_earlier_file_that_comes_later_takes_the_row_over(bench: Bench) -> None:
    bench.write("2.txt", "P1 x")
    bench.run()
    bench.write("1.txt", "P0 w", "P1 x")
    bench.run()
    assert bench.was_read == ["1.txt"]
    assert [row[1:] for row in bench.table()] == [("P0", "w", "1.txt", 1), ("P1", "x", "1.txt", 2)]


def test_rows_of_one_identity_are_numbered_by_what_they_say(bench: Bench) -> None:
    bench.write("a.txt", "P1 x", "P1 y", "P1 z", "P1 x")
    bench.run()
    before = {row[2]: row[0] for row in bench.table()}
    assert len(set(before.values())) == 3
    bench.write("a.txt", "P0 x", "P1 z", "P1 x", "P1 y")
    bench.run()
    assert {row[2]: row[0] for row in bench.table() if row[1] == "P1"} == before


def test_a_row_twice_in_a_file_is_counted(bench: Bench) -> None:
    bench.write("a.txt", "P1 x", "P1 x", "P1 x")
    (finding,) = bench.run().findings
    assert (finding.rule, finding.count, finding.subject) == ("events.repeated_row", 2, "a.txt")
    assert "the first is row 2" in finding.message


@pytest.mark.parametrize("step", range(5))
def test_an_interrupted_import_is_made_good_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    benches = [Bench(tmp_path / name) for name in ("disturbed", "undisturbed")]
    for bench in benches:
        bench.root.mkdir()
        bench.write("1.txt", "P1 x", "P1 y", "!")
        bench.write("2.txt", "P1 y", "P1 z", "P2 q")
        bench.write("3.txt", "P2 q", "!")
        bench.run()
        # One identity loses its first row, so that others are numbered anew; one file changes, one goes.
        bench.write("1.txt", "P1 w", "!", "!")
        (bench.root / "3.txt").unlink()
    disturbed, undisturbed = benches
    replace, calls = Catalog.replace, iter(range(100))

    def interrupted(self: Catalog, *arguments: Any) -> bool:
        if next(calls) == step:
            raise KeyboardInterrupt
        return replace(self, *arguments)

    monkeypatch.setattr(Catalog, "replace", interrupted)
    if step < 4:
        with pytest.raises(KeyboardInterrupt):
            disturbed.run()
    monkeypatch.setattr(Catalog, "replace", replace)
    disturbed.run()
    undisturbed.run()
    assert disturbed.everything() == undisturbed.everything()


def test_a_table_that_something_else_has_changed_is_made_anew(bench: Bench) -> None:
    bench.write("a.txt", "P1 x")
    bench.write("b.txt", "P2 y")
    bench.run()
    before = bench.everything()
    bench.catalog.replace(EVENTS, bench.catalog.read(EVENTS).slice(1))
    assert bench.run("a.txt").files == 2
    assert bench.everything() == before


def test_two_stages_share_what_is_remembered(bench: Bench) -> None:
    bench.write("a.txt", "P1 x")
    bench.run()
    other = bench.catalog.read(SOURCES).to_pylist()[0] | {"table": "reports"}
    sources._remember(bench.catalog, EVENTS, [])
    assert bench.catalog.read(SOURCES).num_rows == 0
    bench.catalog.replace(SOURCES, sources.from_rows(SOURCES, [other]))
    bench.run()
    assert [row["table"] for row in bench.catalog.read(SOURCES).to_pylist()] == ["events", "reports"]


def test_pieces_are_gathered_as_arrow_would(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "ROWS_AT_ONCE", 3)
    bench.write("b.txt", *(f"P{number % 5} {number}" for number in range(20)))
    bench.write("a.txt", *(f"P{number % 7} {number}" for number in range(10, 30)))
    bench.run()
    bench.write("b.txt", *(f"P{number % 5} {number}" for number in reversed(range(25))))
    bench.run()
    rows = [row[1:] for row in bench.table()]
    assert sorted((name, int(number), patient) for patient, number, name, _ in rows) == sorted(
        {("a.txt", number, f"P{number % 7}") for number in range(10, 30)}
        | {("b.txt", number, f"P{number % 5}") for number in range(25) if number < 10 or number % 5 != number % 7}
    )
    assert [row[2:] for row in rows] == sorted(row[2:] for row in rows)


def test_only_configured_files_can_be_chosen(bench: Bench, tmp_path: Path) -> None:
    bench.write("a.txt", "P1 x")
    bench.write("b.txt", "P1 x")
    files = bench.files()
    (tmp_path / "link.txt").symlink_to("a.txt")
    assert choose(files, [], "event") == files
    assert choose(files, [tmp_path / "link.txt"], "event") == files[:1]
    with pytest.raises(UsageError, match=r"c\.txt belongs to no event source") as caught:
        choose(files, [tmp_path / "a.txt", tmp_path / "c.txt"], "event")
    assert "`events:`" in (caught.value.hint or "")


def test_a_file_that_vanishes_before_it_is_read(bench: Bench) -> None:
    bench.write("a.txt", "P1 x")
    missing = [SourceFile("NB01", bench.root / "gone.txt", "gone.txt", "r")]
    bench.files = lambda: missing  # type: ignore[method-assign]
    with pytest.raises(InputOutputError, match=r"gone\.txt cannot be read \(FileNotFoundError\)"):
        bench.run()


@pytest.mark.parametrize(
    ("one", "other"),
    [(["ab", "c"], ["a", "bc"]), ([None], ["-"]), ([""], []), (["1:a"], ["1", "a"]), (["-", None], [None, "-"])],
)
def test_no_two_sequences_are_framed_alike(one: list[str | None], other: list[str | None]) -> None:
    assert framed(one) != framed(other)


def test_texts_that_are_no_unicode_have_a_digest() -> None:
    assert digest(["\ud800"]) != digest(["\ud801"])
