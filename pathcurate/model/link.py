"""Links from slides and series to cases and reports, each with its evidence, and what people decided about them."""

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.slide import KEY_SOURCES, SITE

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
"""How a link came about. ``exact``: two independent sources name the same case. ``barcode`` to ``file_name``: one does.
``patient_date``: the patient's number, and only one case of that patient at the time. ``probable``: kept for a statistical
match; no rule gives it. ``reviewed``: a person decided. ``conflict``: sources name different cases, or something speaks
against the case; ``none``: nothing names a case that the reports have. Slides of these two are linked to nothing."""
LINKED_TIERS = tuple(tier for tier in TIERS if tier not in {"conflict", "none"})
EVIDENCE = (*KEY_SOURCES, "patient_date", "review")


def _flag(name: str, meaning: str) -> Column:
    return Column(name, Type.BOOLEAN, meaning)


LINKS = Table(
    name="links",
    row="one slide or series and the case it was linked to, or why not",
    key=("slide_id", "series_id"),
    version=2,
    columns=(
        Column("slide_id", Type.STRING, "The slide; missing for a series.", Identifying.DIRECT, Action.PSEUDONYM,
               pseudonym="S"),
        Column("series_id", Type.STRING, "The series; missing for a slide.", Identifying.DIRECT, Action.PSEUDONYM,
               pseudonym="I"),
        SITE,
        Column("accession", Type.STRING, "Accession number of the case.", Identifying.DIRECT, Action.DROP),
        Column("report_id", Type.STRING, "The report of the case that is about this slide: for a frozen section or a smear "
               "that of its kind, else the one that stands for the case.", Identifying.DIRECT, Action.PSEUDONYM,
               pseudonym="R"),
        Column("person_id", Type.STRING, "Whose it is, as far as that is known; also of a series without a case.",
               Identifying.DIRECT, Action.PSEUDONYM, pseudonym="P"),
        Column("material_id", Type.STRING, "The glass that it shows, where the laboratory system's table tells.",
               Identifying.DIRECT, Action.PSEUDONYM, pseudonym="M"),
        Column("specimen", Type.STRING, "Specimen (part) letter, by the glass or the best source.", pattern=r"[A-Z]"),
        Column("block", Type.STRING, "Block number within the specimen, by the glass or the best source.",
               pattern=r"\d{1,3}"),
        Column("stain", Type.STRING, "Stain, by the glass or the slide's own names.", vocabulary="stains"),
        Column("tier", Type.STRING, "How the link came about.", values=TIERS, required=True),
        Column("confidence", Type.FLOAT, "Share of the sources read that name the linked case, 0 to 1."),
        Column("evidence", Type.STRINGS, "Sources that name the linked case, best first.", values=EVIDENCE),
        _flag("patient_agrees", "Whether a patient's number of the slide is one of the case's person."),
        Column("lag_days", Type.INTEGER, "Days from receipt of the specimen to the scan; negative if scanned before.",
               Identifying.QUASI, Action.DROP, unit="d"),
        _flag("scanned_after_receipt", "Whether the slide was not scanned before its specimen was received."),
        _flag("organ_agrees", "Whether the organ that the slide's names speak of is that of the case."),
        _flag("stain_plausible", "Whether the case is known to have this stain: in the report's immunostains, or as glass."),
        _flag("block_named", "Whether the report's text, or the laboratory system's table, names the block."),
        Column("rule", Type.STRING, "Rule that decided.", pattern=r"[a-z_]+"),
        Column("rule_set_sha", Type.STRING, "Digest of the site's patterns and the rules.", pattern=r"sha256:[0-9a-f]{64}"),
        Column("losing_candidates", Type.STRINGS, "Other numbers that were named, each with where it stood, and what spoke "
               "against it.", Identifying.DIRECT, Action.DROP),
    ),
)  # fmt: skip

DECISIONS = ("confirm", "reject", "unsure")
PURPOSES = ("uncertain", "sample")

LINK_DECISIONS = Table(
    name="link_decisions",
    row="one decision of a person about one slide and one case; later ones win, none is ever removed",
    key=("decision_id",),
    columns=(
        Column("decision_id", Type.STRING, "Identifier of the decision.", Identifying.DIRECT, Action.DROP, required=True),
        Column("slide_id", Type.STRING, "The slide.", Identifying.DIRECT, Action.DROP, required=True),
        SITE,
        Column("accession", Type.STRING, "The case that was confirmed or rejected; missing with reject for no case at all.",
               Identifying.DIRECT, Action.DROP),
        Column("proposed_accession", Type.STRING, "The case that the rules had linked to when the question was put.",
               Identifying.DIRECT, Action.DROP),
        Column("report_id", Type.STRING, "The report that was shown.", Identifying.DIRECT, Action.DROP),
        Column("tier", Type.STRING, "Tier of the link that was judged.", values=TIERS),
        Column("rule_set_sha", Type.STRING, "Digest of the rules that had made it.", pattern=r"sha256:[0-9a-f]{64}"),
        Column("decision", Type.STRING, "What the reviewer decided.", values=DECISIONS, required=True),
        Column("purpose", Type.STRING, "Why the slide was shown: uncertain, or drawn as a sample of its tier.",
               values=PURPOSES),
        Column("reviewer", Type.STRING, "Who decided.", Identifying.DIRECT, Action.DROP),
        Column("comment", Type.STRING, "What the reviewer remarked.", Identifying.DIRECT, Action.DROP),
        Column("decided_at", Type.TIMESTAMP, "When it was imported, UTC.", Identifying.QUASI, Action.DROP, required=True),
        Column("sheet", Type.STRING, "The exported review that it answers.", Identifying.DIRECT, Action.DROP),
    ),
)  # fmt: skip
