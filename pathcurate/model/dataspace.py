"""A release on offer in a data space: what a connector or a platform is told, and what it answered."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pathcurate.errors import InputOutputError

EDC_CONTEXT = "https://w3id.org/edc/connector/management/v2"
"""The one context of the management API v4 of Eclipse EDC."""
DSP_CONTEXT = "https://w3id.org/dspace/2025/1/context.jsonld"
"""Of the Dataspace Protocol 2025-1."""
ODRL_PROFILE_CONTEXT = "https://w3id.org/dspace/2025/1/odrl-profile.jsonld"


@dataclass(frozen=True, slots=True)
class Offering:
    """A release as a data space is told of it.

    Attributes:
        asset_id: names the version, such as ``urn:pathcurate:product:demo:1.2.0``; no two versions share one.
        product: name of the product.
        version: its version.
        release_digest: of the release; what is on offer is this and nothing else.
        content_digest: of its tables.
        title_zh: for people.
        title_en: in English.
        description_zh: a few sentences; empty if nobody wrote any.
        description_en: in English.
        kind: as ``MANIFEST.json`` says, such as ``manifest-only``.
        registration_numbers: of the authorities' certificates.
        counts: slides, cases, patients.
        size: bytes of the files that a delivery holds; None where that is not known.
        published: day of publication, ISO 8601.
        keywords: of the product file.
        holder: IRI or name of who offers.
        contact: whom to ask.
        policy: the release's own ODRL document (``metadata/policy.odrl.jsonld``), as JSON; its terms are what is offered.
        transfer: how a buyer comes by it, such as ``HttpData-PULL`` or ``tre-session``.
    """

    asset_id: str
    product: str
    version: str
    release_digest: str
    content_digest: str
    title_zh: str
    title_en: str
    description_zh: str
    description_en: str
    kind: str
    registration_numbers: tuple[str, ...]
    counts: Mapping[str, int]
    size: int | None
    published: str
    keywords: tuple[str, ...]
    holder: str
    contact: Mapping[str, str]
    policy: Mapping[str, Any]
    transfer: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """A release in a data space.

    Attributes:
        space: name of the space in ``pathcurate.yaml``.
        kind: ``edc`` or ``files``.
        release_digest: what is listed.
        refs: what it is called there: ``asset``, ``contract_policy``, ``contract_definition`` of a connector; ``entry`` of
            a platform.
        api: version of the connector's interface; empty for files.
        is_new: whether anything was made now.
    """

    space: str
    kind: str
    release_digest: str
    refs: Mapping[str, str] = field(default_factory=dict)
    api: str = ""
    is_new: bool = True

    def as_fact(self) -> dict[str, Any]:
        """What the registry keeps."""
        return {name: value for name, value in asdict(self).items() if name not in {"space", "is_new"}}

    @classmethod
    def of_fact(cls, space: str, fact: object) -> "Listing":
        """The listing from what the registry keeps.

        Args:
            space: name of the space.
            fact: what :meth:`as_fact` gave; whatever a changed registry holds.

        Raises:
            InputOutputError: it is not of that form.
        """
        parts = fact if isinstance(fact, Mapping) else {}
        kind, digest, api, refs = (parts.get(name) for name in ("kind", "release_digest", "api", "refs"))
        if not isinstance(refs, Mapping) or not all(isinstance(text, str) for text in (kind, digest, api, *refs.values())):
            raise InputOutputError(
                f"what the registry keeps of the space {space} is of another form", "`pathcurate product verify`."
            )
        return cls(
            space, str(kind), str(digest), {str(name): str(ref) for name, ref in refs.items()}, str(api), is_new=False
        )
