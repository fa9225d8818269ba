"""Texts of a release in a recipient's codes and days, made from the scrubbed texts that the release was rendered from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute

from pathcurate import placeholders
from pathcurate.model.text import TEXTS
from pathcurate.placeholders import Place, Rendered, Style
from pathcurate.pseudonyms import Layer, moved_between
from pathcurate.recoding.codes import CODE_FOUND
from pathcurate.tables import column_values, read_parquet
from pathcurate.workspace import Workspace

# pyarrow's stubs do not know what most functions return.
pc: Any = pyarrow.compute
Key = tuple[str | None, str]
"""Internal code of a report, and the column that held its text."""


@dataclass(frozen=True, slots=True, repr=False)
class Layers:
    """The layers between which a release is recoded."""

    inside: Layer
    product: Layer
    recipient: Layer


@dataclass(frozen=True, slots=True, repr=False)
class Retold:
    """One text in the recipient's codes.

    Attributes:
        text: the text.
        places: where what was put in stands in the product's text, and where in this one.
    """

    text: str
    places: tuple[Place, ...]


def retell(workspace: Workspace, keys: Sequence[Key], shown: Sequence[str], layers: Layers) -> dict[Key, Retold]:
    """The texts of a release, as the recipient gets them.

    Only a text that the product's codes and days give exactly as the release has it: any other was scrubbed anew since, by
    other rules or of another report, and nobody has looked at what the recipient would get.

    Args:
        workspace: whose scrubbed texts there are.
        keys: of the release's texts.
        shown: the release's texts.
        layers: the layers.
    """
    path = workspace.deid / "texts" / f"{TEXTS.name}.parquet"
    if not path.is_file():
        return {}
    source = read_parquet(path)
    reports = pa.array(sorted({report for report, _ in keys if report is not None}), pa.string())
    source = source.filter(pc.is_in(source["report_id"], value_set=reports))
    known = {(row["report_id"], row["text_column"]): row for row in source.to_pylist()}
    found: dict[Key, Retold] = {}
    for key, text in zip(keys, shown, strict=True):
        row = known.get((str(key[0]), key[1]))
        retold = _retold(row, text, layers) if row is not None else None
        if retold is not None:
            found[key] = retold
    return found


def _retold(row: Mapping[str, Any], shown: str, layers: Layers) -> Retold | None:
    # The release does not say how its profile showed names and days: its own text does.
    for names in ("tag", "surrogate"):
        for dates in ("shift", "drop"):
            before = placeholders.render(row["text"], _style(row, layers, layers.product, names, dates))
            if before.text == shown and not before.unknown:
                after = placeholders.render(row["text"], _style(row, layers, layers.recipient, names, dates))
                return None if _has_code(after) else Retold(after.text, _between(before, after))
    return None


def _style(row: Mapping[str, Any], layers: Layers, layer: Layer, names: str, dates: str) -> Style:
    move = moved_between(layers.inside, layer, row["patient_id"]) if dates == "shift" else None
    return placeholders.style(layer, move, names=names, language=row["language"] or "zh")


def _has_code(after: Rendered) -> bool:
    """Whether a code stands where no placeholder stood: nobody knows whose it is."""
    found = (match.span() for match in CODE_FOUND.finditer(after.text))
    return any(not any(place.out_start <= start and end <= place.out_end for place in after.places) for start, end in found)


def _between(before: Rendered, after: Rendered) -> tuple[Place, ...]:
    pairs = zip(before.places, after.places, strict=True)
    return tuple(Place(one.out_start, one.out_end, other.out_start, other.out_end) for one, other in pairs)


def moved_spans(keys: Sequence[Key], data: pa.Table, texts: Mapping[Key, Retold]) -> pa.Table:
    """Rows about places of texts, where these stand in the recipient's; all their texts are there."""
    spans = zip(keys, column_values(data, "start"), column_values(data, "end"), strict=True)
    moved = [placeholders.moved(start, end, texts[key].places) for key, start, end in spans]
    for number, name in enumerate(("start", "end")):
        index = data.schema.get_field_index(name)
        values = pa.array([pair[number] for pair in moved], data.schema.field(index).type)
        data = data.set_column(index, data.schema.field(index), values)
    return data
