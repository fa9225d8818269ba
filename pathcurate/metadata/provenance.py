"""Where a release comes from (``provenance/prov.jsonld``), as PROV-O: what was done, by which program and with what.

A release is the same bytes whenever it is built, so no activity says when it ran; the workspace's audit trail does.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from pathcurate.metadata.linkeddata import (
    Node,
    agent,
    checksum,
    file_of,
    graph,
    holder_iri,
    part_of,
    reference,
    said,
    spoken,
    titles,
    version_of,
)
from pathcurate.model.description import NAMESPACE, Description

RECIPE_LOCK = "provenance/recipe.lock.yaml"
ACTIVITIES: Mapping[str, Mapping[str, str]] = {
    "scan": {"en": "Slides were found and their headers read", "zh": "扫描切片并读取头信息"},
    "link": {"en": "Slides were linked to their reports", "zh": "切片与病理报告关联"},
    "deid": {"en": "Tables and texts were de-identified", "zh": "表与文本去标识化"},
    "cohort": {"en": "The recipe selected the cohort", "zh": "按配方入组筛选与划分"},
    "release": {"en": "The release was built", "zh": "生成发布版本"},
}
"""What was done, in this order."""


def activity_iri(description: Description, name: str) -> str:
    """Names one of :data:`ACTIVITIES`."""
    return part_of(description, "activity", name)


def input_iri(description: Description, name: str) -> str:
    """Names a table that the cohort was selected from."""
    return part_of(description, "input", name)


def provenance_document(description: Description) -> str:
    """The provenance as JSON-LD."""
    nodes = [
        _release(description), *_earlier(description), *_tables(description), *_activities(description),
        *_used(description), _tool(description),
    ]  # fmt: skip
    if description.file is not None and description.file.holder is not None:
        nodes.append(agent(description, description.file.holder))
    return graph(("dct", "foaf", "pcns", "prov", "rdfs", "spdx", "xsd"), nodes)


def _release(description: Description) -> Node:
    holder = holder_iri(description)
    return said({
        "@id": description.urn,
        "@type": ["prov:Entity", "prov:Collection"],
        "dct:title": spoken(titles(description)),
        "pcns:contentDigest": description.content_digest,
        "prov:wasGeneratedBy": reference(activity_iri(description, "release")),
        "prov:wasDerivedFrom": [reference(input_iri(description, name)) for name in sorted(description.inputs)],
        "prov:wasRevisionOf": reference(before) if (before := _before(description)) else None,
        "prov:wasAttributedTo": reference(holder) if holder else None,
        "prov:hadMember": [reference(_table(description, table.table.name)) for table in description.tables],
    })  # fmt: skip


def _before(description: Description) -> str | None:
    difference = description.difference
    return version_of(description, difference.before) if difference is not None else None


def _earlier(description: Description) -> Iterator[Node]:
    if before := _before(description):
        yield said({"@id": before, "@type": "prov:Entity", "pcns:releaseDigest": description.previous})


def _table(description: Description, name: str) -> str:
    return part_of(description, "table", name)


def _tables(description: Description) -> Iterator[Node]:
    """Every table and its files."""
    built = reference(activity_iri(description, "release"))
    for table in description.tables:
        files = [file_of(description, part.path) for part in table.parts]
        yield {
            "@id": _table(description, table.table.name),
            "@type": ["prov:Entity", "prov:Collection"],
            "dct:title": table.table.name,
            "pcns:tableDigest": table.digest,
            "prov:wasGeneratedBy": built,
            "prov:hadMember": [reference(file) for file in files],
        }
        for file, part in zip(files, table.parts, strict=True):
            yield {
                "@id": file,
                "@type": "prov:Entity",
                "dct:title": part.path,
                "spdx:checksum": checksum(part.sha256),
                "prov:wasGeneratedBy": built,
            }


def _activities(description: Description) -> Iterator[Node]:
    tool = reference(_tool_iri(description))
    inputs = [reference(input_iri(description, name)) for name in sorted(description.inputs)]
    recipe = reference(file_of(description, RECIPE_LOCK))
    used = {"deid": [reference(_profile_iri(description))], "cohort": [*inputs, recipe], "release": [*inputs, recipe]}
    earlier = None
    for name, words in ACTIVITIES.items():
        association: Node = {"@type": "prov:Association", "prov:agent": tool}
        if name in {"cohort", "release"}:
            association["prov:hadPlan"] = recipe
        yield said({
            "@id": activity_iri(description, name),
            "@type": "prov:Activity",
            "rdfs:label": spoken(words),
            "prov:used": used.get(name),
            "prov:wasInformedBy": earlier,
            "prov:wasAssociatedWith": tool,
            "prov:qualifiedAssociation": association,
        })  # fmt: skip
        earlier = reference(activity_iri(description, name))


def _used(description: Description) -> Iterator[Node]:
    """What the activities used: the de-identified tables, the profile they were made by, and the recipe."""
    for name, digest in sorted(description.inputs.items()):
        yield {
            "@id": input_iri(description, name),
            "@type": "prov:Entity",
            "dct:title": name,
            "pcns:digest": digest,
            "prov:wasGeneratedBy": reference(activity_iri(description, "deid")),
        }
    yield {
        "@id": _profile_iri(description),
        "@type": ["prov:Entity", "prov:Plan"],
        "dct:title": description.evaluation.profile,
        "pcns:digest": description.evaluation.profile_digest,
    }
    yield {
        "@id": file_of(description, RECIPE_LOCK),
        "@type": ["prov:Entity", "prov:Plan"],
        "dct:title": RECIPE_LOCK,
        "spdx:checksum": checksum(description.lock_sha256),
    }


def _profile_iri(description: Description) -> str:
    return part_of(description, "profile")


def _tool_iri(description: Description) -> str:
    return f"{NAMESPACE}program/{quote(description.tool, safe='')}"


def _tool(description: Description) -> Node:
    return {
        "@id": _tool_iri(description),
        "@type": ["prov:Agent", "prov:SoftwareAgent"],
        "rdfs:label": description.tool,
    }
