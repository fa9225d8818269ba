"""What a release says of itself, gathered once: every document beside the data and its page are written from this alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pathcurate.model.attrition import ShownAttrition
from pathcurate.model.column import Column, Table
from pathcurate.model.diff import Difference
from pathcurate.model.evaluation import Evaluation, Standard
from pathcurate.model.productfile import ProductFile
from pathcurate.model.recipe import Recipe

URN = "urn:pathcurate:product"
NAMESPACE = "https://pathcurate.example/"
"""Begins the IRIs of what pathcurate itself declares (schemas, terms of policies)."""


@dataclass(frozen=True, slots=True)
class PartFile:
    """One Parquet file of a table.

    Attributes:
        path: below the release.
        rows: in it.
        size: in bytes.
        sha256: of its bytes, as ``sha256:`` and digits.
    """

    path: str
    rows: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Spread:
    """How the values of a column are spread over its rows, as anybody may see it.

    Attributes:
        counts: value, as text, to rows: of closed sets by the size of the count, of numbers and years as ranges in order.
            A count below the smallest cell that may be shown is None; where only one would be, a second one is too.
        others: rows of values that are not listed, because they are many or may not be named; None if that is not shown.
    """

    counts: Mapping[str, int | None]
    others: int | None = 0


@dataclass(frozen=True, slots=True)
class DescribedColumn:
    """A column of a released table.

    Attributes:
        column: its declaration.
        label_zh: its name for Chinese readers.
        meaning_zh: its meaning, a sentence.
        missing: rows without a value.
        distinct: different values; None where nobody counts them (dates, codes of persons, texts).
        spread: see :class:`Spread`; None likewise.
    """

    column: Column
    label_zh: str
    meaning_zh: str
    missing: int
    distinct: int | None = None
    spread: Spread | None = None


@dataclass(frozen=True, slots=True)
class DescribedTable:
    """A table of a release.

    Attributes:
        table: its declaration.
        row_zh: what one row stands for, in Chinese.
        rows: how many there are.
        parts: its files, in the order of its rows.
        digest: of its rows, whatever files hold them.
        columns: in the order of the files.
        sample: example rows as plain JSON values, none unless the product file allows them.
    """

    table: Table
    row_zh: str
    rows: int
    parts: tuple[PartFile, ...]
    digest: str
    columns: tuple[DescribedColumn, ...]
    sample: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """A release.

    Attributes:
        product: name of the product.
        version: its version.
        title_zh: the product file's title, else the recipe's.
        title_en: likewise in English.
        file: what people say of the product; None if nobody wrote that.
        published: day of publication: the product file's, else that of the newest input. A release knows no other clock.
        recipe: the recipe.
        lock: the resolved recipe as YAML.
        lock_sha256: of these bytes.
        queries: SQL by table.
        tables: that of the unit first.
        counts: slides, cases, patients.
        split: units on each side, empty without a split.
        size: bytes of the slide files behind it; None where it is not known.
        content_digest: of the tables. The release digest cannot be here: the documents are among the files that it covers.
        inputs: name of each input to its digest.
        attrition: of its cohort, as the reader may see it.
        evaluation: what the release tells about people.
        standard: by which that is judged.
        purpose: that permissions were checked for.
        has_permissions: whether any permission list was configured.
        labels_quality: how often its labels are wrong, as ``quality/labels.json`` says it; None if nobody reviewed them.
        difference: what changed since the version before; None for the first.
        previous: that version's release digest.
        earlier: versions of the product that were built before, the oldest first.
        tool: name and version of the program.
        thumbnails: small pictures that the page shows, as JPEG or PNG, by code of the slide; never labels.
    """

    product: str
    version: str
    title_zh: str
    title_en: str
    file: ProductFile | None
    published: date
    recipe: Recipe
    lock: str
    lock_sha256: str
    queries: Mapping[str, str]
    tables: tuple[DescribedTable, ...]
    counts: Mapping[str, int]
    split: Mapping[str, int]
    size: int | None
    content_digest: str
    inputs: Mapping[str, str]
    attrition: ShownAttrition
    evaluation: Evaluation
    standard: Standard
    purpose: str
    has_permissions: bool
    labels_quality: Mapping[str, Any] | None
    difference: Difference | None
    previous: str | None
    earlier: tuple[str, ...]
    tool: str
    thumbnails: Mapping[str, bytes]

    @property
    def urn(self) -> str:
        """Names this version."""
        return f"{URN}:{self.product}:{self.version}"

    @property
    def product_urn(self) -> str:
        """Names the product, whatever its version."""
        return f"{URN}:{self.product}"

    @property
    def covers(self) -> tuple[int, int] | None:
        """First and last year of what it holds, as the product file says; None if nobody does."""
        years = self.file.covers if self.file is not None else None
        return (years.first, years.last) if years is not None else None

    @property
    def unit_table(self) -> DescribedTable:
        """The table whose rows are the cohort's units."""
        return self.tables[0]
