"""What people decided about links, as it stands."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import pyarrow as pa

from pathcurate.model.link import LINK_DECISIONS
from pathcurate.reviews import Review
from pathcurate.tables import Catalog, from_rows

LINK_SHEETS: Final = Review("link-", "links", "link review export")
_ORDER: Final = ("decided_at", "decision_id")
_STANDING_COLUMNS: Final = LINK_DECISIONS.select(("slide_id", "site", "accession", "decision", "decided_at"))
_JUDGED_COLUMNS: Final = LINK_DECISIONS.select(
    ("slide_id", "site", "tier", "proposed_accession", "accession", "decision", "purpose", "rule_set_sha", "decided_at")
)

Row = Mapping[str, Any]


def standing_decisions(catalog: Catalog) -> pa.Table:
    """What linking has to obey: the cases that people confirmed or rejected, in the order of slide and time.

    At most one case of a slide is confirmed: the one that was confirmed last, unless somebody later rejected it, rejected
    every case, or was unsure. A case that was rejected stays rejected until it is confirmed later; so does every case
    (``reject`` without a number) until any is. Of decisions at the same moment the one with the greater identifier is later.

    Returns:
        ``slide_id``, ``site``, ``accession`` (missing with ``reject``: it belongs to no case), ``decision`` (``confirm`` or
        ``reject``) and ``decided_at``.
    """
    rows = sorted(_standing(_decisions(catalog)), key=lambda row: (row["slide_id"], *_when(row)))
    return from_rows(_STANDING_COLUMNS, rows)


def _standing(decisions: Iterable[Row]) -> list[Row]:
    """What stands of some decisions, given the earliest first."""
    standing: dict[tuple[str, str | None], Row] = {}
    confirmed: dict[str, Row] = {}
    for row in decisions:
        slide_id, accession = row["slide_id"], row["accession"]
        before = confirmed.get(slide_id)
        if row["decision"] == "confirm":
            confirmed[slide_id] = row
            standing.pop((slide_id, accession), None)
            standing.pop((slide_id, None), None)
        elif before is not None and (row["decision"] == "unsure" or accession in (None, before["accession"])):
            del confirmed[slide_id]
        if row["decision"] == "reject":
            standing[slide_id, accession] = row
    return [*confirmed.values(), *standing.values()]


def judged(catalog: Catalog) -> pa.Table:
    """The last answer to each question, for estimates: a question is one slide, purpose, tier and set of rules.

    A slide that was drawn as a sample and looked at again because it was uncertain keeps its answer as a sample: those that
    are looked at again are the wrong ones, and leaving them out would make every tier look better than it is. The sample of
    a tier is spread over sites in proportion to their links, so within a tier it needs no weights.

    Returns:
        Columns of ``link_decisions`` in the order of slide and time: ``slide_id``, ``site``, ``tier``,
        ``proposed_accession``, ``accession``, ``decision``, ``purpose``, ``rule_set_sha``, ``decided_at``.
    """
    question = ("slide_id", "purpose", "tier", "rule_set_sha")
    last = {tuple(row[name] for name in question): row for row in _decisions(catalog)}
    rows = sorted(last.values(), key=lambda row: (row["slide_id"], *_when(row)))
    return from_rows(_JUDGED_COLUMNS, rows)


def _decisions(catalog: Catalog) -> list[Row]:
    """All decisions, the earliest first."""
    return sorted(catalog.read(LINK_DECISIONS).to_pylist(), key=_when)


def _when(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in _ORDER)
