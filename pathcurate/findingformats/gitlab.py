"""GitLab Code Quality: the form that the merge request widget reads (https://docs.gitlab.com/ci/testing/code_quality/)."""

from pathcurate.findingformats import Report, fingerprints, json_text, location, named, ordered
from pathcurate.model.finding import Severity

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "major", Severity.INFO: "info"}


def gitlab(report: Report) -> str:
    """The findings; what is waived is not among them, for the form has no word for it."""
    found = ordered(report.validation.findings)
    issues = []
    for breach, mark in zip(found, fingerprints(found), strict=True):
        where = location(report, breach)
        issues.append({
            "description": named(breach),
            "check_name": breach.rule,
            "fingerprint": mark,
            "severity": _SEVERITIES[breach.severity],
            "location": {"path": where.path.removeprefix("./"), "lines": {"begin": where.line or 1}},
        })  # fmt: skip
    return json_text(issues)
