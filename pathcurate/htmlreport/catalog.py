"""The catalogue of a holder: a folder of pages in English and Chinese that opens from a disk, and the same as JSON.

The search of ``index.html`` is its one script, which reads the page and nothing else; without it the page is a plain list.
The same entries give the same files, byte for byte.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from typing import Literal

from pathcurate.htmlreport.releasewords import CLASSES, LEVELS, MEASURES, TYPES, Fact, Words, product_facts, same, terms
from pathcurate.htmlreport.template import own_script, render
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.catalogentry import CatalogCertificate, CatalogEntry
from pathcurate.model.description import NAMESPACE
from pathcurate.model.productfile import Bilingual
from pathcurate.releases import version_key

CATALOG_SCHEMA = f"{NAMESPACE}schema/catalog/1"
INDEX_NAME = "index.html"
JSON_NAME = "catalog.json"
_MOST_ABOUT = 400
"""Characters of a description on the list; its page has all of them."""
_MOST_KEYWORDS = 12
"""Keywords of a product on the list in one language; its page has all of them."""
_MOST_CHOICES = 300
"""Keywords to choose from, the commonest; the others are found by the search box."""
_LEVELS_EN = {
    1: "it holds direct identifiers", 2: "quasi-identifiers only, and the risk is not below the threshold",
    3: "quasi-identifiers only, and the risk is below the threshold", 4: "no identifiers, aggregates only",
}  # fmt: skip
_LINK = re.compile(r"https?://[\x21-\x7e]+")
_COUNTS: Mapping[str, Words] = {
    "slides": Words("slides", "切片"), "cases": Words("cases", "病例"), "patients": Words("patients", "患者"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Product:
    """An entry as pages show it.

    Attributes:
        entry: the entry.
        page: its page, below the catalogue.
        title: of the product.
        about: the beginning of its description.
        keywords: in Chinese and in English, those that the list shows.
        holder: who holds it, None if nobody says.
        delivered: how a buyer meets the data.
        price: what it costs, None if nobody says.
    """

    entry: CatalogEntry
    page: str
    title: Words
    about: Words
    keywords: Mapping[Literal["zh", "en"], tuple[str, ...]]
    holder: Words | None
    delivered: Words | None
    price: Words | None

    @property
    def environment(self) -> str:
        """Code of how a buyer meets the data."""
        return self.entry.file.policy.environment if self.entry.file is not None else ""


@dataclass(frozen=True, slots=True)
class _Choice:
    """What a list may be narrowed to: the value that its entries have, what that is called, and how many have it."""

    value: str
    name: str
    count: int


def catalog_pages(entries: Iterable[CatalogEntry], title: str) -> Mapping[str, bytes]:
    """All files of a catalogue, by their path below its folder.

    Args:
        entries: what is on offer, in any order; several versions of a product may be.
        title: of the catalogue, such as the name of who holds it.

    Returns:
        ``index.html``, ``catalog.json`` and ``products/NAME-VERSION.html`` for each entry.

    Raises:
        ValueError: two entries are the same version of a product.
    """
    products = [_product(entry) for entry in sorted(entries, key=_newest_first)]
    pages: dict[str, dict[str, str]] = {product.entry.product: {} for product in products}
    for product in products:
        pages[product.entry.product][product.entry.version] = PurePosixPath(product.page).name
    if sum(map(len, pages.values())) != len(products):
        raise ValueError("two entries are the same version of a product")
    files = {INDEX_NAME: _index(products, title), JSON_NAME: _json(products, title)}
    for product in products:
        files[product.page] = _product_page(product, pages[product.entry.product], title)
    return {path: text.encode(errors="replace") for path, text in files.items()}


def _newest_first(entry: CatalogEntry) -> tuple[object, ...]:
    day = entry.own.published or date.min
    return -day.toordinal(), entry.product, version_key(entry.version), entry.version


def _product(entry: CatalogEntry) -> _Product:
    file = entry.file
    said = {fact.name.en: fact.value for fact in terms(file)} if file is not None else {}
    name = file.holder.name if file is not None and file.holder is not None else None
    return _Product(
        entry,
        f"products/{entry.product}-{entry.version}.html",
        Words(entry.title_in("en"), entry.title_in("zh")),
        _begin(file.description) if file is not None else same(""),
        {"zh": entry.keywords("zh")[:_MOST_KEYWORDS], "en": entry.keywords("en")[:_MOST_KEYWORDS]},
        Words(name.either("en"), name.either("zh")) if name is not None and (name.en or name.zh) else None,
        said.get("Delivered"),
        said.get("Price"),
    )


def _begin(text: Bilingual) -> Words:
    en, zh = (
        whole if len(whole) <= _MOST_ABOUT else f"{whole[:_MOST_ABOUT]}…" for whole in (text.either("en"), text.either("zh"))
    )
    return Words(en, zh)


# --- The list ----------------------------------------------------------------------------------------------------------


def _index(products: list[_Product], title: str) -> str:
    return render(
        "catalogindex.html.j2",
        title=title,
        has_permissions=True,  # each product says its own
        products=products,
        keywords={language: _keywords(products, language) for language in ("zh", "en")},
        diseases=_choices((code, code) for product in products for code in sorted(set(_diseases(product)))),
        holders=_choices((product.holder.zh, _both(product.holder)) for product in products if product.holder is not None),
        environments=_choices(
            (product.environment, _both(product.delivered)) for product in products if product.delivered is not None
        ),
        names=len({product.entry.product for product in products}),
        counts=_COUNTS,
        diseases_of=_diseases,
        json_name=JSON_NAME,
        **own_script("catalog.js"),
    )


def _diseases(product: _Product) -> tuple[str, ...]:
    return product.entry.file.policy.diseases if product.entry.file is not None else ()


def _keywords(products: list[_Product], language: Literal["zh", "en"]) -> list[_Choice]:
    named = ((word, word) for product in products for word in sorted(set(product.keywords[language])))
    return _choices(named)


def _choices(named: Iterable[tuple[str, str]]) -> list[_Choice]:
    """By name, after the commonest of them were chosen; what is called the same counts as one."""
    pairs = list(named)
    names = dict(reversed(pairs))
    common = sorted(Counter(value for value, _ in pairs).items(), key=lambda item: (-item[1], item[0]))[:_MOST_CHOICES]
    return sorted((_Choice(value, names[value], count) for value, count in common), key=lambda one: (one.name, one.value))


def _both(words: Words) -> str:
    return words.en if words.en == words.zh else f"{words.zh} · {words.en}"


# --- A product ---------------------------------------------------------------------------------------------------------


def _product_page(product: _Product, pages: Mapping[str, str], catalog: str) -> str:
    """The page of one version.

    Args:
        product: the version.
        pages: of the versions of the same product that have one: name of the file beside this one, by version.
        catalog: title of the catalogue.
    """
    entry, file = product.entry, product.entry.file
    page = file.landing_page if file is not None else None
    return render(
        "catalogproduct.html.j2",
        title=_both(product.title),
        catalog=catalog,
        has_permissions=entry.has_permissions,
        product=product,
        entry=entry,
        file=file,
        counts=_COUNTS,
        landing_page=page,
        is_link=page is not None and _LINK.fullmatch(page) is not None,
        about=[fact for fact in product_facts(file) if fact.name.en != "Page"] if file is not None else [],
        terms=list(terms(file)) if file is not None else [],
        evidence=list(_evidence(entry)),
        pages=pages,
        types=TYPES,
        classes=CLASSES,
        measures=MEASURES,
    )


def _evidence(entry: CatalogEntry) -> Iterator[Fact]:
    """What of the evidence is for everybody."""
    ethics = entry.evidence.ethics
    if ethics is not None:
        yield Fact(Words("Ethics approval", "伦理审查"), _dated(ethics.number, None, ethics.valid_until))
    if entry.level is not None:
        yield Fact(
            Words("Identifiability (GB/T 42460)", "可识别程度（GB/T 42460）"),
            Words(
                f"level {entry.level}: {_LEVELS_EN.get(entry.level, '')}", f"{entry.level} 级：{LEVELS.get(entry.level, '')}"
            ),
        )
    if entry.k is not None:
        yield Fact(
            Words("Smallest group of alike people", "最小等价类"),
            Words(
                f"k = {entry.k}, by the traits in the tables",
                f"k = {entry.k}：每种取值组合至少对应 {entry.k} 人",
            ),
        )
    if entry.certificate is not None:
        yield Fact(Words("Certificate of registration", "登记证书"), _certificate(entry.certificate))


def _certificate(certificate: CatalogCertificate) -> Words:
    return _dated(f"{certificate.number} · {certificate.authority}", certificate.issued, certificate.valid_until)


def _dated(what: str | None, issued: date | None, valid_until: date | None) -> Words:
    en = [what, f"of {issued}" if issued else None, f"valid until {valid_until}" if valid_until else None]
    zh = [what, f"日期 {issued}" if issued else None, f"有效期至 {valid_until}" if valid_until else None]
    return Words(" · ".join(part for part in en if part) or "–", " · ".join(part for part in zh if part) or "–")


def _json(products: list[_Product], title: str) -> str:
    return json_text(
        {
            "schema": CATALOG_SCHEMA,
            "title": title,
            "products": [{**product.entry.as_dict(), "page": product.page} for product in products],
        },
        sort_keys=False,
    )
