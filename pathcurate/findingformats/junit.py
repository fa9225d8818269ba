"""JUnit XML, as Jenkins and GitLab read it: a suite for each pack, a case for each rule or each place where it is broken.

What was not checked is an error, never a skipped case: these are shown as if they were fine. Skipped are findings that a
waiver covers, and those that are milder than ``--fail-on``.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from xml.etree import ElementTree as ET

from pathcurate.findingformats import Report, location, named, ordered
from pathcurate.model.validation import NOT_RUN, Breach, Outcome, Waiver
from pathcurate.model.validationrules import RULES

# XML 1.0, section 2.2; what stands outside cannot be written, not even as a reference.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_COUNTED = ("failure", "error", "skipped")


def junit(report: Report) -> str:
    """The result as test suites."""
    root = ET.Element("testsuites", {"name": "pathcurate"})
    outcomes = report.validation.outcomes(RULES.values())
    for pack, members in groupby(outcomes, key=lambda one: one.rule.pack):
        suite = ET.SubElement(root, "testsuite", {"name": pack})
        properties = ET.SubElement(suite, "properties")
        for name, value in (
            ("path", report.base),
            ("kind", report.validation.kind),
            *(report.validation.facts or {}).items(),
        ):
            ET.SubElement(properties, "property", {"name": name, "value": _clean(value)})
        for outcome in members:
            suite.extend(_cases(report, outcome))
        _count(suite, [suite])
    _count(root, list(root))
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _count(element: ET.Element, suites: list[ET.Element]) -> None:
    """The numbers that an element states of its cases."""
    cases = [case for suite in suites for case in suite.iter("testcase")]
    element.set("tests", str(len(cases)))
    for kind, name in zip(_COUNTED, ("failures", "errors", "skipped"), strict=True):
        element.set(name, str(sum(case.find(kind) is not None for case in cases)))


def _cases(report: Report, outcome: Outcome) -> Iterator[ET.Element]:
    name = f"{outcome.rule.id} {outcome.rule.what}"
    for breach in ordered(outcome.findings):
        yield _found(report, breach, name)
    for waived in outcome.waived:
        yield _waived(report, waived.breach, waived.waiver, name)
    if outcome.not_run is not None:
        case = _case(report.validation.kind, name)
        error = ET.SubElement(case, "error", {"type": NOT_RUN, "message": _clean(f"not run: {outcome.not_run}")})
        error.text = _clean(outcome.rule.fix)
        yield case
    elif outcome.is_passed:
        yield _case(report.validation.kind, name)


def _case(where: str, name: str) -> ET.Element:
    return ET.Element("testcase", {"classname": _clean(where), "name": _clean(name)})


def _place(report: Report, breach: Breach) -> str:
    return ".".join(part for part in (breach.table, breach.column) if part) or breach.file or report.validation.kind


def _found(report: Report, breach: Breach, name: str) -> ET.Element:
    case = _case(_place(report, breach), name)
    if not report.fails(breach):
        ET.SubElement(case, "skipped", {"message": _clean(f"{breach.severity}: {named(breach)}")})
        return case
    where = location(report, breach)
    failure = ET.SubElement(case, "failure", {"type": str(breach.severity), "message": _clean(named(breach))})
    line = "" if where.line is None else f":{where.line}"
    failure.text = _clean(f"{where.path}{line}\n{RULES[breach.rule].fix}")
    return case


def _waived(report: Report, breach: Breach, waiver: Waiver, name: str) -> ET.Element:
    case = _case(_place(report, breach), name)
    words = f"waived by {waiver.owner} until {waiver.until} ({waiver.reason}): {named(breach)}"
    ET.SubElement(case, "skipped", {"message": _clean(words)})
    return case


def _clean(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
