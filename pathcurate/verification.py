"""The seals on ``deid/``: which bytes were verified, made from which inputs with which key. Later stages demand them.

The scrubbed texts of ``deid/texts/`` have a seal of their own: no cohort depends on them, so they come and go without one
becoming out of date.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pathcurate import __version__
from pathcurate.digests import canonical_json, file_sha256, sha256_text
from pathcurate.errors import PlanIncompleteError
from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.column import Table
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES
from pathcurate.model.diagnosis import DIAGNOSES, IHC_RESULTS, REPORT_CONCEPTS
from pathcurate.model.event import EVENTS
from pathcurate.model.link import LINKS
from pathcurate.model.material import MATERIALS
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.series import SERIES
from pathcurate.model.slide import SLIDES
from pathcurate.model.text import TEXT_DECISIONS, TEXT_TABLES
from pathcurate.model.textreview import TEXT_REVIEWS, missed_texts
from pathcurate.profiles import load_profile
from pathcurate.storage import sweep, write_bytes
from pathcurate.tables import Catalog
from pathcurate.vault import open_vault
from pathcurate.workspace import Workspace

INPUTS: tuple[Table, ...] = (
    SLIDES, REPORTS, EVENTS, SERIES, ANNOTATIONS, MATERIALS, LINKS, PERSONS, IDENTITIES, PERMISSIONS, DIAGNOSES,
    IHC_RESULTS, REPORT_CONCEPTS,
)  # fmt: skip
"""Catalog tables that ``deid apply`` reads."""
_TEXTS_OF = "deid/reports.parquet"
_TEXT_INPUTS = (REPORTS, PERSONS, IDENTITIES, DIAGNOSES, REPORT_CONCEPTS, TEXT_DECISIONS)
SEAL_FILE = "verify.json"
SCHEME = 2
"""Version of how codes and days are made; tables of another are made anew."""
_NEXT = "Run `pathcurate deid apply`."


@dataclass(frozen=True, slots=True)
class Seal:
    """What was verified.

    Attributes:
        tables: file name, as ``deid/slides.parquet``, to digest.
        inputs: what they were made of: state of each catalog table, digests of profile and rules.
        key: fingerprint of the vault key.
        faults: what is wrong, none if the verification passed.
        wanted: of texts, names of the cohorts whose texts are there; ``*`` stands for those of the archive.
    """

    tables: Mapping[str, str]
    inputs: Mapping[str, str]
    key: str
    faults: tuple[str, ...]
    wanted: tuple[str, ...] = ()


def files(workspace: Workspace) -> dict[str, Path]:
    """The sealed files by name: the de-identified tables and the criterion-only values that belong to them."""
    tables = {f"deid/{name}.parquet": workspace.deid / f"{name}.parquet" for name in DEID_TABLES}
    criteria = (*CRITERIA_TABLES, "permissions")
    return tables | {f"criteria/{name}.parquet": workspace.criteria / f"{name}.parquet" for name in criteria}


def text_files(workspace: Workspace) -> dict[str, Path]:
    """The files of the scrubbed texts by name."""
    return {f"texts/{name}.parquet": workspace.deid / "texts" / f"{name}.parquet" for name in TEXT_TABLES}


def input_states(workspace: Workspace) -> dict[str, str]:
    """What ``deid apply`` makes the tables of: the state of each catalog table, the profile, and how codes are made."""
    catalog = Catalog(workspace.catalog, workspace.pinned)
    states = {table.name: catalog.state(table) for table in INPUTS}
    return states | {"profile": load_profile(workspace).digest, "scheme": str(SCHEME)}


def write_seal(workspace: Workspace, inputs: Mapping[str, str], key: str, faults: Sequence[str]) -> Seal:
    """Seal the tables as they are now."""
    return _write(_path(workspace), files(workspace), Seal({}, dict(inputs), key, tuple(faults)))


def write_text_seal(
    workspace: Workspace, inputs: Mapping[str, str], key: str, faults: Sequence[str], wanted: Sequence[str]
) -> Seal:
    """Seal the scrubbed texts as they are now."""
    return _write(_text_path(workspace), text_files(workspace), Seal({}, dict(inputs), key, tuple(faults), tuple(wanted)))


def _write(path: Path, sealed: Mapping[str, Path], seal: Seal) -> Seal:
    whole = Seal({name: file_sha256(file) for name, file in sealed.items()}, seal.inputs, seal.key, seal.faults, seal.wanted)
    write_bytes(path, json.dumps(asdict(whole), indent=1, sort_keys=True).encode() + b"\n")
    return whole


def break_seal(workspace: Workspace) -> None:
    """Remove the seal, before anything that it vouches for is touched, and what a killed run left half-written."""
    _break(_path(workspace), files(workspace))


def break_text_seal(workspace: Workspace) -> None:
    """Remove the seal on the texts, and what a killed run left half-written."""
    _break(_text_path(workspace), text_files(workspace))


def drop_texts(workspace: Workspace) -> None:
    """Remove the scrubbed texts, which nobody wants any more."""
    if _text_path(workspace).parent.is_dir():
        break_text_seal(workspace)
        shutil.rmtree(_text_path(workspace).parent)


def _break(seal: Path, sealed: Mapping[str, Path]) -> None:
    seal.unlink(missing_ok=True)
    for path in (*sealed.values(), seal):
        sweep(path)


def read_seal(workspace: Workspace) -> Seal | None:
    """The seal on the tables, None if there is none.

    Raises:
        PlanIncompleteError: it is damaged.
    """
    return _read(_path(workspace), "the de-identified tables")


def read_text_seal(workspace: Workspace) -> Seal | None:
    """The seal on the scrubbed texts, None if there is none.

    Raises:
        PlanIncompleteError: it is damaged.
    """
    return _read(_text_path(workspace), "the scrubbed texts")


def _read(path: Path, what: str) -> Seal | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_bytes())
        names = tuple(content.get("wanted", ()))
        return Seal(dict(content["tables"]), dict(content["inputs"]), content["key"], tuple(content["faults"]), names)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise PlanIncompleteError(f"the seal on {what} is damaged", _NEXT) from None


def demand_whole(workspace: Workspace, names: Mapping[str, Path]) -> Seal:
    """The seal, if it vouches for these of the sealed files as they are; neither catalog nor vault is read for it.

    Args:
        workspace: the workspace.
        names: some of :func:`files`.

    Raises:
        PlanIncompleteError: there is none, it found faults, or one of the files is another.
    """
    seal = read_seal(workspace)
    if seal is None:
        raise PlanIncompleteError("the workspace has no verified de-identified tables", _NEXT)
    if seal.faults:
        raise PlanIncompleteError(
            f"de-identification did not pass its verification ({len(seal.faults)} faults)",
            "Run `pathcurate deid verify` to see them.",
        )
    _demand_files(seal, names)
    return seal


def _demand_files(seal: Seal, names: Mapping[str, Path]) -> None:
    for name, path in names.items():
        if not path.is_file() or file_sha256(path) != seal.tables.get(name):
            raise PlanIncompleteError(f"{name} is not the file that was verified", _NEXT)


def demand_seal(workspace: Workspace) -> Seal:
    """The seal, if it vouches for the tables as they are and they are up to date.

    Raises:
        PlanIncompleteError: there is none, it found faults, or the tables, their inputs or the key have changed since.
        VaultError: the vault's key is there and cannot be used.
    """
    seal = demand_whole(workspace, files(workspace))
    # A missing key is an error of the stages that need one.
    if (workspace.vault / "key").exists() and open_vault(workspace.vault).fingerprint != seal.key:
        raise PlanIncompleteError("the vault's key is not the one that made the de-identified tables", _NEXT)
    _demand_inputs(seal, input_states(workspace))
    return seal


def _demand_inputs(seal: Seal, inputs: Mapping[str, str]) -> None:
    stale = sorted(name for name, state in inputs.items() if seal.inputs.get(name) != state)
    if stale:
        raise PlanIncompleteError(f"{', '.join(stale)} changed since the last de-identification", _NEXT)


def text_inputs(workspace: Workspace) -> dict[str, str]:
    """What texts are made of and scrubbed by.

    The catalog's tables; the de-identified reports, for their codes; each site's settings, words and decisions; the rules.
    """
    catalog = Catalog(workspace.catalog)
    states = {table.name: catalog.state(table) for table in _TEXT_INPUTS}
    missed = missed_texts(catalog.read(TEXT_REVIEWS).to_pylist())
    states["texts that reviewers found fault with"] = sha256_text(canonical_json(sorted(map(list, missed))))
    seal = read_seal(workspace)
    states |= {name: digest for name, digest in (seal.tables if seal else {}).items() if name == _TEXTS_OF}
    for site in workspace.sites:
        # What else of its settings the rules are made of.
        states[f"settings of {site.code}"] = sha256_text(canonical_json([site.name, list(site.accession.patterns)]))
    words = {f"words of {site.code}": file_sha256(site.words) for site in workspace.sites if site.words is not None}
    return states | words | {"rules": __version__, "scheme": str(SCHEME)}


def demand_texts(workspace: Workspace) -> Seal:
    """The seal on the scrubbed texts, if it vouches for them as they are and they are up to date.

    Args:
        workspace: the workspace; its tables have a seal that was demanded already.

    Raises:
        PlanIncompleteError: there is none, it found faults, or the texts, their inputs or the key have changed since.
    """
    seal = read_text_seal(workspace)
    if seal is None:
        raise PlanIncompleteError("no texts were scrubbed yet", "Run `pathcurate deid apply --texts COHORT`.")
    if seal.faults:
        raise PlanIncompleteError(
            f"the scrubbed texts did not pass their verification ({len(seal.faults)} faults)",
            "Run `pathcurate deid verify` to see them.",
        )
    _demand_files(seal, text_files(workspace))
    _demand_inputs(seal, text_inputs(workspace))
    return seal


def _path(workspace: Workspace) -> Path:
    return workspace.deid / SEAL_FILE


def _text_path(workspace: Workspace) -> Path:
    return workspace.deid / "texts" / SEAL_FILE
