"""What a data space is told of a release."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pathcurate.errors import PlanIncompleteError
from pathcurate.metadata.agreement import POLICY_PATH
from pathcurate.model.dataspace import Offering
from pathcurate.model.product import Entry
from pathcurate.model.productfile import PRODUCT_FILE, Environment, ProductFile
from pathcurate.productfile import load_product_file
from pathcurate.releases import Release

_TRANSFER: Mapping[Environment, tuple[str, ...]] = {
    "file": ("HttpData-PULL",), "api": ("HttpData-PULL",), "tre": ("tre-session",), "sealed": ("sealed-evaluation",),
}  # fmt: skip
"""How a buyer comes by the data, by the environment that its policy asks for."""


def offering_of(release: Release, entry: Entry, transfer: Sequence[str] = ()) -> Offering:
    """A release as a data space is told of it: all of it is the release's own, but for its registration.

    Args:
        release: whole.
        entry: as it stands in the registry.
        transfer: how a buyer comes by the data; empty for what the release's policy means.

    Raises:
        PlanIncompleteError: the release says nothing of itself, or of what it may be used for.
    """
    said, policy = release.directory / PRODUCT_FILE, release.directory / POLICY_PATH
    if not said.is_file() or not policy.is_file() or "urn" not in release.manifest:
        raise PlanIncompleteError(
            f"{entry.id} says nothing of what it may be used for, so nobody can be offered it",
            f"Write products/{release.name}.yaml, raise the version and offer that one.",
        )
    file, held = load_product_file(said), entry.facts.get("certificate")
    document = json.loads(policy.read_bytes())
    return Offering(
        asset_id=str(release.manifest["urn"]),
        product=release.name,
        version=release.version,
        release_digest=release.digest,
        content_digest=str(release.manifest["content_digest"]),
        title_zh=file.title.zh or str(release.manifest["title"]),
        title_en=file.title.en or "",
        description_zh=file.description.zh or "",
        description_en=file.description.en or "",
        kind=str(release.manifest["kind"]),
        registration_numbers=(str(held["number"]),) if held is not None else (),
        counts=dict(release.manifest["counts"]),
        size=None if release.manifest["counts"].get("slides") else _size(release),
        published=str(release.manifest.get("published", "")),
        keywords=tuple(dict.fromkeys(word for language in ("zh", "en") for word in file.keywords.get(language, ()))),
        holder=_holder(document, file),
        contact=file.contact.model_dump(exclude_none=True) if file.contact is not None else {},
        policy=document,
        transfer=tuple(transfer) or _TRANSFER[file.policy.environment],
    )


def _size(release: Release) -> int | None:
    sizes = [part.size for table in release.tables for part in release.parts(table)]
    return None if any(size < 0 for size in sizes) else sum(sizes)


def _holder(policy: Mapping[str, Any], file: ProductFile) -> str:
    """The name that the policy has for who offers, else that of the organisation."""
    nodes = policy.get("@graph", ())
    named = [node["odrl:assigner"]["@id"] for node in nodes if isinstance(node, dict) and "odrl:assigner" in node]
    return str(named[0]) if named else file.holder.name.either("zh") if file.holder is not None else ""
