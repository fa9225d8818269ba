"""SARIF 2.1.0 (OASIS, 27 March 2020): read by GitHub code scanning and by editors."""

from collections.abc import Iterable
from typing import Any

from pathcurate.findingformats import Report, fingerprints, json_text, location, named, ordered
from pathcurate.model.finding import Severity
from pathcurate.model.validation import Breach, Rule, Waiver
from pathcurate.model.validationrules import RULES

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(report: Report) -> str:
    """The result as one run. A finding that is waived is there, suppressed; a rule that was not checked is notified too."""
    validation = report.validation
    found = ordered(validation.findings)
    waivers = {id(one.breach): one.waiver for one in validation.waived}
    every = [*found, *(one.breach for one in validation.waived)]
    used = [rule for rule in RULES.values() if rule.id in {*validation.checks, *(one.rule for one in every)}]
    places = {rule.id: place for place, rule in enumerate(used)}
    marks = zip(every, fingerprints(every), strict=True)
    run: dict[str, Any] = {
        "tool": {"driver": {
            "name": "pathcurate", "version": report.version, "semanticVersion": report.version,
            "rules": [_rule(rule) for rule in used],
        }},
        "columnKind": "unicodeCodePoints",
        "invocations": [{
            "executionSuccessful": True, "toolConfigurationNotifications": list(_notified(validation.not_run.items())),
        }],
        "results": [_result(report, one, places[one.rule], mark, waivers.get(id(one))) for one, mark in marks],
        "properties": dict(validation.facts or {}),
    }  # fmt: skip
    return json_text({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.what},
        "help": {"text": rule.fix},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": [rule.pack, *rule.standards]},
    }


def _notified(not_run: Iterable[tuple[str, str]]) -> Iterable[dict[str, Any]]:
    for rule, why in not_run:
        yield {"level": "warning", "message": {"text": f"{rule} was not run: {why}"}, "associatedRule": {"id": rule}}


def _result(report: Report, breach: Breach, place: int, mark: str, waiver: Waiver | None) -> dict[str, Any]:
    where = location(report, breach)
    physical: dict[str, Any] = {"artifactLocation": {"uri": where.uri}}
    if where.line is not None:
        physical["region"] = {"startLine": where.line, "startColumn": where.column or 1}
    spot: dict[str, Any] = {"physicalLocation": physical}
    if breach.table is not None:
        kind = "member" if breach.column else "object"
        name = "/".join(part for part in (breach.table, breach.column) if part)
        spot["logicalLocations"] = [{"name": breach.column or breach.table, "fullyQualifiedName": name, "kind": kind}]
    result = {
        "ruleId": breach.rule,
        "ruleIndex": place,
        "level": _LEVELS[breach.severity],
        "message": {"text": named(breach)},
        "locations": [spot],
        "partialFingerprints": {"pathcurate/v1": mark},
        "properties": _measured(breach),
    }
    if waiver is not None:
        words = f"{waiver.owner}, until {waiver.until}: {waiver.reason}"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": words}]
    return result


def _measured(breach: Breach) -> dict[str, str | int]:
    parts = {"count": breach.count, "of": breach.of, "measured": breach.measured, "threshold": breach.threshold}
    return {name: value for name, value in parts.items() if value is not None}
