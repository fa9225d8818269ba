"""Stage: checks a release, a recipe, a workspace or a table, by what is on disk alone."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from jsonschema import Draft202012Validator

from pathcurate.digests import (
    CHECKSUMS_NAME,
    TableIdentity,
    content_digest,
    file_sha256,
    parse_checksums,
    table_identity,
)
from pathcurate.disclosure.risk import evaluate
from pathcurate.disclosure.standard import read_standard
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.model.attrition import WITHHELD
from pathcurate.model.column import Column, Identifying, Table, Type
from pathcurate.model.deidentified import (
    DEID_TABLES,
    PSEUDONYM_KINDS,
    SPLIT,
    TOP_AGE,
    UNIT_KEYS,
    UNIT_TABLES,
    pseudonym_pattern,
    released,
)
from pathcurate.model.evaluation import EVALUATION_PATH, quasi_identifiers
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.labelreview import QUALITY_JSON_SCHEMA, QUALITY_PATH
from pathcurate.model.manifest import MANIFEST_NAME
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.recipe import Recipe
from pathcurate.model.recipe.declared import made_columns, output_table
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.model.text import TEXT_TABLES
from pathcurate.recipefile import load_recipe
from pathcurate.releases import PROBLEM_WORDS, checksum_problems, is_release, manifest_faults, read_manifest
from pathcurate.tables import arrow_schema, column_values, read_parquet, read_schema
from pathcurate.text.vocabulary import vocabulary
from pathcurate.workspace import WORKSPACE_FILE, load_workspace

_GROUPS = ("group_id", "patient_id")
_TABLES = {**DEID_TABLES, **TEXT_TABLES}
_CATALOG = (SLIDES, SLIDE_KEYS, REPORTS, PERSONS, IDENTITIES, PERMISSIONS)


@dataclass(frozen=True, slots=True)
class Validation:
    """The result.

    Attributes:
        kind: ``release``, ``recipe``, ``workspace`` or ``table``.
        findings: what is wrong.
        checks: rules that were run, also those that found nothing.
    """

    kind: str
    findings: tuple[Finding, ...]
    checks: tuple[str, ...]


def validate(path: Path) -> Validation:
    """Check whatever a path is.

    Raises:
        UsageError: it is nothing that can be checked, or a broken workspace file.
        RecipeError: it is a broken recipe.
        InputOutputError: it cannot be read.
    """
    if path.is_dir():
        if is_release(path):
            return _validate_release(path)
        if (path / WORKSPACE_FILE).exists():
            return _validate_workspace(path / WORKSPACE_FILE)
    elif path.name == WORKSPACE_FILE:
        return _validate_workspace(path)
    elif path.name == MANIFEST_NAME:
        return _validate_release(path.parent)
    elif path.suffix in {".yaml", ".yml"} and path.is_file():
        load_recipe(path)
        return Validation("recipe", (), ("form", "columns", "values"))
    elif path.suffix == ".parquet" and path.is_file():
        return _validate_file(path)
    if not path.exists():
        raise InputOutputError(f"{path.name} does not exist", "Give a release, a recipe, a workspace or a Parquet table.")
    raise UsageError(
        f"{path.name} is neither a release, a recipe, a workspace nor a table of pathcurate",
        "Give a directory with MANIFEST.json or pathcurate.yaml, a .yaml recipe, or a .parquet table.",
    )


def _validate_workspace(file: Path) -> Validation:
    workspace = load_workspace(file)
    findings = [
        _finding("PC-WSP-001", Severity.ERROR, f"the root of archive {archive.name} of site {site.code} is no directory")
        for site in workspace.sites
        for archive in site.archives
        if isinstance(archive.root, Path) and not archive.root.is_dir()
    ]
    findings += [
        _finding("PC-WSP-002", Severity.ERROR, f"a report source of site {site.code} matches no file")
        for site in workspace.sites
        for source in site.reports
        if not source.path.files()
    ]
    findings += [
        _finding("PC-WSP-002", Severity.ERROR, f"an event source of site {site.code} matches no file")
        for site in workspace.sites
        for source in site.events
        if not source.path.files()
    ]
    mappings = [
        (f"report source of site {site.code}", source.mapping) for site in workspace.sites for source in site.reports
    ]
    mappings += [(f"event source of site {site.code}", source.mapping) for site in workspace.sites for source in site.events]
    mappings += [("permission list", source.mapping) for source in workspace.permissions]
    findings += [
        _finding("PC-WSP-005", Severity.ERROR, f"mapping {mapping.name} of a {whose} is missing")
        for whose, mapping in mappings
        if mapping is not None and not mapping.is_file()
    ]
    findings += [
        _finding("PC-WSP-003", Severity.ERROR, f"permission list {source.path.name} is missing")
        for source in workspace.permissions
        if not source.path.is_file()
    ]
    if not workspace.permissions:
        findings.append(_finding("PC-WSP-004", Severity.WARNING, "no permission list is configured"))
    return Validation("workspace", tuple(findings), _WORKSPACE_RULES)


_WORKSPACE_RULES = ("PC-WSP-001", "PC-WSP-002", "PC-WSP-003", "PC-WSP-004", "PC-WSP-005")


def _validate_file(path: Path) -> Validation:
    footer = read_schema(path).metadata or {}
    name = footer.get(b"pathcurate.table", path.stem.encode()).decode("utf-8", "replace")
    if name not in _TABLES:
        raise UsageError(
            f"{path.name} is no table of pathcurate that can be checked",
            f"Known tables: {', '.join(_TABLES)}; the file's footer or name says which.",
        )
    recipe = _recipe(footer.get(b"pathcurate.recipe", b""))
    return Validation("table", tuple(_table_findings(name, read_parquet(path), recipe)), _TABLE_RULES)


def _recipe(written: bytes) -> Recipe | None:
    """The recipe of a release, which declares its labels and sides; None if it says none that can be read."""
    try:
        return Recipe.model_validate(json.loads(written))
    except (ValueError, RecursionError):
        return None


_TABLE_RULES = (
    "PC-SCH-001", "PC-SCH-002", "PC-SCH-003", "PC-SCH-004", "PC-SCH-005", "PC-SPL-001", "PC-SPL-002", "PC-PRIV-001",
    "PC-PRIV-002", "PC-PRIV-003",
)  # fmt: skip
_DIGEST_RULES = {"changed": "PC-DIG-001", "missing": "PC-DIG-002", "orphan": "PC-DIG-003"}
_BYTE_RULES = (*_DIGEST_RULES.values(), "PC-SCH-006")
_RELEASE_RULES = (
    *_BYTE_RULES, "PC-DIG-004", "PC-SCH-007", *_TABLE_RULES, "PC-PRIV-004", "PC-PRIV-005", "PC-PRIV-006",
)  # fmt: skip
_FILES = re.compile(
    r"MANIFEST\.json|manifest-sha256\.txt|report\.html|metadata/dictionary\.json|provenance/recipe\.lock\.yaml"
    r"|quality/(?:attrition|labels)\.json|quality/deid-evaluation\.(?:json|svg)|quality/diff-from-[0-9A-Za-z.+-]+\.json|attestations/[0-9A-Za-z._-]+"
)
_FOOTER = re.compile(rb"ARROW:schema|pathcurate\.[a-z0-9_]+")


def _stray_findings(directory: Path, manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """Files and footer entries that no release has, though their bytes may be listed; they are counted, never named."""
    tables = manifest["tables"]
    own = {path for name, entry in tables.items() for path in (entry["path"], f"provenance/queries/{name}.sql")}
    found = parse_checksums((directory / CHECKSUMS_NAME).read_bytes())
    strays = sum(relpath not in own and _FILES.fullmatch(relpath) is None for relpath in found)
    if strays:
        yield _finding("PC-SCH-007", Severity.ERROR, f"{strays} files are none that a release has", count=strays)
    for name, entry in tables.items():
        try:
            footer = read_schema(directory / entry["path"]).metadata or {}
        except (InputOutputError, ValueError):
            continue
        foreign = sum(_FOOTER.fullmatch(key) is None for key in footer)
        if foreign:
            yield _finding("PC-SCH-007", Severity.ERROR, f"the footer has {foreign} entries that are not ours", name)
    lock = directory / "provenance" / "recipe.lock.yaml"
    if lock.is_file() and file_sha256(lock) != manifest["recipe"]["lock_sha256"]:
        yield _lie("does not state the digest of the recipe's lock file")
    labels = directory / QUALITY_PATH
    if labels.is_file() and not _is_label_quality(labels, manifest["recipe"]["canonical_sha256"]):
        yield _finding("PC-SCH-007", Severity.ERROR, f"{QUALITY_PATH} is not of its schema, or of another recipe")
    quality = directory / "quality" / "attrition.json"
    if quality.is_file() and not _agrees(_kept(quality), manifest["counts"]):
        yield _lie("does not state what the attrition keeps")


def _is_label_quality(path: Path, recipe_sha256: str) -> bool:
    """Whether a file tells how often labels of this recipe are wrong, and nothing else."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return Draft202012Validator(QUALITY_JSON_SCHEMA).is_valid(content) and content["recipe_sha256"] == recipe_sha256


def _agrees(kept: Any, counts: Mapping[str, int]) -> bool:
    """Whether what the attrition tells of the end is what the manifest says; it need not tell every level."""
    if not isinstance(kept, dict) or not kept:
        return False
    return all(kept.get(level) in {counts[level], WITHHELD} for level in counts if level in kept)


def _kept(path: Path) -> Any:
    try:
        content = json.loads(path.read_bytes())
        return content["steps"][-1]["remaining"]
    except (ValueError, KeyError, IndexError, TypeError):
        return None


def _evaluation_findings(directory: Path, manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether the evaluation is there, and of this release."""
    if "deid" not in manifest:
        what = f"{MANIFEST_NAME} does not say what the release tells about people"
        yield _finding("PC-PRIV-006", Severity.WARNING, f"{what}; it was built before 0.6.0, or somebody took it out")
        return
    path = directory / EVALUATION_PATH
    if not path.is_file():
        yield _finding("PC-PRIV-006", Severity.ERROR, f"{EVALUATION_PATH} is missing")
    elif _evaluated(path) != {**manifest["deid"], "content_digest": manifest["content_digest"]}:
        yield _finding("PC-PRIV-006", Severity.ERROR, f"{EVALUATION_PATH} is not of this release")


def _evaluated(path: Path) -> Any:
    """What an evaluation says that the manifest says too."""
    try:
        content = json.loads(path.read_bytes())
        return {
            "profile": content["profile"], "scenario": content["sharing"], "k_required": content["k_required"],
            "k_min": content["figures"]["k"], "gbt42460_level": content["risk"]["level"],
            "content_digest": content["content_digest"],
        }  # fmt: skip
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _validate_release(directory: Path) -> Validation:
    problems = checksum_problems(directory)
    findings = [
        _finding(_DIGEST_RULES[problem], Severity.ERROR, f"{where} {PROBLEM_WORDS[problem]}") for where, problem in problems
    ]
    try:
        manifest = read_manifest(directory)
    except InputOutputError as error:
        faults = [error.message]
    else:
        faults = [f"{MANIFEST_NAME} is not of its schema at {place}" for place in manifest_faults(manifest)]
    if faults:
        # Nothing that such a manifest says of its tables can be relied on, not even where they are.
        findings += [_finding("PC-SCH-006", Severity.ERROR, fault) for fault in faults]
        return Validation("release", tuple(findings), _BYTE_RULES)
    if not problems:
        # Every listed file is there and a plain file; else it is not opened, and its bytes have a finding already.
        findings += _stray_findings(directory, manifest)
        findings += _evaluation_findings(directory, manifest)
    findings += _contents_findings(directory, manifest, {where for where, _ in problems})
    return Validation("release", tuple(findings), _RELEASE_RULES)


def _contents_findings(directory: Path, manifest: Mapping[str, Any], changed: Collection[str]) -> Iterator[Finding]:
    """What the tables hold; not of files whose bytes are not those that were built, about which that says enough."""
    identities: dict[str, TableIdentity] = {}
    for name, entry in manifest["tables"].items():
        path = directory / entry["path"]
        if entry["path"] in changed:
            continue
        if name not in _TABLES or not path.is_file():
            yield _lie("names a table that is not in the release")
            continue
        data = _readable(path)
        if data is None:
            yield _finding("PC-SCH-002", Severity.ERROR, "cannot be read as Parquet", name)
            continue
        if file_sha256(path) != entry["sha256"]:
            yield _lie("does not state the sha256 of the file", name)
        recipe = _recipe((data.schema.metadata or {}).get(b"pathcurate.recipe", b""))
        findings = list(_table_findings(name, data, recipe))
        yield from findings
        try:
            identities[name] = table_identity(data)
        except (InputOutputError, TypeError):
            # Types and values that no release has; most have a finding of their own already.
            if not findings:
                yield _finding("PC-SCH-002", Severity.ERROR, "holds values that no digest can vouch for", name)
            continue
        yield from _manifest_findings(name, entry, identities[name])
        is_unit = name == (recipe.unit_table if recipe is not None else next(iter(manifest["tables"])))
        if is_unit:
            yield from _count_findings(name, data, manifest)
        if is_unit and "deid" in manifest and not findings:
            yield from _class_findings(name, data, manifest["deid"], _declared(name, recipe))
    if len(identities) == len(manifest["tables"]) and content_digest(identities) != manifest["content_digest"]:
        yield _lie("does not state the content digest of its tables")
    if not manifest["permissions"]["configured"]:
        yield _finding(
            "PC-PRIV-004", Severity.WARNING, "the release was built without any permission list (--no-permissions)"
        )


def _readable(path: Path) -> pa.Table | None:
    try:
        return read_parquet(path)
    except (InputOutputError, ValueError):  # ValueError: a name in a foreign file that is not UTF-8
        return None


def _manifest_findings(name: str, entry: Mapping[str, Any], identity: TableIdentity) -> Iterator[Finding]:
    stated = {"digest": entry["table_digest"], "rows": entry["rows"], "schema_sha256": entry["schema_sha256"]}
    for key, value in identity.items():
        if stated[key] != value:
            yield _lie(f"does not state the {key} of the table", name)


def _count_findings(name: str, data: pa.Table, manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """Counts that the table itself can refute: of its unit, of what it names, and of the sides of its split."""
    for unit, table in UNIT_TABLES.items():
        key = UNIT_KEYS[unit]
        counted = (
            data.num_rows if table == name else pc.count_distinct(data[key]).as_py() if key in data.column_names else None
        )
        if counted is not None and manifest["counts"][f"{unit}s"] != counted:
            yield _lie(f"does not state how many {unit}s there are", name)
    if SPLIT.name in data.column_names and manifest["split"] != Counter(column_values(data, SPLIT.name)):
        yield _lie("does not state how many rows are on each side of the split", name)


def _class_findings(name: str, data: pa.Table, stated: Mapping[str, Any], declared: Table) -> Iterator[Finding]:
    """Classes that are smaller than the manifest says, or than its profile allows; counted in persons if these are there."""
    quasi = [column for column in quasi_identifiers(declared) if column in data.column_names]
    owner = next((column for column in (*_GROUPS, "case_id") if column in data.column_names), None)
    required = stated["k_required"] or 0
    figures = evaluate(data, quasi, (), data[owner] if owner else None, read_standard(), required)
    if figures.k < required:
        below = [bin_ for bin_ in figures.sizes if bin_.least < required]
        classes, persons = sum(bin_.classes for bin_ in below), sum(bin_.persons for bin_ in below)
        what = f"k = {figures.k} < {required} ({classes} classes, {persons} persons)"
        yield _finding("PC-PRIV-005", Severity.ERROR, what, name, count=classes)
    # Without groups the table can only show that classes are smaller, not that they are larger.
    if figures.k < stated["k_min"] or (owner == _GROUPS[0] and figures.k != stated["k_min"]):
        yield _finding("PC-PRIV-006", Severity.ERROR, f"{MANIFEST_NAME} states another k than the table has", name)


def _declared(name: str, recipe: Recipe | None) -> Table:
    """What a released table may hold: its own columns and, by the recipe, labels, sides and days from day 0."""
    table = _TABLES[name]
    if recipe is None or name not in DEID_TABLES:
        return released(table, (*table.names, SPLIT.name))
    return output_table(recipe, name, tuple(dict.fromkeys((*table.names, *made_columns(recipe, name)))))


def _table_findings(name: str, data: pa.Table, recipe: Recipe | None) -> Iterator[Finding]:
    if len(set(data.column_names)) != len(data.column_names):
        yield _finding("PC-SCH-001", Severity.ERROR, "has two columns of one name", name)
        return
    declared = _declared(name, recipe)
    readable = []
    for column_name in data.column_names:
        if column_name not in declared:
            yield _undeclared(name, column_name)
            continue
        column = declared[column_name]
        field = data.schema.field(column_name)
        expected = arrow_schema(declared).field(column_name)
        stated = (field.metadata or {}).get(b"identifying", b"").decode("utf-8", "replace")
        if stated in {Identifying.DIRECT, Identifying.CRITERION_ONLY}:
            yield _finding("PC-PRIV-001", Severity.ERROR, f"is of class {stated}", name, column_name)
        if field.type != expected.type:
            # Not which: the name of a type may hold text of its maker's (fields of a struct, a time zone).
            yield _finding("PC-SCH-002", Severity.ERROR, f"does not have type {expected.type}", name, column_name)
        elif not _is_sound(data[column_name]):
            yield _finding("PC-SCH-002", Severity.ERROR, "holds bytes that are not of its type", name, column_name)
        else:
            readable.append(column_name)
            yield from _value_findings(name, column, data)
    data = data.select(readable)
    key = declared.key
    if set(key) <= set(readable) and data.group_by(list(key)).aggregate([]).num_rows != data.num_rows:
        yield _finding("PC-SCH-005", Severity.ERROR, "is the key, but not unique", name, ", ".join(key))
    yield from _leakage(name, data)


def _is_sound(array: "pa.ChunkedArray[Any]") -> bool:
    try:
        array.validate(full=True)  # text that is not UTF-8, offsets out of bounds
    except pa.ArrowInvalid:
        return False
    return True


def _undeclared(table: str, column: str) -> Finding:
    hidden = next((source[column] for source in _CATALOG if column in source), None)
    if hidden is not None:
        what = "is a direct identifier" if hidden.identifying is Identifying.DIRECT else "is removed by de-identification"
        return _finding("PC-PRIV-001", Severity.ERROR, f"{what} and may not be released", table, column)
    # A column that nobody declared may hold anything; its name is data too and is not shown.
    return _finding("PC-SCH-001", Severity.ERROR, "has a column that is not declared", table)


def _value_findings(table: str, column: Column, data: pa.Table) -> Iterator[Finding]:
    array = data[column.name]
    if column.required and array.null_count:
        message = f"has no value in {array.null_count} rows"
        yield _finding("PC-SCH-003", Severity.ERROR, message, table, column.name, array.null_count)
    if column.type in {Type.STRING, Type.STRINGS}:
        flat = pc.list_flatten(array) if column.type is Type.STRINGS else array
        outside = sum(not _is_allowed(column, value) for value in pc.unique(flat).to_pylist() if value is not None)
        if outside:
            rule = "PC-PRIV-003" if column.pattern in _PSEUDONYMS else "PC-SCH-004"
            what = "that are no pseudonyms" if rule == "PC-PRIV-003" else "outside its closed set"
            yield _finding(rule, Severity.ERROR, f"has {outside} distinct values {what}", table, column.name, outside)
    if column.name == "age" and (pc.max(array).as_py() or 0) > TOP_AGE:
        yield _finding("PC-PRIV-002", Severity.ERROR, f"has ages over {TOP_AGE}", table, column.name)


_PSEUDONYMS = {pseudonym_pattern(kind) for kind in PSEUDONYM_KINDS}


def _is_allowed(column: Column, value: str) -> bool:
    if column.vocabulary:
        return value in vocabulary(column.vocabulary).codes
    if column.values:
        return value in column.values
    return re.fullmatch(column.pattern, value) is not None


def _leakage(table: str, data: pa.Table) -> Iterator[Finding]:
    if SPLIT.name not in data.column_names:
        return
    group = next((name for name in _GROUPS if name in data.column_names), None)
    if group is None:
        message = f"cannot be checked for patients on two sides: neither {' nor '.join(_GROUPS)} is in the table"
        yield _finding("PC-SPL-002", Severity.WARNING, message, table, SPLIT.name)
        return
    sides: dict[str, set[str]] = defaultdict(set)
    for name, side in zip(column_values(data, group), column_values(data, SPLIT.name), strict=True):
        sides[name].add(side)
    torn = sum(len(found) > 1 for found in sides.values())
    if torn:
        message = f"{torn} patients are on more than one side of the split"
        yield _finding("PC-SPL-001", Severity.ERROR, message, table, SPLIT.name, torn)


def _lie(what: str, table: str | None = None) -> Finding:
    return _finding("PC-DIG-004", Severity.ERROR, f"{MANIFEST_NAME} {what}", table)


def _finding(
    rule: str, severity: Severity, message: str, table: str | None = None, column: str | None = None, count: int = 1
) -> Finding:
    return Finding(rule, severity, message, stage="validate", table=table, column=column, count=count)
