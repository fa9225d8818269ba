"""A case as linking sees it: what its reports and its glass say that a slide of it must agree with (the ``cases`` table)."""

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.slide import SITE

FAULTS = ("case_two_patients", "number_two_people")


def _direct(name: str, meaning: str, type_: Type = Type.STRING, *, required: bool = False) -> Column:
    return Column(name, type_, meaning, Identifying.DIRECT, Action.DROP, required=required)


def _said(name: str, meaning: str) -> Column:
    return Column(name, Type.STRINGS, meaning, Identifying.SENSITIVE, Action.DROP)


CASES = Table(
    name="cases",
    row="one accession number of one site that the reports know, in the order of site and number",
    key=("site", "accession"),
    columns=(
        SITE,
        _direct("accession", "Normalised accession number.", required=True),
        _direct("person_id", "Whose case it is; missing if that is not one person."),
        _direct("group_id", "All persons who may be this one by their numbers alone."),
        Column("fault", Type.STRING, "Why it is nobody's.", values=FAULTS, action=Action.DROP),
        _direct("report_id", "The report that stands for the case.", required=True),
        _direct("frozen_id", "Its report of frozen sections."),
        _direct("cytology_id", "Its report of smears."),
        Column("received_date", Type.TIMESTAMP, "When its first specimen was received.", Identifying.QUASI, Action.DROP),
        _said("organs", "Organs that its reports name."),
        _said("stains", "Immunostains that its reports name, as the vocabulary of stains has them."),
        _said("blocks", "Blocks that its reports name, as A1."),
        _said("glass_stains", "Stains of its glass, as the laboratory system's table has them."),
        _said("glass_blocks", "Blocks of that table, as A1."),
        _direct("patients", "Numbers of its person at this site, in the form in which they compare.", Type.STRINGS),
    ),
)  # fmt: skip
