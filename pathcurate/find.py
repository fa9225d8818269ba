"""Stage: a slide or case by any of its numbers, and where it stands. What it gives is identified; every call is audited."""

import hashlib
import hmac
import re
import secrets
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate import __version__
from pathcurate.model.attrition import KEPT
from pathcurate.model.deidentified import PSEUDONYM_BODY
from pathcurate.model.link import LINKS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS, precedence
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.pseudonyms import canonical, internal_layer, product_layer
from pathcurate.releases import list_releases, read_release
from pathcurate.storage import path_text, private_directory, write_bytes
from pathcurate.tables import Catalog, column_values, read_parquet, read_schema
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.identities import card_number
from pathcurate.vault import append_event, create_vault
from pathcurate.workspace import Workspace

_SLIDE_COLUMNS = ("slide_id", "site", "archive", "relpath", "barcode", "status")
_REPORT_COLUMNS = (
    "report_id", "site", "accession", "accession_raw", "accession_external", "patient_id", "id_number", "report_type",
    "status", "is_current", "reported_date",
)  # fmt: skip
# The number as it was normalised at import is one of them: the site's patterns may have changed since.
_SPELLINGS = ("accession", "accession_raw", "accession_external")
_CODE = re.compile(rf"[SCPQR]-{PSEUDONYM_BODY}")
_UNITS = {"slide_id": "S", "case_id": "C", "patient_id": "P"}
"""Keys of a ledger or release, the most telling first, and the kinds of their codes."""

Row = Mapping[str, Any]
CaseKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class SlideFacts:
    """Where one slide stands.

    Attributes:
        slide_id: its identifier in the catalog.
        site: its site.
        archive: name of its archive root.
        path: path below that root.
        status: its state.
        tier: how sure its link is, None before `link`.
        rule: rule that decided.
        evidence: sources that name the linked case.
        losing_candidates: other numbers that were named.
        accession: the linked case, None if there is none.
        report_id: the report that it is linked to.
        cohorts: cohort to the step at which the slide, or its case or patient, left it; ``kept`` if it did not.
        releases: releases that hold it, or by whose key it cannot be told.
    """

    slide_id: str
    site: str
    archive: str
    path: str
    status: str
    tier: str | None
    rule: str | None
    evidence: tuple[str, ...]
    losing_candidates: tuple[str, ...]
    accession: str | None
    report_id: str | None
    cohorts: Mapping[str, str]
    releases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """Where one case stands.

    Attributes:
        site: its site.
        accession: its number.
        patient_ids: the site's numbers of its patient.
        person_id: the person, None if the reports do not name one.
        group_id: all persons who may be this one.
        reports: its reports: identifier, type, state.
        slides: identifiers of the slides that are linked to it.
        cohorts: as for slides.
        releases: as for slides.
    """

    site: str
    accession: str
    patient_ids: tuple[str, ...]
    person_id: str | None
    group_id: str | None
    reports: tuple[str, ...]
    slides: tuple[str, ...]
    cohorts: Mapping[str, str]
    releases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What a text names.

    Attributes:
        matched: in which ways it is a number of something here.
        slides: the slides.
        cases: their cases, and cases that were meant themselves.
    """

    matched: tuple[str, ...]
    slides: tuple[SlideFacts, ...]
    cases: tuple[CaseFacts, ...]


def find(workspace: Workspace, text: str, *, actor: str) -> Found:
    """Find slides and cases by a number of theirs, and note in the audit trail that somebody looked, but not for what.

    Known are: ``slide_id``, ``report_id``, ``person_id``; accession numbers in any spelling, also a sender's; barcodes;
    patient and identity-card numbers; file names; and pseudonyms, the workspace's own and those of every product.

    Args:
        workspace: the workspace.
        text: the number.
        actor: who looks.

    Raises:
        VaultError: the vault's key cannot be used.
        InputOutputError: the catalog cannot be read.
    """
    vault = create_vault(workspace.vault)
    index, standing = _Index(workspace), _Standing(workspace, vault.key)
    sought = _look(index, standing, text.strip())
    found = Found(
        tuple(sorted(sought.matched)),
        tuple(_slide_facts(index, standing, slide_id) for slide_id in sorted(sought.slides)),
        tuple(_case_facts(index, standing, case) for case in sorted(sought.cases)),
    )
    digest = hmac.new(vault.key, b"pathcurate find v1\x1f" + canonical(text).encode(), hashlib.sha256).hexdigest()
    append_event(
        workspace.vault, actor, "find",
        {"query_hmac": digest, "slides": len(found.slides), "cases": len(found.cases), "version": __version__},
    )  # fmt: skip
    return found


def write_review(workspace: Workspace, content: str, suffix: str) -> Path:
    """Write what was found where only the workspace's owner can read it: below ``catalog/review/``, mode 0600."""
    folder = private_directory(private_directory(workspace.catalog) / "review")
    path = folder / f"find-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}{suffix}"
    write_bytes(path, content.encode(), mode=0o600)
    return path


class _Index:
    """The catalog's numbers."""

    def __init__(self, workspace: Workspace) -> None:
        catalog = Catalog(workspace.catalog)
        self.patterns = {site.code: AccessionPatterns(site.accession.patterns) for site in workspace.sites}
        self.slides = {row["slide_id"]: row for row in catalog.read(SLIDES, columns=_SLIDE_COLUMNS).to_pylist()}
        self.keys = catalog.read(SLIDE_KEYS, columns=("slide_id", "site", "key")).to_pylist()
        self.links = {row["slide_id"]: row for row in catalog.read(LINKS).to_pylist() if row["slide_id"] in self.slides}
        self.cases: dict[CaseKey, list[Row]] = defaultdict(list)
        for row in catalog.read(REPORTS, columns=_REPORT_COLUMNS).to_pylist():
            self.cases[row["site"], row["accession"]].append(row)
        self.groups = {row["person_id"]: row["group_id"] for row in catalog.read(PERSONS).to_pylist()}
        self._persons = {
            (row["site"], row["accession"]): row["person_id"]
            for row in catalog.read(IDENTITIES).rename_columns({"id_value": "accession"}).to_pylist()
            if row["id_type"] == "accession"
        }
        self._of_case: dict[CaseKey, list[str]] = defaultdict(list)
        for slide_id, row in self.links.items():
            if row["accession"]:
                self._of_case[row["site"], row["accession"]].append(slide_id)

    def person(self, case: CaseKey | None) -> str | None:
        """The person whose case it is."""
        return self._persons.get(case) if case else None

    def case(self, slide_id: str) -> CaseKey | None:
        """The case that a slide is linked to."""
        link = self.links.get(slide_id)
        return (link["site"], link["accession"]) if link and link["accession"] else None

    def slides_of(self, case: CaseKey) -> list[str]:
        """Slides linked to a case, in order."""
        return sorted(self._of_case.get(case, ()))


class _Standing:
    """The workspace's cohorts and releases, and the codes by which they speak of things."""

    def __init__(self, workspace: Workspace, key: bytes) -> None:
        self._layer = internal_layer(key)
        self._ledgers = {path.parent.name: path for path in sorted(workspace.cohorts.glob("*/ledger.parquet"))}
        self._releases = list_releases(workspace.releases)
        names = sorted({*self._ledgers, *(path.parent.name for path in self._releases)})
        self._products = {name: product_layer(key, name) for name in names}

    def spoken_of(self, code: str, kind: str, *parts: str) -> Iterator[str]:
        """In which ways a code is that of a thing with this identifier, none if it is not."""
        internal = self._layer.code(kind, *parts)
        if parts == (code,):
            yield "identifier"
        if internal == code:
            yield "pseudonym of the workspace"
        yield from (
            f"pseudonym of product {name}" for name, layer in self._products.items() if layer.code(kind, internal) == code
        )

    def codes(self, slide_id: str | None, case: CaseKey | None, person: str | None) -> dict[str, str]:
        """The workspace's pseudonyms by the name of their column."""
        made = {
            "slide_id": self._layer.code("S", slide_id) if slide_id else None,
            "case_id": self._layer.code("C", *case) if case else None,
            "patient_id": self._layer.code("P", person) if person else None,
        }
        return {name: code for name, code in made.items() if code}

    def cohorts(self, things: Sequence[Mapping[str, str]]) -> dict[str, str]:
        """Cohort to the step at which the things left it, ``kept`` if one of them did not leave."""
        found = {}
        for name, path in self._ledgers.items():
            ledger = read_parquet(path)
            key = next(unit for unit in _UNITS if unit in ledger.column_names)
            steps = set(column_values(_rows(ledger, key, [thing[key] for thing in things if key in thing]), "step"))
            if steps:
                found[name] = KEPT if KEPT in steps else ", ".join(sorted(steps))
        return found

    def releases(self, things: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
        """Releases that hold one of the things; one that has only a wider key says by which."""
        found = []
        for directory in self._releases:
            layer = self._products[directory.parent.name]
            for entry in read_release(directory).tables.values():
                path = directory / str(entry["path"])
                units = [unit for unit in _UNITS if unit in read_schema(path).names]
                if not units:
                    found.append(f"{directory.parent.name}@{directory.name} (cannot be told: it has no key)")
                    continue
                codes = [layer.code(_UNITS[units[0]], thing[units[0]]) for thing in things if units[0] in thing]
                if _rows(read_parquet(path, [units[0]]), units[0], codes).num_rows:
                    by = "" if units[0] == _own_key(things) else f" (by {units[0]})"
                    found.append(f"{directory.parent.name}@{directory.name}{by}")
        return tuple(found)


def _own_key(things: Sequence[Mapping[str, str]]) -> str:
    return next((unit for unit in _UNITS if any(unit in thing for thing in things)), "")


def _rows(data: pa.Table, key: str, codes: Sequence[str]) -> pa.Table:
    return data.filter(pc.is_in(data[key], pa.array(codes, pa.string())))


@dataclass(slots=True)
class _Sought:
    """What a text names."""

    matched: set[str] = field(default_factory=set)
    slides: set[str] = field(default_factory=set)
    cases: set[CaseKey] = field(default_factory=set)

    def slide(self, how: str, slide_id: str) -> None:
        """A slide is meant."""
        self.matched.add(how)
        self.slides.add(slide_id)

    def case(self, how: str, case: CaseKey) -> None:
        """A case is meant."""
        self.matched.add(how)
        self.cases.add(case)


def _look(index: _Index, standing: _Standing, text: str) -> _Sought:
    sought = _Sought()
    folded = canonical(text)
    if not folded:
        return sought
    if _CODE.fullmatch(folded):
        _by_code(sought, index, standing, folded)
    _by_slide(sought, index, text, folded)
    _by_patient(sought, index, text, folded)
    if not sought.slides:
        # The file or barcode of one slide holds a number too, but then that slide is meant and not all of its case.
        _by_accession(sought, index, text, folded)
    for case in tuple(sought.cases):
        sought.slides.update(index.slides_of(case))
    sought.cases.update(case for case in map(index.case, sought.slides) if case)
    return sought


def _by_code(sought: _Sought, index: _Index, standing: _Standing, code: str) -> None:
    """By an identifier of the catalog, or a pseudonym of it: those cannot be turned back, so all are made again."""
    kind = code[0]
    match kind:
        case "S":
            for slide_id in index.slides:
                for how in standing.spoken_of(code, kind, slide_id):
                    sought.slide(how, slide_id)
        case "C":
            for key in index.cases:
                for how in standing.spoken_of(code, kind, *key):
                    sought.case(how, key)
        case "R":
            for key, reports in index.cases.items():
                for how in (how for report in reports for how in standing.spoken_of(code, kind, report["report_id"])):
                    sought.case(how, key)
        case _:
            for key in index.cases:
                person = index.person(key)
                for how in standing.spoken_of(code, kind, person if kind == "P" else index.groups[person]) if person else ():
                    sought.case(how, key)


def _by_slide(sought: _Sought, index: _Index, text: str, folded: str) -> None:
    name = text.casefold()
    for slide_id, row in index.slides.items():
        path = path_text(row["relpath"]).casefold()
        last = path.rpartition("/")[2]
        if name in {path, last, last.rpartition(".")[0]}:
            sought.slide("file name", slide_id)
        if row["barcode"] and canonical(row["barcode"]) == folded:
            sought.slide("barcode", slide_id)


def _by_patient(sought: _Sought, index: _Index, text: str, folded: str) -> None:
    card = card_number(text)
    for case, reports in index.cases.items():
        for report in reports:
            if report["patient_id"] and canonical(report["patient_id"]) == folded:
                sought.case("patient number", case)
            number = report["id_number"]
            if number and (canonical(number) == folded or (card and card_number(number) == card)):
                sought.case("identity card", case)


def _by_accession(sought: _Sought, index: _Index, text: str, folded: str) -> None:
    numbers = {
        (site, number)
        for site, patterns in index.patterns.items()
        for number in (patterns.normalise(text), *(key.key for key in patterns.find(text)))
    }
    for case, reports in index.cases.items():
        spellings = (report[name] for report in reports for name in _SPELLINGS if report[name])
        if case in numbers or any(canonical(spelling) == folded for spelling in spellings):
            sought.case("accession number", case)
    for key in index.keys:
        # Also a slide that bears the number and is not linked: why it is not is what one looks for.
        if (key["site"], key["key"]) in numbers and key["slide_id"] in index.slides:
            sought.slide("accession number", key["slide_id"])


def _slide_facts(index: _Index, standing: _Standing, slide_id: str) -> SlideFacts:
    row, link, case = index.slides[slide_id], index.links.get(slide_id, {}), index.case(slide_id)
    codes = standing.codes(slide_id, case, index.person(case))
    return SlideFacts(
        slide_id=slide_id,
        site=row["site"],
        archive=row["archive"],
        path=path_text(row["relpath"]),
        status=row["status"],
        tier=link.get("tier"),
        rule=link.get("rule"),
        evidence=tuple(link.get("evidence") or ()),
        losing_candidates=tuple(link.get("losing_candidates") or ()),
        accession=link.get("accession"),
        report_id=link.get("report_id"),
        cohorts=standing.cohorts([codes]),
        releases=standing.releases([codes]),
    )


def _case_facts(index: _Index, standing: _Standing, case: CaseKey) -> CaseFacts:
    person, slides = index.person(case), index.slides_of(case)
    codes = [standing.codes(slide_id, case, person) for slide_id in slides] or [standing.codes(None, case, person)]
    reports = sorted(index.cases.get(case, ()), key=precedence, reverse=True)
    return CaseFacts(
        site=case[0],
        accession=case[1],
        patient_ids=tuple(sorted({row["patient_id"] for row in reports if row["patient_id"]})),
        person_id=person,
        group_id=index.groups.get(person) if person else None,
        reports=tuple(f"{row['report_id']} {row['report_type']} {row['status']}" for row in reports),
        slides=tuple(slides),
        cohorts=standing.cohorts(codes),
        releases=standing.releases(codes),
    )
