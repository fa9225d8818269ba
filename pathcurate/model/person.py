"""People: which patient numbers belong to one person (the ``persons`` and ``identities`` tables)."""

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.slide import SITE

BASES = ("site_number", "case", "id_number", "merge_list", "shared_number")
GROUP_BASES = ("id_number", "name_birth_date_sex", "phone_name", "shared_number", "merge_list")

PERSONS = Table(
    name="persons",
    row="one person",
    key=("person_id",),
    columns=(
        Column("person_id", Type.STRING, "Certain matches only; joins data.", Identifying.DIRECT, Action.PSEUDONYM,
               pseudonym="P", required=True),
        Column("group_id", Type.STRING, "Adds possible matches; guards splits, small cells and withdrawal.",
               Identifying.DIRECT, Action.PSEUDONYM, pseudonym="Q", required=True),
        Column("basis", Type.STRING, "What makes these numbers one person; a shared number is of two people.",
               values=BASES),
        Column("evidence", Type.INTEGER, "Reports that support it."),
        Column("group_basis", Type.STRINGS, "Why the group holds other persons too; missing if it does not.",
               values=GROUP_BASES),
    ),
)  # fmt: skip

IDENTITIES = Table(
    name="identities",
    row="one number of one person at one site",
    key=("site", "id_type", "id_value"),
    columns=(
        SITE,
        Column("issuer", Type.STRING, "Site that issued the number; missing for an identity card.", Identifying.DIRECT,
               Action.DROP),
        Column("id_type", Type.STRING, "Kind of number.", values=("patient_id", "accession", "id_number"),
               required=True),
        Column("id_value", Type.STRING, "The number.", Identifying.DIRECT, Action.DROP, required=True),
        Column("person_id", Type.STRING, "The person.", Identifying.DIRECT, Action.PSEUDONYM, pseudonym="P", required=True),
        Column("group_id", Type.STRING, "All persons who may be this one by their numbers alone; what their slides show is "
               "only in persons.", Identifying.DIRECT, Action.PSEUDONYM, pseudonym="Q"),
    ),
)  # fmt: skip

MERGES = Table(
    name="merges",
    row="one statement of a merge list: a number of a patient, and another number or a master number of the same person",
    key=("merge_id",),
    columns=(
        Column("merge_id", Type.STRING, "Identifier of the statement.", Identifying.DIRECT, Action.DROP, required=True),
        SITE,
        Column("patient_id", Type.STRING, "The number that stays.", Identifying.DIRECT, Action.DROP, required=True),
        Column("other_site", Type.STRING, "Site of the other number; missing for the same.", Identifying.QUASI,
               pattern=r"[A-Z][A-Z0-9_]{1,15}"),
        Column("other_patient_id", Type.STRING, "The number that was merged into it.", Identifying.DIRECT, Action.DROP),
        Column("master_id", Type.STRING, "Number of the person in a master patient index, shared by all of the person's "
               "numbers.", Identifying.DIRECT, Action.DROP),
        Column("merged_date", Type.TIMESTAMP, "When they were merged.", Identifying.QUASI, Action.DROP),
        Column("source_file", Type.STRING, "Name of the source.", Identifying.DIRECT, Action.DROP),
        Column("source_row", Type.INTEGER, "Row of the source, the head being row 1.", Identifying.QUASI, Action.DROP),
    ),
)  # fmt: skip
"""As HL7 v2 ADT^A40 has them, the number that stays (PID-3) and the prior one (MRG-1); or as a master patient index does."""
