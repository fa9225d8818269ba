"""People: which patient numbers belong to one person (the ``persons`` and ``identities`` tables)."""

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.slide import SITE

BASES = ("site_number", "case", "id_number", "shared_number")
GROUP_BASES = ("id_number", "name_birth_date_sex", "phone_name", "shared_number")

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
    ),
)  # fmt: skip
