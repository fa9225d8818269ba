"""What a release says of itself, gathered from the cohort, its tables as they were written, and the product file."""

import heapq
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any

import pyarrow.compute as pc
from jsonschema import Draft202012Validator

from pathcurate import __version__
from pathcurate.goingback import LOCK, numbers
from pathcurate.manifest.contents import Built, ReleaseTable
from pathcurate.metadata.dictionary import chinese, chinese_table
from pathcurate.metadata.samples import drawn
from pathcurate.model.attrition import ShownAttrition
from pathcurate.model.description import DescribedColumn, DescribedTable, Description, PartFile
from pathcurate.model.diff import Difference
from pathcurate.model.labelreview import QUALITY_JSON_SCHEMA
from pathcurate.model.productfile import ProductFile
from pathcurate.pseudonyms import product
from pathcurate.recipefile import RecipeSource
from pathcurate.spreads import table_spreads
from pathcurate.sqlplan.outputs import output_sql
from pathcurate.tables import read_parquet, read_schema, read_snapshot
from pathcurate.workspace import Workspace

_FEWEST_SIZES = 20
"""Slides below which their bytes are not told together: the size of one matches an original file."""


@dataclass(frozen=True, slots=True)
class Said:
    """What others than the tables say of a release.

    Attributes:
        source: its recipe.
        lock: the resolved recipe as YAML.
        lock_sha256: of its bytes.
        cohort: the cohort's facts.
        file: the product file, None if there is none.
        product: the bytes that it was read from, likewise.
        labels: ``quality/labels.json``, None if nobody reviewed labels.
        earlier: versions that were built before.
    """

    source: RecipeSource
    lock: str
    lock_sha256: str
    cohort: Mapping[str, Any]
    file: ProductFile | None
    product: bytes | None
    labels: str | None
    earlier: tuple[str, ...]


def describe(
    workspace: Workspace,
    said: Said,
    built: Built,
    parts: Mapping[str, Sequence[PartFile]],
    manifest: Mapping[str, Any],
    difference: Difference | None,
    shown: Mapping[str, bytes],
) -> Description:
    """Gather what a release says of itself.

    Args:
        workspace: the workspace.
        said: what others than the tables say.
        built: its tables.
        parts: their files as they were written.
        manifest: ``MANIFEST.json``.
        difference: what changed since the version before.
        shown: pictures of slides, by code.
    """
    recipe, cohort, file = said.source.recipe, said.cohort, said.file
    title = file.title if file is not None else None
    return Description(
        product=recipe.name,
        version=recipe.version,
        title_zh=(title.either("zh") if title is not None else "") or recipe.title,
        title_en=(title.either("en") if title is not None else "") or recipe.title,
        file=file,
        published=date.fromisoformat(manifest["published"]),
        recipe=recipe,
        lock=said.lock,
        lock_sha256=said.lock_sha256,
        queries=queries(said, built),
        tables=tuple(_described(said, table, parts[name]) for name, table in built.tables.items()),
        counts=cohort["counts"],
        split=cohort["split"],
        size=_size(workspace, built),
        content_digest=manifest["content_digest"],
        inputs=manifest["inputs"],
        attrition=ShownAttrition.from_dict(cohort["attrition"]),
        evaluation=built.evaluation,
        standard=built.standard,
        purpose=recipe.purpose,
        has_permissions=cohort["has_permissions"],
        labels_quality=_label_quality(said.labels),
        difference=difference,
        previous=(manifest["previous"] or {}).get("release_digest"),
        earlier=said.earlier,
        tool=f"pathcurate {__version__}",
        thumbnails=shown,
    )


def thumbnails(
    said: Said, built: Built, key: bytes, pictures: Callable[[Sequence[str]], Mapping[str, bytes]]
) -> dict[str, bytes]:
    """Pictures of as many slides as the product file allows, by the product's codes: those with the least digests.

    Args:
        said: what is said of the release.
        built: its tables.
        key: the vault's.
        pictures: gives a picture of each slide that has one, by its code in ``deid/``.
    """
    sample = said.file.sample if said.file is not None else None
    if sample is None or not sample.thumbnails or "slide_id" not in built.released.column_names:
        return {}
    own: Any = pc.unique(built.released["slide_id"]).drop_null()
    codes: list[str] = product(key, said.source.recipe.name).codes.code_array("S", own).to_pylist()
    pairs = zip(codes, own.to_pylist(), strict=True)
    shown: dict[str, str] = dict(
        heapq.nsmallest(sample.thumbnails, pairs, key=lambda pair: sha256(pair[0].encode()).digest())
    )
    found = pictures(list(shown.values()))
    return {code: found[slide] for code, slide in shown.items() if slide in found}


def published(workspace: Workspace, cohort: Mapping[str, Any], file: ProductFile | None) -> date:
    """The day of publication: what the product file says, else the day of the newest state that the cohort was made of."""
    if file is not None and file.published is not None:
        return file.published
    days = []
    for name, number in numbers(cohort["states"]).items() if cohort["states"] else ():
        path = workspace.catalog / name / "_log" / f"{number:0>8}.json"
        if path.is_file():
            days.append(datetime.fromisoformat(read_snapshot(path).at).date())
    return max(days, default=datetime.fromisoformat(cohort[LOCK]["at"]).date())


def queries(said: Said, built: Built) -> dict[str, str]:
    """The SQL of each table that the cohort selected, with the meaning of its columns above it."""
    recipe = said.source.recipe
    found = {}
    for name, table in built.tables.items():
        if name == recipe.unit_table:
            sql = str(said.cohort["sql"])
        elif name in recipe.outputs:
            # Cohorts of before rights were asked about do not say it.
            is_asked = said.cohort.get("rights", {}).get("is_asked", False)
            sql = output_sql(recipe, name, with_permissions=said.cohort["has_permissions"] or is_asked)[0]
        else:
            continue
        words = [f"-- {name}: {table.table.row}", *(f"--   {one.name}: {one.meaning}" for one in table.table.columns)]
        found[name] = "\n".join([*words, sql.rstrip(), ""])
    return found


def _label_quality(written: str | None) -> Mapping[str, Any] | None:
    """What a review of labels found; None if there was none, or something else has written it, which `validate` tells."""
    try:
        content = json.loads(written) if written is not None else None
    except ValueError:
        return None
    return content if Draft202012Validator(QUALITY_JSON_SCHEMA).is_valid(content) else None


def _described(said: Said, built: ReleaseTable, parts: Sequence[PartFile]) -> DescribedTable:
    recipe, table = said.source.recipe, built.table
    spreads = table_spreads(table, built.data, recipe.disclosure.min_cell)
    columns = []
    for column in table.columns:
        label, meaning = chinese(table.name, column.name, recipe)
        spread = spreads[column.name]
        columns.append(DescribedColumn(column, label, meaning, spread.missing, spread.distinct, spread.spread))
    sample = said.file.sample if said.file is not None else None
    return DescribedTable(
        table, chinese_table(table.name)[1], built.data.num_rows, tuple(parts), built.identity["digest"], tuple(columns),
        drawn(table, built.data.to_batches(), sample.rows) if sample is not None else (),
    )  # fmt: skip


def _size(workspace: Workspace, built: Built) -> int | None:
    """Bytes of the slides' files, to three digits; None if they are few or nobody knows them."""
    path = workspace.criteria / "slides.parquet"
    if "slide_id" not in built.released.column_names or "size_bytes" not in read_schema(path).names:
        return None
    sizes = read_parquet(path, ("slide_id", "size_bytes"))
    mine: Any = sizes.filter(pc.is_in(sizes["slide_id"], built.released["slide_id"].combine_chunks()))["size_bytes"]
    if len(mine) < _FEWEST_SIZES or mine.null_count:
        return None
    return int(float(f"{pc.sum(mine).as_py():.3g}"))
