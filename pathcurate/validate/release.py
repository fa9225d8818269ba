"""A release: its bytes first, then its manifest, then its tables, then every pack of rules about what these say together."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from pathcurate.checksums import CHECKSUMS_NAME, SM3_NAME, parse_checksums
from pathcurate.digests import TableIdentity, content_digest, identity_of, release_digest, sha256_text
from pathcurate.errors import InputOutputError
from pathcurate.model.attrition import WITHHELD
from pathcurate.model.deidentified import SPLIT, UNIT_KEYS, UNIT_TABLES
from pathcurate.model.labelreview import QUALITY_JSON_SCHEMA, QUALITY_PATH
from pathcurate.model.manifest import MANIFEST_NAME
from pathcurate.model.validation import Breach, Unchecked
from pathcurate.releases import PROBLEM_WORDS, checksum_problems, manifest_faults, read_manifest
from pathcurate.tables import read_metadata, read_schema
from pathcurate.validate import (
    commitments,
    documentation,
    expiry,
    genetics,
    links,
    metadatarules,
    policyrules,
    privacy,
    quality,
    registration,
    sealedrules,
    splitrules,
)
from pathcurate.validate.breaches import breach, counted
from pathcurate.validate.opened import (
    LOCK,
    TABLES,
    Opened,
    OpenedTable,
    declared_table,
    written,
    written_recipe,
)
from pathcurate.validate.tablerules import check_table, open_table

Result = Breach | Unchecked
Pack = Callable[[Opened], Iterator[Result]]

_PROBLEMS = {"changed": "PC-DIG-001", "missing": "PC-DIG-002", "orphan": "PC-DIG-003"}
_FOOTER = re.compile(rb"ARROW:schema|pathcurate\.[a-z0-9_]+")
_BY_TABLE = ("PC-SCH", "PC-LNK", "PC-SPL", "PC-PRIV", "PC-QLT")
_REST = (*_BY_TABLE, "PC-DOC", "PC-POL", "PC-REG", "PC-HGR", "PC-EXP", "PC-META")


@dataclass(frozen=True, slots=True)
class Found:
    """What a release was found to be.

    Attributes:
        results: findings, and what was not checked.
        facts: product, version, digests.
        opened: the release, if its manifest could be read.
    """

    results: tuple[Result, ...]
    facts: Mapping[str, str]
    opened: Opened | None


def check_release(directory: Path, wants: Callable[[str], bool], today: date | None, workers: int) -> Found:
    """Everything about a release.

    Args:
        directory: the release.
        wants: whether a pack is wanted; the bytes are always looked at, for no rule believes others.
        today: the day by which expiry is judged; None if nobody says which it is.
        workers: processes that may be used.
    """
    problems = checksum_problems(directory)
    results: list[Result] = [breach(_PROBLEMS[problem], f"{where} {PROBLEM_WORDS[problem]}") for where, problem in problems]
    try:
        manifest = read_manifest(directory)
    except InputOutputError as error:
        faults = [error.message]
    else:
        faults = [f"{MANIFEST_NAME} is not of its schema at {place}" for place in manifest_faults(manifest)]
    if faults:
        # Nothing that such a manifest says of its tables can be relied on, not even where they are.
        results += [breach("PC-SCH-006", fault) for fault in faults]
        rest = tuple(pack for pack in _REST if pack != "PC-SCH")
        results.append(Unchecked((*_SCHEMA_REST, "PC-DIG-004", *rest), f"{MANIFEST_NAME} cannot be relied on"))
        return Found(tuple(results), {}, None)
    checksums = _checksums(directory, {where for where, _ in problems})
    facts = _facts(manifest, checksums)
    if checksums is None:
        why = f"{CHECKSUMS_NAME} vouches for nothing"
        results.append(Unchecked((*_SCHEMA_REST, "PC-DIG-004", *(pack for pack in _REST if pack != "PC-SCH")), why))
        return Found(tuple(results), facts, None)
    listed = parse_checksums(checksums)
    opened = Opened(directory, manifest, listed, {where for where, _ in problems})
    results += _manifest_results(opened, listed, workers)
    results += commitments.check(opened, workers)
    if problems:
        rules = ("PC-SCH-007", "PC-DIG-005") if SM3_NAME in listed else ("PC-SCH-007",)
        results.append(Unchecked(rules, "files were changed, are missing or do not belong here"))
    else:
        results += _strays(opened, listed)
    if not problems or SM3_NAME not in listed:
        results += _sm3(opened, listed)
    for pack, check in _PACKS.items():
        if wants(pack):
            results += check(opened)
    if wants("PC-EXP"):
        results += expiry.check(opened, today)
    return Found(tuple(results), facts, opened)


_SCHEMA_REST = (*(f"PC-SCH-{number:03}" for number in (1, 2, 3, 4, 5, 7)),)
_PACKS: Mapping[str, Pack] = {
    "PC-LNK": links.check,
    "PC-SPL": lambda opened: chain(splitrules.check(opened), sealedrules.check(opened)),
    "PC-PRIV": privacy.check,
    "PC-QLT": quality.check,
    "PC-DOC": documentation.check,
    "PC-POL": policyrules.check,
    "PC-REG": registration.check,
    "PC-HGR": genetics.check,
    "PC-META": metadatarules.check,
}
"""Pack to what checks it; digests and schema come before, expiry needs to know the day."""


def _checksums(directory: Path, changed: set[str]) -> bytes | None:
    if CHECKSUMS_NAME in changed:
        return None
    return (directory / CHECKSUMS_NAME).read_bytes()


def _facts(manifest: Mapping[str, Any], checksums: bytes | None) -> dict[str, str]:
    facts = {
        "product": manifest["product"], "version": manifest["version"], "content_digest": manifest["content_digest"],
        "recipe_lock": manifest["recipe"]["lock_sha256"],
    }  # fmt: skip
    return facts if checksums is None else {**facts, "release_digest": release_digest(checksums)}


# --- What the manifest says ------------------------------------------------------------------------------------------


def _manifest_results(opened: Opened, listed: Mapping[str, str], workers: int) -> Iterator[Result]:
    """What the tables are, and whether the manifest says so; not of files whose bytes are not those that were built."""
    manifest = opened.manifest
    identities: dict[str, TableIdentity] = {}
    for name, entry in manifest["tables"].items():
        table = _opened_table(opened, name, workers)
        if isinstance(table, Breach | Unchecked):
            opened.unread[name] = "its files were changed" if isinstance(table, Unchecked) else "it cannot be read"
            yield table
            continue
        opened.tables[name] = table
        findings = list(check_table(table))
        yield from findings
        yield from _part_results(opened, name)
        if (recipe := written(table)) and sha256_text(recipe) != manifest["recipe"]["canonical_sha256"]:
            yield _lie("does not state the digest of the recipe in the footer", name)
        if table.facts.undigested:
            # Types and values that no release has; most have a finding of their own already.
            if not findings:
                yield breach("PC-SCH-002", "holds values that no digest can vouch for", table=name)
            continue
        identities[name] = identity_of(table.schema, bytes(table.facts.digests))
        table.facts.digests.clear()
        yield from _entry_results(name, entry, identities[name])
    if unread := [name for name in opened.unread if name in TABLES]:
        yield Unchecked(_BY_TABLE, f"{_several(unread, 'table')} could not be read, or were changed")
    if len(identities) == len(manifest["tables"]) and content_digest(identities) != manifest["content_digest"]:
        yield _lie("does not state the content digest of its tables")
    if (unit := opened.tables.get(opened.unit)) is not None:
        yield from _count_results(unit, manifest)


def _part_results(opened: Opened, name: str) -> Iterator[Breach]:
    """What the manifest says of the files of a table."""
    for part in opened.parts(name):
        path = opened.directory / part.path
        if opened.digests.get(part.path) != part.sha256:
            yield _lie("does not state the sha256 of the file", name)
        if read_metadata(path).num_rows != part.rows or part.size not in (-1, path.stat().st_size):
            yield _lie("does not state rows and size of the file", name)


def _several(names: list[str], noun: str) -> str:
    return f"{noun} {names[0]}" if len(names) == 1 else f"{noun}s {', '.join(names)}"


def _opened_table(opened: Opened, name: str, workers: int) -> OpenedTable | Result:
    parts = opened.parts(name)
    if any(part.path in opened.changed for part in parts):
        return Unchecked(("PC-DIG-004",), f"files of table {name if name in TABLES else ''} were changed".replace("  ", " "))
    own = {part.path for part in parts if re.fullmatch(rf"data/{name}(?:/part-[0-9]{{5}})?\.parquet", part.path)}
    if name not in TABLES or len(own) < len(parts) or not own <= opened.listed:
        return _lie("names a table that is not in the release")
    paths = tuple(opened.directory / part.path for part in parts)
    recipe = _footer_recipe(opened, paths[0]) or opened.recipe
    table = open_table(name, paths, declared_table(name, recipe), has_digests=True, workers=workers)
    return breach("PC-SCH-002", table, table=name) if isinstance(table, str) else table


def _footer_recipe(opened: Opened, path: Path) -> Any:
    try:
        return written_recipe((read_schema(path).metadata or {}).get(b"pathcurate.recipe", b""))
    except (InputOutputError, ValueError):
        return None


def _entry_results(name: str, entry: Mapping[str, Any], identity: TableIdentity) -> Iterator[Breach]:
    stated = {"digest": entry["table_digest"], "rows": entry["rows"], "schema_sha256": entry["schema_sha256"]}
    for key, value in identity.items():
        if stated[key] != value:
            yield _lie(f"does not state the {key} of the table", name)


def _count_results(table: OpenedTable, manifest: Mapping[str, Any]) -> Iterator[Breach]:
    """Counts that the table itself can refute: of its unit, of what it names, and of the sides of its split."""
    for unit, name in UNIT_TABLES.items():
        key = UNIT_KEYS[unit]
        counted_ = table.rows if name == table.name else None
        if counted_ is None and table.has(key):
            counted_ = len(table.codes(key).values)
        if counted_ is not None and manifest["counts"][f"{unit}s"] != counted_:
            yield _lie(f"does not state how many {unit}s there are", table.name)
    if table.has(SPLIT.name) and manifest["split"] != table.codes(SPLIT.name).counts():
        yield _lie("does not state how many rows are on each side of the split", table.name)


def _lie(what: str, table: str | None = None) -> Breach:
    return breach("PC-DIG-004", f"{MANIFEST_NAME} {what}", table=table if table in TABLES else None)


# --- What else lies there --------------------------------------------------------------------------------------------


def _strays(opened: Opened, listed: Mapping[str, str]) -> Iterator[Breach]:
    """Files and footer entries that no release has, though their bytes may be listed; they are counted, never named."""
    strays = sum(not opened.is_own(relpath) for relpath in listed)
    if strays:
        yield breach("PC-SCH-007", f"{counted(strays, 'file')} that no release has", count=strays)
    for name, table in opened.tables.items():
        foreign = sum(_FOOTER.fullmatch(key) is None for key in table.schema.metadata or {})
        if foreign:
            yield breach("PC-SCH-007", f"the footer has {foreign} entries that are not ours", table=name)
    lock = opened.read(LOCK)
    if lock is not None and sha256_text(lock) != opened.manifest["recipe"]["lock_sha256"]:
        yield _lie("does not state the digest of the recipe's lock file")
    if QUALITY_PATH in listed and not _is_label_quality(opened):
        yield breach("PC-SCH-007", f"{QUALITY_PATH} is not of its schema, or of another recipe", file=QUALITY_PATH)
    if "quality/attrition.json" in listed and not _agrees(_kept(opened), opened.manifest["counts"]):
        yield _lie("does not state what the attrition keeps")


def _is_label_quality(opened: Opened) -> bool:
    """Whether a file tells how often labels of this recipe are wrong, and nothing else."""
    content = opened.json(QUALITY_PATH)
    recipe = opened.manifest["recipe"]["canonical_sha256"]
    return Draft202012Validator(QUALITY_JSON_SCHEMA).is_valid(content) and content["recipe_sha256"] == recipe


def _agrees(kept: Any, counts: Mapping[str, int]) -> bool:
    """Whether what the attrition tells of the end is what the manifest says; it need not tell every level."""
    if not isinstance(kept, dict) or not kept:
        return False
    return all(kept.get(level) in (counts[level], WITHHELD) for level in counts if level in kept)


def _kept(opened: Opened) -> Any:
    content = opened.json("quality/attrition.json")
    try:
        return content["steps"][-1]["remaining"]
    except (KeyError, IndexError, TypeError):
        return None


def _sm3(opened: Opened, listed: Mapping[str, str]) -> Iterator[Result]:
    content = (opened.directory / SM3_NAME).read_bytes() if SM3_NAME in listed else None
    if content is None:
        yield Unchecked(("PC-DIG-005",), f"the release has no {SM3_NAME}", applies=False)
        return
    try:
        named = parse_checksums(content).keys()
    except InputOutputError:
        named = None
    if named is None or named - {CHECKSUMS_NAME} != listed.keys() - {SM3_NAME}:
        yield breach("PC-DIG-005", f"{SM3_NAME} does not name the files of {CHECKSUMS_NAME}", file=SM3_NAME)
