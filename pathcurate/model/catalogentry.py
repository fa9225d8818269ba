"""A product version as the catalogue of a holder shows it to people who may want it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from pathcurate.model.productfile import Evidence, ProductFile

MOST_VERSION = 80
"""Characters of a version that can have a page of its own."""
_PRODUCT = re.compile(r"[a-z0-9_]{1,64}")
_VERSION = re.compile(r"[0-9A-Za-z.+-]+")


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    """A column of a table.

    Attributes:
        name: its name.
        type: of its values, as :class:`pathcurate.model.column.Type` calls it.
        unit: of its numbers (UCUM), None for what has none.
        label_zh: its name for Chinese readers.
        meaning: a sentence.
        meaning_zh: the same in Chinese.
        identifying: its class, as :class:`pathcurate.model.column.Identifying` calls it.
    """

    name: str
    type: str
    unit: str | None
    label_zh: str
    meaning: str
    meaning_zh: str
    identifying: str


@dataclass(frozen=True, slots=True)
class CatalogTable:
    """A table.

    Attributes:
        name: its name.
        label_zh: its name for Chinese readers.
        row: what one row stands for.
        row_zh: the same in Chinese.
        rows: how many there are.
        columns: in the order of its files; none where the release does not describe them.
    """

    name: str
    label_zh: str
    row: str
    row_zh: str
    rows: int
    columns: tuple[CatalogColumn, ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogCertificate:
    """A certificate of registration, as its authority's receipt says it.

    Attributes:
        authority: who gave it.
        number: its number.
        issued: when.
        valid_until: its last day, None if it does not end.
    """

    authority: str
    number: str
    issued: date | None = None
    valid_until: date | None = None


@dataclass(frozen=True, slots=True)
class CatalogVersion:
    """One version in the history of a product.

    Attributes:
        version: its number.
        state: where it is in its life, by name.
        state_zh: the same in Chinese.
        state_en: the same in English words.
        release_digest: of it, as ``sha256:`` and digits.
        published: day of publication, None where it is not known.
    """

    version: str
    state: str
    state_zh: str
    state_en: str
    release_digest: str
    published: date | None = None


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A version of a product.

    Attributes:
        product: name of the product.
        own: this version.
        title: without a product file, the recipe's.
        kind: see :data:`pathcurate.model.manifest.KINDS`.
        counts: slides, cases and patients.
        tables: that of the unit first.
        has_permissions: whether permission lists were asked before it was built.
        file: what people say of the product; None if nobody wrote that.
        evidence: what it rests on today, which may be newer than what the file says.
        level: of identifiability (GB/T 42460), 1 to 4; None where the release does not say it.
        k: persons in the smallest class; None likewise.
        certificate: of its registration; None if it has none.
        versions: history of the product, this version among them or not.
        apply: how one asks for it, as lines of text.

    Raises:
        ValueError: the product or its version is called what no release is called; files are named after them.
    """

    product: str
    own: CatalogVersion
    title: str
    kind: str
    counts: Mapping[str, int]
    tables: tuple[CatalogTable, ...]
    has_permissions: bool
    file: ProductFile | None
    evidence: Evidence = field(default_factory=Evidence)
    level: int | None = None
    k: int | None = None
    certificate: CatalogCertificate | None = None
    versions: tuple[CatalogVersion, ...] = ()
    apply: str = ""

    def __post_init__(self) -> None:
        if not _PRODUCT.fullmatch(self.product):
            raise ValueError("no product has such a name")
        if not _VERSION.fullmatch(self.version) or len(self.version) > MOST_VERSION:
            raise ValueError("no release has such a version")

    @property
    def version(self) -> str:
        """Its version."""
        return self.own.version

    def title_in(self, language: Literal["zh", "en"]) -> str:
        """Its title for readers of a language."""
        return (self.file.title.either(language) if self.file is not None else "") or self.title

    def keywords(self, language: Literal["zh", "en"]) -> tuple[str, ...]:
        """Its keywords in a language, none if they are in the other only."""
        return self.file.keywords.get(language, ()) if self.file is not None else ()

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values; what nobody said is null."""
        file, own = self.file, self.own
        said = file.model_dump(mode="json", include=_SAID) if file is not None else dict.fromkeys(sorted(_SAID))
        ethics, certificate = self.evidence.ethics, self.certificate
        return {
            "product": self.product, "version": self.version, "urn": f"urn:pathcurate:product:{self.product}:{self.version}",
            "state": {"id": own.state, "zh": own.state_zh, "en": own.state_en}, "release_digest": own.release_digest,
            "published": _day(own.published), "kind": self.kind, "counts": dict(self.counts),
            "title": {"zh": self.title_in("zh"), "en": self.title_in("en")},
            **said,
            "tables": [_table(table) for table in self.tables],
            "permissions_checked": self.has_permissions,
            "deid": {"gbt42460_level": self.level, "k_min": self.k},
            "ethics": {"number": ethics.number, "valid_until": _day(ethics.valid_until)} if ethics is not None else None,
            "certificate": {
                "authority": certificate.authority, "number": certificate.number, "issued": _day(certificate.issued),
                "valid_until": _day(certificate.valid_until),
            } if certificate is not None else None,
            "versions": [
                {"version": one.version, "state": one.state, "release_digest": one.release_digest,
                 "published": _day(one.published)}
                for one in self.versions
            ],
            "apply": self.apply or None,
        }  # fmt: skip


_SAID = {
    "description", "keywords", "scenarios", "limits", "limitations", "holder", "contact", "covers", "region", "industry",
    "updated", "price", "policy", "landing_page", "identifier", "security_level",
}  # fmt: skip
"""Of the product file, beside its title."""


def _day(day: date | None) -> str | None:
    return day.isoformat() if day is not None else None


def _table(table: CatalogTable) -> dict[str, Any]:
    columns = [
        {"name": column.name, "label_zh": column.label_zh, "type": column.type, "unit": column.unit,
         "meaning": column.meaning, "meaning_zh": column.meaning_zh, "identifying": column.identifying}
        for column in table.columns
    ]  # fmt: skip
    return {
        "name": table.name, "label_zh": table.label_zh, "row": table.row, "row_zh": table.row_zh, "rows": table.rows,
        "columns": columns,
    }  # fmt: skip
