"""What people were asked about links (the ``link_questions`` table), so that an answer can be told from an invention."""

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.link import PURPOSES, TIERS
from pathcurate.model.slide import SITE

LINK_QUESTIONS = Table(
    name="link_questions",
    row="one slide of one exported review sheet; kept when the sheet's folder has expired",
    key=("sheet", "slide_id"),
    columns=(
        Column("sheet", Type.STRING, "The exported review.", Identifying.DIRECT, Action.DROP, required=True),
        Column("slide_id", Type.STRING, "The slide that was shown.", Identifying.DIRECT, Action.DROP, required=True),
        SITE,
        Column("accession", Type.STRING, "The case that the rules had linked it to; missing for none.", Identifying.DIRECT,
               Action.DROP),
        Column("report_id", Type.STRING, "The report that was shown.", Identifying.DIRECT, Action.DROP),
        Column("tier", Type.STRING, "Tier of the link.", values=TIERS, required=True),
        Column("rule_set_sha", Type.STRING, "Digest of the rules that had made it.", pattern=r"sha256:[0-9a-f]{64}"),
        Column("purpose", Type.STRING, "Why it was shown: uncertain, or drawn as a sample of its tier.", values=PURPOSES,
               required=True),
        Column("asked_at", Type.TIMESTAMP, "When the sheet was exported, UTC.", Identifying.QUASI, Action.DROP,
               required=True),
    ),
)  # fmt: skip
