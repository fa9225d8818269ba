"""Releases on offer, for tests of what a data space is told."""

import json
from typing import Any

from pathcurate.metadata.odrl import policy_document
from pathcurate.model.dataspace import Offering
from pathcurate.model.description import Description
from tests.unit.descriptions import hostile_description, orthopaedic_description, slide_description

DIGEST = f"sha256:{'a1' * 32}"
OTHER_DIGEST = f"sha256:{'b2' * 32}"


def offering_of(description: Description, **changes: Any) -> Offering:
    """A described release as it would be on offer."""
    file = description.file
    assert file is not None
    parts: dict[str, Any] = {
        "asset_id": description.urn, "product": description.product, "version": description.version,
        "release_digest": DIGEST, "content_digest": description.content_digest, "title_zh": description.title_zh,
        "title_en": description.title_en, "description_zh": "切片与报告。", "description_en": "Slides and reports.",
        "kind": "manifest-only", "registration_numbers": ("示例数登〔2026〕1号",), "counts": dict(description.counts),
        "size": 1234, "published": str(description.published), "keywords": ("病理", "WSI"), "holder": "示例市病理诊断中心",
        "contact": {"name": "数据管理员", "email": "data-steward@pathology.example"},
        "policy": json.loads(policy_document(description, file)), "transfer": ("HttpData-PULL", "tre-session"),
    }  # fmt: skip
    return Offering(**{**parts, **changes})


def an_offering(**changes: Any) -> Offering:
    """Slides on offer."""
    return offering_of(slide_description(), **changes)


OFFERINGS = {
    "slides": an_offering(), "hips": offering_of(orthopaedic_description()), "hostile": offering_of(hostile_description()),
}  # fmt: skip
