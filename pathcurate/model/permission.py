"""Permissions: on which legal basis whose data may be used for what (the ``permissions`` table)."""

from pathcurate.model.column import Action, Column, Identifying, Table, Type

SUBJECTS = ("person", "case", "site", "population")
BASES = ("consent", "waiver", "population_approval")

PERMISSIONS = Table(
    name="permissions",
    row="one statement about one subject; an opt-out always wins",
    key=("source", "source_row"),
    columns=(
        Column("subject", Type.STRING, "What kind of subject the statement is about.", values=SUBJECTS, required=True),
        Column("site", Type.STRING, "Site of the subject; missing for the whole population.", Identifying.QUASI,
               pattern=r"[A-Z][A-Z0-9_]{1,15}"),
        Column("subject_value", Type.STRING, "Patient number or accession number.", Identifying.DIRECT, Action.DROP),
        Column("basis", Type.STRING, "Legal basis.", values=BASES),
        Column("purposes", Type.STRINGS, "Purposes it covers.", pattern=r"[a-z_]{1,40}"),
        Column("data_kinds", Type.STRINGS, "Tables it covers.", values=("slides", "reports", "events", "series")),
        Column("valid_from", Type.DATE, "First day.", Identifying.CRITERION_ONLY, Action.CRITERION),
        Column("valid_to", Type.DATE, "Last day.", Identifying.CRITERION_ONLY, Action.CRITERION),
        Column("document_sha256", Type.STRING, "Digest of the signed document.", Identifying.DIRECT, Action.DROP),
        Column("opt_out", Type.BOOLEAN, "Whether the subject has withdrawn or refused.", required=True),
        Column("source", Type.STRING, "List it came from.", Identifying.DIRECT, Action.DROP, required=True),
        Column("source_row", Type.INTEGER, "Row of the list, the head being row 1.", Identifying.QUASI, Action.DROP,
               required=True),
    ),
)  # fmt: skip
