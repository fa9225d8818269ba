"""GitHub Actions: workflow commands that become annotations, and the summary of a step in Markdown."""

import re
from collections import Counter
from collections.abc import Iterator

from pathcurate.findingformats import Report, location, named, ordered
from pathcurate.model.finding import Severity
from pathcurate.model.validation import Breach
from pathcurate.model.validationrules import RULES

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
MOST_ANNOTATIONS = 10
"""Of each kind and step; GitHub drops further ones without a word."""
_MOST_ROWS = 200
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>~@:])")


def annotations(report: Report) -> str:
    """Workflow commands, the gravest findings first; the last of them says how many others there are."""
    left: Counter[Severity] = Counter()
    lines = []
    for breach in ordered(report.validation.findings):
        left[breach.severity] += 1
        if left[breach.severity] > MOST_ANNOTATIONS - (breach.severity is Severity.INFO):
            continue
        where = location(report, breach)
        properties = {"file": where.path, "line": where.line, "col": where.column, "title": breach.rule}
        shown = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items() if value is not None)
        lines.append(f"::{_COMMANDS[breach.severity]} {shown}::{_text(_with_advice(breach))}")
    dropped = sum(left.values()) - len(lines)
    if dropped:
        lines.append(f"::notice title=pathcurate::{dropped} more findings are not shown here")
    return "".join(f"{line}\n" for line in lines)


def _with_advice(breach: Breach) -> str:
    said = named(breach)
    return f"{said}{'' if said.endswith(('.', '?')) else '.'} {RULES[breach.rule].fix}"


def _text(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _text(value).replace(":", "%3A").replace(",", "%2C")


def summary(report: Report) -> str:
    """The summary of a step: what was checked, and a table of what was found."""
    validation = report.validation
    facts = ", ".join(f"{name} {_plain(value)}" for name, value in (validation.facts or {}).items())
    counts = Counter(one.severity for one in validation.findings)
    found = (
        ", ".join(f"{counts[severity]} {severity}" for severity in reversed(Severity) if counts[severity]) or "no finding"
    )
    parts = [f"{len(validation.checks)} rules", found]
    parts += [f"{len(validation.waived)} waived"] if validation.waived else []
    parts += [f"{len(validation.not_run)} rules not run"] if validation.not_run else []
    head = [f"### pathcurate validate {_plain(report.base)}", "", f"{validation.kind}: {', '.join(parts)}", facts, ""]
    return "\n".join([*head, *_table(report)]) + "\n"


def _table(report: Report) -> Iterator[str]:
    found = ordered(report.validation.findings)
    if found or report.validation.waived:
        yield "| severity | rule | where | what |"
        yield "| --- | --- | --- | --- |"
    for breach in found[:_MOST_ROWS]:
        where = location(report, breach)
        place = where.path if where.line is None else f"{where.path}:{where.line}"
        yield f"| {breach.severity} | {breach.rule} | {_plain(place)} | {_plain(named(breach))} |"
    for one in report.validation.waived[:_MOST_ROWS]:
        words = f"{named(one.breach)} ({one.waiver.owner}, until {one.waiver.until})"
        yield f"| waived | {one.breach.rule} | | {_plain(words)} |"
    if len(found) > _MOST_ROWS:
        yield f"\n{len(found) - _MOST_ROWS} more findings are not shown here."


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))
