"""Documents beside the data of a release: each is written from its description alone."""

from collections.abc import Iterator, Mapping

from pathcurate.metadata.contract import contract
from pathcurate.metadata.croissant import CROISSANT_PATH, croissant_document
from pathcurate.metadata.datasheet import datasheet
from pathcurate.metadata.dcat import dcat_document
from pathcurate.metadata.dictionary import dictionary
from pathcurate.metadata.dossier import dossier
from pathcurate.metadata.odrl import policy_document
from pathcurate.metadata.provenance import provenance_document
from pathcurate.metadata.rendered import Form, load_forms, rendered
from pathcurate.metadata.samples import samples
from pathcurate.metadata.scorecard import SCORECARD_PATH, scorecard
from pathcurate.model.description import Description

DCAT_PATH = "metadata/dcat.jsonld"
POLICY_PATH = "metadata/policy.odrl.jsonld"
PROVENANCE_PATH = "provenance/prov.jsonld"


def documents(description: Description, forms: Mapping[str, Form] | None = None) -> Iterator[tuple[str, str]]:
    """Every document that goes out with a release: its path below the release, and its text.

    The same description gives the same texts. A policy goes out only if a product file says one.

    Args:
        description: of the release.
        forms: in which the registration dossier is rendered, by name; the shipped ones if None.
    """
    yield CROISSANT_PATH, croissant_document(description, policy=POLICY_PATH)
    yield DCAT_PATH, dcat_document(description, provenance=PROVENANCE_PATH)
    if description.file is not None:
        yield POLICY_PATH, policy_document(description, description.file)
    yield PROVENANCE_PATH, provenance_document(description)
    yield "metadata/contract.odcs.yaml", contract(description)
    yield "metadata/dictionary.json", dictionary(description)
    yield "metadata/DATASHEET.zh.md", datasheet(description, "zh")
    yield "metadata/DATASHEET.en.md", datasheet(description, "en")
    yield SCORECARD_PATH, scorecard(description)
    yield "registration/cn-dossier.json", dossier(description)
    for name, form in (load_forms() if forms is None else forms).items():
        yield f"registration/rendered/{name}.json", rendered(description, form)
    yield from samples(description)
