"""What reviewers said of whole texts (the ``text_reviews`` table), and how good scrubbing is by a random sample of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.linkquality import wilson_interval
from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.model.slide import SITE

PURPOSES = ("withheld", "sample", "suspicious", "rare")
"""Why a text is shown: it is left out because it may still identify somebody; it was drawn at random of the others;
something in it looks suspicious; a rule that seldom finds anything took something out of it. Only the sample may be used
for estimates."""

TEXT_REVIEWS = Table(
    name="text_reviews",
    row="what a reviewer said last about one text as it was scrubbed for one sheet",
    key=("sheet", "report_id", "text_column", "reviewer"),
    columns=(
        Column("sheet", Type.STRING, "The exported review.", Identifying.DIRECT, Action.DROP, required=True),
        Column("report_id", Type.STRING, "The report.", Identifying.DIRECT, Action.DROP, required=True),
        Column("text_column", Type.STRING, "Column of `reports` that held the text.", values=TEXT_COLUMNS, required=True),
        SITE,
        Column("purpose", Type.STRING, "Why it was shown.", values=PURPOSES, required=True),
        Column("is_missed", Type.BOOLEAN, "Whether something that identifies was left in it.", required=True),
        Column("is_wrong", Type.BOOLEAN, "Whether something was taken out of it that identifies nobody.", required=True),
        Column("removed_sha", Type.STRING, "Digest of the places that had been taken out of it.",
               pattern="sha256:[0-9a-f]{64}"),
        Column("version", Type.STRING, "Version of pathcurate that had scrubbed it.", pattern=r"[0-9A-Za-z.+]{1,32}",
               required=True),
        Column("reviewer", Type.STRING, "Who said so.", Identifying.DIRECT, Action.DROP, required=True),
        Column("reviewed_at", Type.TIMESTAMP, "When, in UTC.", Identifying.QUASI, Action.DROP, required=True),
    ),
)  # fmt: skip


def missed_texts(reviews: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], str | None]:
    """Texts in which something that identifies was left, as the last review of each has it.

    Args:
        reviews: rows of ``text_reviews``, with report_id, text_column, is_missed, removed_sha and reviewed_at.

    Returns:
        Report and column to the digest of the places that had been taken out then: a text of which other places are taken
        out now is another text. None for a review that did not keep it.
    """
    last = {(row["report_id"], row["text_column"]): row for row in sorted(reviews, key=lambda row: row["reviewed_at"])}
    return {text: row["removed_sha"] for text, row in last.items() if row["is_missed"]}


@dataclass(frozen=True, slots=True)
class Share:
    """A share of the texts of a sample.

    Attributes:
        texts: those it holds for.
        reviewed: the sample.
        low: lower end of the 95 % score interval (Wilson 1927).
        high: its upper end.
    """

    texts: int
    reviewed: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TextQuality:
    """How good scrubbing is, counted in whole texts: one name left in a text makes it count as missed.

    Attributes:
        complete: texts in which nothing was missed (recall).
        careful: texts in which nothing was taken out wrongly (precision).
    """

    complete: Share
    careful: Share


def text_quality(reviews: Iterable[Mapping[str, Any]], version: str) -> TextQuality | None:
    """What reviews of random samples say of a version; None if there are none.

    Decisions that were taken because of them are not in it yet: what was missed then may be found now.

    Args:
        reviews: rows of ``text_reviews``. Of one text the last counts.
        version: of pathcurate.
    """
    sample = [row for row in reviews if row["purpose"] == "sample" and row["version"] == version]
    last = {(row["report_id"], row["text_column"]): row for row in sorted(sample, key=lambda row: row["reviewed_at"])}
    if not last:
        return None

    def share(flag: str) -> Share:
        good = sum(not row[flag] for row in last.values())
        return Share(good, len(last), *wilson_interval(good, len(last)))

    return TextQuality(share("is_missed"), share("is_wrong"))
