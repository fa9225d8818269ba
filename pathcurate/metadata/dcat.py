"""The catalogue entry of a release (``metadata/dcat.jsonld``): DCAT-3, with the core of HealthDCAT-AP and of DPV.

HealthDCAT-AP still moves; only what its releases agree on stands here. Controlled values are those of the EU Vocabularies.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from pathcurate.diff.notes import version_notes
from pathcurate.metadata.linkeddata import (
    Node,
    agent,
    checksum,
    file_of,
    graph,
    holder_iri,
    literal,
    part_of,
    reference,
    said,
    spoken,
    titles,
    version_of,
)
from pathcurate.metadata.odrl import offer_iri
from pathcurate.model.description import DescribedTable, Description, PartFile
from pathcurate.model.productfile import Contact, ProductFile

_EU = "http://publications.europa.eu/resource/authority"
_ACCESS: Mapping[str, str] = {
    "public": "PUBLIC", "agreement": "RESTRICTED", "enclave": "NON_PUBLIC", "internal": "NON_PUBLIC",
}  # fmt: skip
"""Who may have it, by how the de-identification's profile lets it be shared."""
_FREQUENCY: Mapping[str, str] = {
    "once": "NEVER", "daily": "DAILY", "weekly": "WEEKLY", "monthly": "MONTHLY", "quarterly": "QUARTERLY",
    "yearly": "ANNUAL", "irregular": "IRREG",
}  # fmt: skip
_PURPOSES: Mapping[str, str] = {"research": "dpv:ResearchAndDevelopment"}
_LEGAL_BASES: Mapping[str, str] = {"知情同意": "dpv:Consent", "informed consent": "dpv:Consent", "consent": "dpv:Consent"}
"""What a word is in the Data Privacy Vocabulary, where it has one for it."""
_CODING: Mapping[str, str] = {"icd10": "https://www.wikidata.org/entity/Q45127"}
"""Columns whose values are codes of a system, by Wikidata's name of the system."""
PARQUET = "https://www.iana.org/assignments/media-types/application/vnd.apache.parquet"


def dcat_document(description: Description, *, provenance: str) -> str:
    """The catalogue entry as JSON-LD.

    Args:
        description: the release.
        provenance: path of the provenance below the release.
    """
    nodes = [_product(description), _version(description, provenance)]
    nodes += [_distribution(description, table, part) for table in description.tables for part in table.parts]
    if description.file is not None and description.file.holder is not None:
        nodes.append(agent(description, description.file.holder))
    prefixes = (
        "adms", "dcat", "dct", "dpv", "foaf", "healthdcatap", "odrl", "pcns", "prov", "rdfs", "skos", "spdx", "vcard", "xsd",
    )  # fmt: skip
    return graph(prefixes, nodes)


def _product(description: Description) -> Node:
    """The product, whatever its version."""
    versions = [*description.earlier, description.version]
    return {
        "@id": description.product_urn,
        "@type": "dcat:Dataset",
        "dct:identifier": description.product_urn,
        "dct:title": spoken(titles(description)),
        "dcat:hasVersion": [reference(version_of(description, version)) for version in versions],
        "dcat:hasCurrentVersion": reference(description.urn),
    }


def _version(description: Description, provenance: str) -> Node:
    holder = holder_iri(description)
    by = reference(holder) if holder else None
    node: Node = {
        "@id": description.urn,
        "@type": "dcat:Dataset",
        "dct:identifier": description.urn,
        "dct:title": spoken(titles(description)),
        "dct:issued": literal(description.published, "date"),
        "dcat:version": description.version,
        "dcat:isVersionOf": reference(description.product_urn),
        "dct:publisher": by,
        "dct:creator": by,
        "dct:accessRights": reference(f"{_EU}/access-right/{_ACCESS[description.evaluation.sharing]}"),
        "dcat:theme": reference(f"{_EU}/data-theme/HEAL"),
        "dct:temporal": _years(description),
        "dct:provenance": reference(file_of(description, provenance)),
        "dpv:hasPurpose": _known("Purpose", description.purpose, _PURPOSES),
        "healthdcatap:numberOfRecords": literal(description.unit_table.rows, "nonNegativeInteger"),
        "healthdcatap:numberOfUniqueIndividuals": literal(description.counts["patients"], "nonNegativeInteger"),
        "healthdcatap:hasCodingSystem": [reference(system) for system in _coding_systems(description)],
        "pcns:contentDigest": description.content_digest,
        **_since(description),
        **(_said_by(description.file, description) if description.file is not None else {}),
        "dcat:distribution": [
            reference(file_of(description, part.path)) for table in description.tables for part in table.parts
        ],
    }
    return said(node)


def _since(description: Description) -> Node:
    """The version before, and what changed."""
    difference = description.difference
    if difference is None:
        return {}
    return {
        "dcat:previousVersion": reference(version_of(description, difference.before)),
        "adms:versionNotes": spoken(version_notes(difference)),
    }


def _said_by(file: ProductFile, description: Description) -> Node:
    """What only people can say."""
    keywords = [word for language, words in file.keywords.items() for told in words for word in spoken({language: told})]
    return {
        "dct:description": spoken(file.description),
        "dcat:keyword": keywords,
        "dcat:landingPage": reference(file.landing_page) if file.landing_page else None,
        "dcat:contactPoint": _contact(file.contact) if file.contact else None,
        "dct:accrualPeriodicity": reference(f"{_EU}/frequency/{_FREQUENCY[file.updated]}") if file.updated else None,
        "dct:spatial": {"@type": "dct:Location", "skos:prefLabel": file.region} if file.region else None,
        "adms:identifier": {"@type": "adms:Identifier", "skos:notation": file.identifier} if file.identifier else None,
        "odrl:hasPolicy": reference(offer_iri(description)),
        "dpv:hasLegalBasis": [_known("LegalBasis", words, _LEGAL_BASES) for words in file.evidence.legal_basis],
        "healthdcatap:retentionPeriod": (
            {"@type": "dct:PeriodOfTime", "dcat:endDate": literal(file.retention_until, "date")}
            if file.retention_until else None
        ),
        "rdfs:comment": [*spoken(file.limits), *spoken(file.limitations)],
    }  # fmt: skip


def _contact(contact: Contact) -> Node:
    return said({
        "@type": "vcard:Kind",
        "vcard:fn": contact.name,
        "vcard:hasEmail": reference(f"mailto:{_address(contact.email)}") if contact.email else None,
        "vcard:hasTelephone": {"@type": "vcard:Voice", "vcard:value": contact.phone} if contact.phone else None,
        "vcard:hasURL": reference(contact.url) if contact.url else None,
    })  # fmt: skip


def _address(email: str) -> str:
    return quote(email, safe="@+")


def _years(description: Description) -> Node | None:
    if description.covers is None:
        return None
    first, last = (literal(f"{year:04d}", "gYear") for year in description.covers)
    return {"@type": "dct:PeriodOfTime", "dcat:startDate": first, "dcat:endDate": last}


def _known(kind: str, words: str, known: Mapping[str, str]) -> Node:
    """The vocabulary's own word for something, else the words themselves."""
    found = known.get(words.lower())
    return reference(found) if found else {"@type": f"dpv:{kind}", "dct:title": words}


def _coding_systems(description: Description) -> Iterator[str]:
    names = {column.column.name for table in description.tables for column in table.columns}
    return (system for name, system in _CODING.items() if name in names)


def _distribution(description: Description, table: DescribedTable, part: PartFile) -> Node:
    """One file: a table is as many distributions as it has files."""
    row = {"zh": table.row_zh, "en": table.table.row}
    return said({
        "@id": file_of(description, part.path),
        "@type": "dcat:Distribution",
        "dct:title": part.path,
        "dct:description": spoken(row),
        "dct:isPartOf": reference(part_of(description, "table", table.table.name)),
        "dcat:mediaType": reference(PARQUET),
        "dcat:byteSize": literal(part.size, "nonNegativeInteger"),
        "spdx:checksum": checksum(part.sha256),
    })  # fmt: skip
