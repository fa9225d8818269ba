"""Which commands show or use identified data, and what they show: the audit trail answers who looked at it."""

IDENTIFIED = {
    "find": "a case with its patients, reports and slides",
    "api table": "a table of the catalog, read from Python",
    "evaluate": "labels of a sealed evaluation, to score predictions",
    "product unseal": "labels of a sealed evaluation, opened for good",
    "product unseal --found": "labels of a sealed evaluation, compared with a file",
    "link review export": "labels and reports of slides, on a page to review",
    "deid review export": "reports, on a page to review",
    "labels review export": "reports, on a page to review",
    "cohort --sample": "pictures of slides, which may show writing",
    "findings list --identified": "paths of files",
    "materials pull": "cases whose glass was never scanned",
    "cohort": "true dates and ages, for criteria only",
    "request answered": "true dates and ages, for criteria only",
    "deid reidentify": "what stands behind codes",
    "deid reidentify refused": "nothing: one of the two may not",
    "forget --patient": "a patient's number, to erase what it names",
}
"""Action of the audit trail to the identified data that it showed or used."""
