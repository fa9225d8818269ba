"""PC-META: whether the documents beside the data say what the manifest says. A buyer's tool reads these and nothing else."""

import re
from collections.abc import Iterator
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import unquote

from pathcurate.errors import PathcurateError
from pathcurate.model.diff import Bump, least_version, version_step
from pathcurate.model.manifest import MANIFEST_NAME
from pathcurate.model.validation import Breach, Unchecked
from pathcurate.releases import version_key
from pathcurate.validate.breaches import breach, counted
from pathcurate.validate.documentation import missing
from pathcurate.validate.opened import OLD, Opened, every_object, every_text

CROISSANT, DCAT, CONTRACT, PROVENANCE = (
    "metadata/croissant.json", "metadata/dcat.jsonld", "metadata/contract.odcs.yaml", "provenance/prov.jsonld",
)  # fmt: skip
_DIGITS = re.compile(r"[0-9a-f]{64}")


def check(opened: Opened) -> Iterator[Breach | Unchecked]:
    """Where documents and manifest disagree."""
    yield from _version(opened)
    for relpath, rule, check_one in (
        (CROISSANT, "PC-META-002", _croissant), (DCAT, "PC-META-003", _dcat), (PROVENANCE, "PC-META-005", _provenance),
    ):  # fmt: skip
        content = opened.json(relpath)
        if isinstance(content, dict):
            yield from check_one(opened, content)
        else:
            yield from _absent(opened, relpath, rule)
    contract = opened.contract(CONTRACT)
    if isinstance(contract, dict):
        yield from _contract(opened, contract)
    else:
        yield from _absent(opened, CONTRACT, "PC-META-004")


def _absent(opened: Opened, relpath: str, rule: str) -> Iterator[Breach | Unchecked]:
    if opened.has_documents or relpath in opened.listed | opened.changed:
        yield from missing(opened, "PC-META-001", relpath)
        yield Unchecked((rule,), f"there is no {relpath} that can be read")
    else:
        yield Unchecked(("PC-META-001", rule), OLD)


def _disagrees(rule: str, relpath: str, what: str, count: int = 1, table: str | None = None) -> Breach:
    return breach(rule, f"{relpath} {what}", file=relpath, count=count, table=table)


def _version(opened: Opened) -> Iterator[Breach | Unchecked]:
    """Whether the version is the step that the manifest says is needed; what changed, only `manifest diff` can say."""
    previous, version = opened.manifest["previous"], opened.manifest["version"]
    if previous is None or "bump" not in previous:
        why = "it is the first version" if previous is None else f"{MANIFEST_NAME} does not say which step was needed"
        yield Unchecked(("PC-META-006",), why, applies=False)
        return
    bump = Bump(previous["bump"])
    try:
        least = least_version(previous["version"], bump)
        is_enough = version_step(previous["version"], version).rank >= bump.rank
    except (ValueError, PathcurateError):
        yield breach("PC-META-006", f"{MANIFEST_NAME} names no version before that could be one")
        return
    if not is_enough or version_key(version) <= version_key(previous["version"]):
        what = f"is a smaller step than {previous['bump']}, which {MANIFEST_NAME} says the changes demand"
        yield breach("PC-META-006", f"the version {what}", measured=version, threshold=least, cause=("version",))


# --- Croissant -------------------------------------------------------------------------------------------------------


def _croissant(opened: Opened, content: dict[str, Any]) -> Iterator[Breach]:
    if content.get("version") != opened.manifest["version"]:
        yield _disagrees("PC-META-002", CROISSANT, "is of another version")
    files = {
        _path(one["contentUrl"]): str(one.get("sha256"))
        for one in _objects(content.get("distribution"))
        if isinstance(one.get("contentUrl"), str)
    }
    parts = [part for name in opened.manifest["tables"] for part in opened.parts(name)]
    stated = {part.path: part.sha256.removeprefix("sha256:") for part in parts}
    if unnamed := stated.keys() - files.keys():
        yield _disagrees("PC-META-002", CROISSANT, f"does not name {counted(len(unnamed), 'file')} of tables", len(unnamed))
    if strangers := [path for path in files if path not in opened.listed | opened.changed]:
        what = f"names {counted(len(strangers), 'file')} that the release does not have"
        yield _disagrees("PC-META-002", CROISSANT, what, len(strangers))
    if wrong := [path for path, digest in stated.items() if files.get(path, digest) != digest]:
        yield _disagrees("PC-META-002", CROISSANT, f"states another digest of {counted(len(wrong), 'file')}", len(wrong))
    columns = _fields(content)
    for name, table in opened.tables.items():
        if columns.get(name) != set(table.schema.names):
            what = f"lists other columns than {name} has" if name in columns else f"has no record set of {name}"
            yield _disagrees("PC-META-002", CROISSANT, what, table=name)


def _path(url: str) -> str:
    """A reference as a path below the release; it starts from the folder of the document."""
    return normpath(join(dirname(CROISSANT), unquote(url)))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _fields(content: dict[str, Any]) -> dict[str, set[str]]:
    """Columns that the record sets of tables extract, by table. Record sets of values (sides of a split) have no source."""
    found: dict[str, set[str]] = {}
    for records in _objects(content.get("recordSet")):
        name = str(records.get("@id")).rpartition("/")[2]
        columns = {
            part["column"]
            for field in _objects(records.get("field"))
            for part in every_object(field.get("source"))
            if isinstance(part.get("column"), str)
        }
        if columns:
            found.setdefault(name, set()).update(columns)
    return found


# --- The others ------------------------------------------------------------------------------------------------------


def _dcat(opened: Opened, content: dict[str, Any]) -> Iterator[Breach]:
    if not any(one.get("dcat:version") == opened.manifest["version"] for one in every_object(content)):
        yield _disagrees("PC-META-003", DCAT, "is of another version")
    stated = {part.sha256.removeprefix("sha256:") for name in opened.manifest["tables"] for part in opened.parts(name)}
    checksums = {
        text
        for one in every_object(content)
        for text in every_text(one.get("spdx:checksumValue"))
        if _DIGITS.fullmatch(text)
    }
    if unnamed := stated - checksums:
        yield _disagrees("PC-META-003", DCAT, f"does not state the digest of {counted(len(unnamed), 'file')}", len(unnamed))
    if other := checksums - stated - {one.removeprefix("sha256:") for one in _known_digests(opened)}:
        yield _disagrees(
            "PC-META-003", DCAT, f"states {counted(len(other), 'digest')} of no file of the release", len(other)
        )
    records = "healthdcatap:numberOfRecords"
    numbers = [one[records] for one in every_object(content) if records in one]
    rows = str(opened.manifest["tables"][opened.unit]["rows"])
    if any(rows not in every_text(number) and str(number) != rows for number in numbers):
        yield _disagrees("PC-META-003", DCAT, "states another number of records")


def _known_digests(opened: Opened) -> set[str]:
    manifest = opened.manifest
    stated = {manifest["content_digest"], manifest["recipe"]["lock_sha256"]}
    return stated | {*manifest["inputs"].values(), *opened.digests.values()}


def _contract(opened: Opened, content: dict[str, Any]) -> Iterator[Breach]:
    if content.get("version") != opened.manifest["version"]:
        yield _disagrees("PC-META-004", CONTRACT, "is of another version")
    described = {
        str(one.get("name")): {str(column.get("name")) for column in _objects(one.get("properties"))}
        for one in _objects(content.get("schema"))
    }
    for name, table in opened.tables.items():
        if described.get(name) != set(table.schema.names):
            what = f"lists other columns than {name} has" if name in described else f"does not describe {name}"
            yield _disagrees("PC-META-004", CONTRACT, what, table=name)
    if strangers := described.keys() - opened.manifest["tables"].keys():
        what = f"describes {counted(len(strangers), 'table')} that the release does not have"
        yield _disagrees("PC-META-004", CONTRACT, what, len(strangers))


def _provenance(opened: Opened, content: dict[str, Any]) -> Iterator[Breach]:
    texts = {text.removeprefix("sha256:") for text in every_text(content)}
    wanted = {
        "the content": opened.manifest["content_digest"], "the recipe": opened.manifest["recipe"]["lock_sha256"],
    }  # fmt: skip
    for what, digest in wanted.items():
        if digest.removeprefix("sha256:") not in texts:
            yield _disagrees("PC-META-005", PROVENANCE, f"does not name the digest of {what}")
    if lacking := [digest for digest in opened.manifest["inputs"].values() if digest.removeprefix("sha256:") not in texts]:
        yield _disagrees("PC-META-005", PROVENANCE, f"does not name {counted(len(lacking), 'input')}", len(lacking))
