"""Links from slides to reports, each with its evidence (the ``links`` table)."""

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.slide import SITE

TIERS = (
    "exact",
    "barcode",
    "metadata",
    "index",
    "file_name",
    "patient_date",
    "probable",
    "reviewed",
    "conflict",
    "none",
)
"""How sure a link is. ``exact``: two independent sources name the same case. ``conflict``: they name different ones."""
LINKED_TIERS = tuple(tier for tier in TIERS if tier not in {"conflict", "none"})

LINKS = Table(
    name="links",
    row="one slide and the case it was linked to, or why not",
    key=("slide_id",),
    columns=(
        Column("slide_id", Type.STRING, "The slide.", Identifying.DIRECT, Action.PSEUDONYM, pseudonym="S", required=True),
        SITE,
        Column("accession", Type.STRING, "Accession number of the case.", Identifying.DIRECT, Action.DROP),
        Column("report_id", Type.STRING, "The case's current primary report, else its latest.", Identifying.DIRECT,
               Action.PSEUDONYM, pseudonym="R"),
        Column("tier", Type.STRING, "How sure the link is.", values=TIERS, required=True),
        Column("confidence", Type.FLOAT, "Share of the sources read that name the linked case, 0 to 1."),
        Column("evidence", Type.STRINGS, "Sources that name the linked case.",
               values=("barcode", "label", "metadata", "file_name", "folder")),
        Column("rule", Type.STRING, "Rule that decided.", pattern=r"[a-z_]+"),
        Column("rule_set_sha", Type.STRING, "Digest of the site's patterns and the rules.", pattern=r"sha256:[0-9a-f]{64}"),
        Column("losing_candidates", Type.STRINGS, "Other accession numbers that were named, with their source.",
               Identifying.DIRECT, Action.DROP),
    ),
)  # fmt: skip
