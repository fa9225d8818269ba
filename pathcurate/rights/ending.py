"""What runs out: evidence of products, authorisations of sites, and what else has a last day."""

from collections.abc import Iterable, Iterator
from datetime import date

from pathcurate.model.productfile import Paper, ProductFile
from pathcurate.model.rights import Due, Ending, Standing

_WORDS = {
    "ethics": "ethics approval",
    "authorisation": "authorisation to operate public data",
    "certificate": "certificate of registration",
}


def due(
    products: Iterable[ProductFile], sites: Iterable[Standing], others: Iterable[Ending], *, today: date, within: int
) -> tuple[Due, ...]:
    """What has run out, or will in so many days: what ended first comes first.

    Args:
        products: whose evidence and terms of use are looked at.
        sites: whose authorisations are; those of withdrawn sites need not be renewed.
        others: what else ends, such as certificates in the registry and agreements.
        today: the day.
        within: days from today; what ends on the last of them counts.
    """
    found = [
        *(ending for product in products for ending in _endings(product)),
        *(
            Ending("authorisation of a site", one.holder or "", "site", one.site, one.valid_until)
            for one in sites
            if one.valid_until is not None and not one.is_withdrawn
        ),
        *others,
    ]
    dues = [
        Due(one.what, one.name, one.of, one.owner, one.until, (one.until - today).days)
        for one in dict.fromkeys(found)
        if (one.until - today).days <= within
    ]
    return tuple(sorted(dues, key=lambda one: (one.until, one.of, one.owner, one.what, one.name)))


def _endings(product: ProductFile) -> Iterator[Ending]:
    for field in type(product.evidence).model_fields:
        paper = getattr(product.evidence, field)
        if isinstance(paper, Paper) and paper.valid_until is not None:
            what = _WORDS.get(field, field.replace("_", " "))
            yield Ending(what, paper.number or paper.issued_by or "", "product", product.name, paper.valid_until)
    if product.policy.valid_until is not None:
        yield Ending("terms of use", "", "product", product.name, product.policy.valid_until)
