"""``pathcurate find``."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli.purpose import purpose_option
from pathcurate.cli.session import Session, common_options, counted

if TYPE_CHECKING:
    from pathcurate.find.facts import BlockFacts, CaseFacts, Found, PersonFacts, SeriesFacts, SlideFacts

_MOST_BYTES = 4096


# What begins with a dash may be a number too, and click would quote it in its message about unknown options.
@click.command("find", context_settings={"ignore_unknown_options": True})
@click.argument("text", nargs=-1)
@click.option("--to-review", is_flag=True, help="Write a file below catalog/review/ instead of the terminal.")
@purpose_option
@common_options
def command(session: Session, text: Sequence[str], *, to_review: bool, purpose: str | None) -> int:
    """Find a case, slide or series by any of its numbers.

    It shows the whole case: person, reports, specimens, blocks, glass, slides and why they are linked to it, series,
    cohorts, releases. A number that several sites have gives a case at each of them.

    TEXT is a slide, report, accession, patient or identity-card number, the number of a glass or of a series, a barcode, a
    file name or a pseudonym. Give it as `-` for standard input or @FILE. What is shown identifies patients: it goes to a
    terminal or below catalog/review/ only, and the audit trail notes that you looked.

    \b
    Example:
      pathcurate find S22-00093 --to-review
    """
    from pathcurate.errors import DisclosureRefusedError
    from pathcurate.find import find, write_review

    if not to_review and not sys.stdout.isatty():
        raise DisclosureRefusedError(
            "what `find` shows identifies patients, and standard output is not a terminal",
            "Give --to-review to write it to a file below catalog/review/.",
        )
    workspace = session.workspace()
    found = find(workspace, number_asked_for(session, text), actor=session.actor, purpose=purpose)
    document = printable(asdict(found))
    if not to_review:
        session.show(document, _lines(found))
    elif found.matched:
        content = json.dumps(document, ensure_ascii=False, indent=1) if session.as_json else "\n".join(_lines(found))
        path = write_review(workspace, content + "\n", ".json" if session.as_json else ".txt")
        counts = {"slides": len(found.slides), "cases": len(found.cases), "series": len(found.series)}
        session.show({"review": str(path), **counts}, [str(path)])
    else:
        session.show({"review": None, "slides": 0, "cases": 0, "series": 0}, ["nothing here has that number"])
    return 0 if found.matched else 1


def number_asked_for(session: Session, text: Sequence[str]) -> str:
    """The one text that was given, wherever it stands; no message repeats it."""
    from pathcurate.errors import UsageError
    from pathcurate.storage import path_text

    if len(text) != 1:
        raise UsageError(f"one text is looked for, and {len(text)} were given", "Put it into quotes if it has spaces.")
    (given,) = text
    if given == "-":
        query = _read(_standard_input, "standard input")
    elif given.startswith("@"):
        query = _read(lambda: _beginning(Path(given[1:])), "the file behind @")
    else:
        # What is no UTF-8 is in the archive's other encoding, as the name of a file may be.
        query = path_text(os.fsencode(given)).strip()
        session.say("a text in the command line is seen in the process list and the shell's history; - and @FILE are not")
    if not query or len(query.splitlines()) != 1:
        raise UsageError("one line of text is looked for", "Give a number, a code or a file name alone.")
    return query


def _standard_input() -> bytes:
    return sys.stdin.buffer.read(_MOST_BYTES)


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES)


def _read(read: Callable[[], bytes], where: str) -> str:
    from pathcurate.errors import InputOutputError

    try:
        # A file that Windows wrote may begin with a byte order mark.
        return read().decode("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputOutputError(f"{where} cannot be read ({type(error).__name__})", "Give one line of UTF-8 text.") from None


def printable(value: Any) -> Any:
    """The value without characters that would steer a terminal: a file's name may hold any."""
    if isinstance(value, str):
        return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in value)
    if isinstance(value, dict):
        return {key: printable(item) for key, item in value.items()}
    return [printable(item) for item in value] if isinstance(value, list | tuple) else value


def _lines(found: "Found") -> Iterator[str]:
    if not found.matched:
        yield "nothing here has that number"
        return
    counts = [counted(len(found.cases), "case"), counted(len(found.slides), "slide")]
    if found.series:
        counts.append(counted(len(found.series), "series", "series"))
    yield f"{', '.join(counts)} by {', '.join(found.matched)}"
    slides = {slide.slide_id: slide for slide in found.slides}
    series = {one.series_id: one for one in found.series}
    shown: set[str] = set()
    for case in found.cases:
        yield ""
        yield from map(printable, _case_lines(case, slides, series))
        shown.update(case.unlinked, case.series, *(block.slides for block in case.blocks))
    for slide in found.slides:
        if slide.slide_id not in shown:
            yield ""
            yield from map(printable, _slide_lines(slide))
    for one in found.series:
        if one.series_id not in shown:
            yield ""
            yield from map(printable, _series_lines(one))


def _case_lines(case: "CaseFacts", slides: "Mapping[str, SlideFacts]", series: "Mapping[str, SeriesFacts]") -> Iterator[str]:
    yield f"case {case.accession}  {case.site}"
    yield f"  patient   {', '.join(case.patient_ids) or 'without a number'}"
    yield f"  person    {_person(case.person)}"
    if case.person and case.person.numbers:
        yield f"  numbers   {'; '.join(case.person.numbers)}"
    for report in case.reports:
        facts = (report.report_id, report.report_type, report.status, "" if report.is_current else "not current",
                 report.reported, report.organ)  # fmt: skip
        yield f"  report    {'  '.join(filter(None, facts))}"
        if report.diagnosis:
            yield f"            {report.diagnosis}"
    if not case.reports:
        yield "  report    none: no report has this number"
    for block in case.blocks:
        yield from _indented(_block_lines(block, slides))
    for slide_id in case.unlinked:
        yield "  bears this number and is not linked to it"
        yield from _indented(_indented(_slide_lines(slides[slide_id])))
    for series_id in case.series:
        yield from _indented(_series_lines(series[series_id]))
    yield from _standing(case)


def _person(person: "PersonFacts | None") -> str:
    if person is None:
        return "not one person, or not linked yet"
    why = f" ({_words(person.basis)})" if person.basis else ""
    group = f", group {person.group_id}" if person.group_id else ""
    others = f" with others ({', '.join(map(_words, person.group_basis))})" if person.group_basis else ""
    return f"{person.person_id}{why}{group}{others}"


def _block_lines(block: "BlockFacts", slides: "Mapping[str, SlideFacts]") -> Iterator[str]:
    name = f"{block.specimen or ''}{block.block or ''}"
    kind = "block" if block.block else "specimen"
    yield f"{kind} {name or 'not known'}  by {', '.join(block.named_by)}"
    if block.diagnoses:
        yield f"  found     {'; '.join(block.diagnoses)}"
    for glass in block.glass:
        state = f"scanned as {glass.slide_id}" if glass.slide_id else "not scanned"
        yield f"  glass     {'  '.join(filter(None, (glass.glass_id or glass.material_id, glass.stain)))}  {state}"
    for slide_id in block.slides:
        yield from _indented(_slide_lines(slides[slide_id]))


def _slide_lines(slide: "SlideFacts") -> Iterator[str]:
    facts = (f"slide {slide.slide_id}", slide.stain, slide.status, "<- this one" if slide.is_meant else "")
    yield "  ".join(filter(None, facts))
    yield f"  file      {slide.site} {slide.archive}: {slide.path}"
    yield f"  link      {_link(slide)}"
    if slide.remarks:
        yield f"  evidence  {', '.join(slide.remarks)}"
    if slide.losing_candidates:
        yield f"  also      {', '.join(slide.losing_candidates)}"
    yield from (f"  decided   {decision}" for decision in slide.decisions)
    if slide.annotations:
        yield f"  drawn     {counted(slide.annotations, 'shape')}"
    yield from _standing(slide)


def _series_lines(series: "SeriesFacts") -> Iterator[str]:
    images = counted(series.instance_count, "instance") if series.instance_count is not None else ""
    facts = (f"series {series.series_id}", series.modality, series.body_part, series.day, images, series.status)
    yield "  ".join(filter(None, facts))
    yield f"  file      {series.site} {series.archive}: {series.path}"
    yield f"  link      {_link(series)}"


def _link(linked: "SlideFacts | SeriesFacts") -> str:
    if linked.tier is None:
        return "not linked yet (run `pathcurate link`)"
    evidence = f" by {', '.join(linked.evidence)}" if linked.evidence else ""
    to = f" to case {linked.accession}" if linked.accession else ""
    return f"{linked.tier}{evidence}{to} ({_words(linked.rule)})"


def _words(code: str | None) -> str:
    return (code or "no rule").replace("_", " ")


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _standing(facts: "SlideFacts | CaseFacts") -> Iterator[str]:
    yield from (
        f"  cohort    {name}: {'kept' if step == 'kept' else f'left at {step}'}" for name, step in facts.cohorts.items()
    )
    yield from (f"  release   {release}" for release in facts.releases)
