"""``pathcurate find``."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli.session import Session, common_options, counted

if TYPE_CHECKING:
    from pathcurate.find import CaseFacts, Found, SlideFacts

_MOST_BYTES = 4096


# What begins with a dash may be a number too, and click would quote it in its message about unknown options.
@click.command("find", context_settings={"ignore_unknown_options": True})
@click.argument("text", nargs=-1)
@click.option("--to-review", is_flag=True, help="Write a file below catalog/review/ instead of the terminal.")
@common_options
def command(session: Session, text: Sequence[str], *, to_review: bool) -> int:
    """Find a slide or case by any of its numbers.

    It shows where the slide or case stands: file, link, reports, cohorts, releases.

    TEXT is a slide, report, accession, patient or identity-card number, a barcode, a file name or a pseudonym. Give it as
    `-` for standard input or @FILE. What is shown identifies patients: it goes to a terminal or below catalog/review/ only,
    and the audit trail notes that you looked.

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
    found = find(workspace, _query(session, text), actor=session.actor)
    document = _printable(asdict(found))
    if not to_review:
        session.show(document, _lines(found))
    elif found.matched:
        content = json.dumps(document, ensure_ascii=False, indent=1) if session.as_json else "\n".join(_lines(found))
        path = write_review(workspace, content + "\n", ".json" if session.as_json else ".txt")
        counts = {"slides": len(found.slides), "cases": len(found.cases)}
        session.show({"review": str(path), **counts}, [str(path)])
    else:
        session.show({"review": None, "slides": 0, "cases": 0}, ["nothing here has that number"])
    return 0 if found.matched else 1


def _query(session: Session, text: Sequence[str]) -> str:
    """The one text that was given, wherever it stands; no message repeats it."""
    from pathcurate.errors import UsageError

    if len(text) != 1:
        raise UsageError(f"find looks for one text, and {len(text)} were given", "Put it into quotes if it has spaces.")
    (given,) = text
    if given == "-":
        query = _read(_standard_input, "standard input")
    elif given.startswith("@"):
        query = _read(lambda: _beginning(Path(given[1:])), "the file behind @")
    else:
        query = given.strip()
        session.say("a text in the command line is seen in the process list and the shell's history; - and @FILE are not")
    if not query or len(query.splitlines()) != 1:
        raise UsageError("find looks for one line of text", "Give a number, a code or a file name alone.")
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


def _printable(value: Any) -> Any:
    """The value without characters that would steer a terminal: a file's name may hold any."""
    if isinstance(value, str):
        return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in value)
    if isinstance(value, dict):
        return {key: _printable(item) for key, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, list | tuple) else value


def _lines(found: "Found") -> Iterator[str]:
    if not found.matched:
        yield "nothing here has that number"
        return
    slides, cases = counted(len(found.slides), "slide"), counted(len(found.cases), "case")
    yield f"{slides} and {cases} by {', '.join(found.matched)}"
    for slide in found.slides:
        yield from map(_printable, _slide_lines(slide))
    for case in found.cases:
        yield from map(_printable, _case_lines(case))


def _slide_lines(slide: "SlideFacts") -> Iterator[str]:
    yield f"slide {slide.slide_id}  {slide.status}"
    yield f"  file      {slide.site} {slide.archive}: {slide.path}"
    evidence = f" by {', '.join(slide.evidence)}" if slide.evidence else ""
    case = f" to case {slide.accession}, report {slide.report_id}" if slide.accession else ""
    yield f"  link      {slide.tier or 'not linked yet'}{evidence}{case} ({slide.rule or 'run `pathcurate link`'})"
    if slide.losing_candidates:
        yield f"  also      {', '.join(slide.losing_candidates)}"
    yield from _standing(slide)


def _case_lines(case: "CaseFacts") -> Iterator[str]:
    yield f"case {case.accession}  {case.site}"
    yield f"  patient   {', '.join(case.patient_ids) or 'without a number'}"
    yield f"  person    {case.person_id or 'not one person'}{f', group {case.group_id}' if case.group_id else ''}"
    yield from (f"  report    {report}" for report in case.reports)
    yield from (f"  slide     {slide_id}" for slide_id in case.slides)
    yield from _standing(case)


def _standing(facts: "SlideFacts | CaseFacts") -> Iterator[str]:
    yield from (
        f"  cohort    {name}: {'kept' if step == 'kept' else f'left at {step}'}" for name, step in facts.cohorts.items()
    )
    yield from (f"  release   {release}" for release in facts.releases)
