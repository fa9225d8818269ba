"""Which slides and series are to be scrubbed, as whom, and what identifies them."""

import json
import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate import pseudonyms
from pathcurate.errors import PlanIncompleteError, UsageError
from pathcurate.model.annotation import ANNOTATIONS
from pathcurate.model.attrition import COHORT_FILE
from pathcurate.model.column import Identifying, Table
from pathcurate.model.deidentified import UNIT_KEYS, UNIT_TABLES
from pathcurate.model.filescrub import OwnValue
from pathcurate.model.link import LINKS
from pathcurate.model.person import PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.series import SERIES
from pathcurate.model.slide import FILES, SLIDES
from pathcurate.pseudonyms import Layer, Pseudonyms
from pathcurate.recoding.behind import gone_subjects
from pathcurate.releases import Release
from pathcurate.slidefiles import LayerCodes
from pathcurate.storage import path_text
from pathcurate.tables import Catalog, column_values, read_parquet
from pathcurate.verification import demand_seal
from pathcurate.workspace import Workspace

_OF_PERSON: Mapping[str, str] = {
    "patient_name": "name", "patient_id": "number", "id_number": "id", "phone": "phone", "accession": "case",
    "accession_raw": "case", "accession_external": "case", "address": "address",
}  # fmt: skip
"""Columns of `reports` to the kinds of what they identify."""
_KINDS: Mapping[str, str] = {
    "barcode": "barcode", "label_text": "label", "metadata_texts": "label", "accession_raw": "case", "patient_id": "number",
    "scanner_serial": "device", "relpath": "file", "study_uid": "uid", "series_uid": "uid", "patient_name": "name",
    "accession": "case", "serial": "device", "station": "device", "institution": "unit",
}  # fmt: skip
_LEAST_NAME_SIGNS = 5
_OFFLINE = "offline"
_RETURNED = "products/deliveries/"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files are asked for; one of ``cohort``, ``release`` and ``codes`` is given.

    Attributes:
        cohort: the name of a cohort: all slides of its rows, in the codes of the workspace.
        release: a release: all slides of its rows, in the codes of the product.
        codes: codes of slides and series, or their identifiers in the catalog, as the lines of a list; some may be empty.
        recipient: with a release: short name of who gets it, in whose codes the copies are. Nothing is chosen then that
            must not go out any more, nor what the catalog knows no longer: what goes out with the copies says so.
    """

    cohort: str | None = None
    release: Release | None = None
    codes: tuple[str, ...] = ()
    recipient: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Chosen:
    """One slide or series that is to be scrubbed.

    Attributes:
        kind: which of the two.
        identifier: in the catalog.
        code: of the layer; names the copies.
        patient: its code of the layer.
        case: its code of the layer.
        days: by which dates move.
        site: of which it is.
        archive: name of the archive root.
        members: paths below it, the main one first; of a MIRAX slide without its folder.
        format: of the table `slides`; ``dicom`` for a series.
        status: its state in the catalog.
        size: bytes of all its files, as far as the catalog knows.
        known: what the catalog knows that identifies it.
        opted_out: whether its person, case or site is not to be given away any more.
        drawn: files of shapes that lie on this slide alone.
    """

    kind: Literal["slide", "series"]
    identifier: str
    code: str
    patient: str | None
    case: str | None
    days: int
    site: str
    archive: str
    members: tuple[bytes, ...]
    format: str
    status: str
    size: int
    known: tuple[OwnValue, ...]
    opted_out: bool
    drawn: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class ScrubLayer:
    """The codes that the files get.

    Attributes:
        name: ``internal``, ``product NAME`` or ``recipient NAME of PRODUCT``.
        codes: for identifiers that stand in files.
        layer: for dates.
    """

    name: str
    codes: LayerCodes
    layer: Layer

    def of(self, internal: str | None) -> str | None:
        """The layer's code for an internal one."""
        for outer in self.codes.layers[1:]:
            internal = None if internal is None else outer.code(internal[0], internal)
        return internal


def scrub_layer(key: bytes, release: Release | None, recipient: str | None = None) -> ScrubLayer:
    """The internal layer, that of a release's product, or that of one recipient of it."""
    inside = pseudonyms.internal(key)
    if release is None:
        return ScrubLayer("internal", LayerCodes((inside.codes,)), inside)
    if recipient is not None:
        own = pseudonyms.recipient(key, release.name, recipient)
        return ScrubLayer(f"recipient {recipient} of {release.name}", LayerCodes((inside.codes, own.codes)), own)
    outside = pseudonyms.product(key, release.name)
    return ScrubLayer(f"product {release.name}", LayerCodes((inside.codes, outside.codes)), outside)


def choose(
    workspace: Workspace, selection: Selection, key: bytes, *, only_offline: bool = False
) -> tuple[ScrubLayer, list[Chosen]]:
    """What is asked for, in the order of its codes.

    Args:
        workspace: the workspace.
        selection: what is asked for.
        key: the vault's.
        only_offline: of that, only whose bytes cannot be read now.

    Raises:
        PlanIncompleteError: there is no such cohort.
        UsageError: a code or identifier is nobody's; it is named by its number.
    """
    layer = scrub_layer(key, selection.release, selection.recipient)
    given = layer if selection.recipient is None else scrub_layer(key, selection.release)
    chosen = _Choice(workspace, layer, given).chosen(selection, only_offline=only_offline)
    return layer, [one for one in chosen if selection.recipient is None or not one.opted_out]


def opted_out_of(workspace: Workspace, layer: ScrubLayer, codes: Iterable[str]) -> set[str]:
    """Of slides and series that were given away before, by their codes of the layer: whose must not be any more.

    One that the catalog does not know any more is among them: nobody can say whose it is.
    """
    wanted = set(codes)
    return wanted - {one.code for one in _Choice(workspace, layer).named(wanted) if not one.opted_out} if wanted else set()


class _Choice:
    """Looks up what stands behind codes; the internal codes are those of ``deid/``."""

    def __init__(self, workspace: Workspace, layer: ScrubLayer, given: ScrubLayer | None = None) -> None:
        self._workspace, self._layer = workspace, layer
        self._given = given or layer  # in whose codes the release is
        self._catalog = Catalog(workspace.catalog)
        self._inside: Pseudonyms = layer.codes.layers[0]
        self._opted_out = gone_subjects(workspace)
        self._drawn = _drawn(workspace, self._catalog)
        self._shown = read_parquet(workspace.deid / "slides.parquet", ("slide_id", "case_id", "patient_id", "group_id"))

    def chosen(self, selection: Selection, *, only_offline: bool) -> list[Chosen]:
        slides, series = self._wanted(selection)
        if only_offline:
            slides, series = slides & self._offline(SLIDES), series & self._offline(SERIES)
        rows = [*self._slides(slides), *self._series(series)]
        return sorted(rows, key=lambda one: one.code)

    def named(self, codes: Container[str]) -> Iterator[Chosen]:
        """Those with these codes of the layer."""
        yield from self._slides({code for code in self._codes_of(SLIDES).values() if self._layer.of(code) in codes})
        yield from self._series({code for code in self._codes_of(SERIES).values() if self._layer.of(code) in codes})

    def _wanted(self, selection: Selection) -> tuple[set[str], set[str]]:
        """Internal codes of the slides, and of the series."""
        if selection.codes:
            return self._listed(selection.codes)
        named = self._named_series(selection.release)
        if named is not None and selection.release and not selection.release.tables.keys() & set(UNIT_TABLES.values()):
            return set(), named
        unit, codes = self._rows(selection)
        if unit == "slide":
            return codes, named or set()
        column = UNIT_KEYS[unit]
        of_unit = pc.is_in(self._shown[column], value_set=pa.array(sorted(codes), pa.string()))
        if named is None:
            linked = self._series_links()
            named = {row["code"] for row in linked if row["case" if unit == "case" else "patient"] in codes}
        return set(column_values(self._shown.filter(of_unit), "slide_id")), named

    def _named_series(self, release: Release | None) -> set[str] | None:
        """Internal codes of the series that a release has a table of; None if it has none."""
        if release is None or SERIES.name not in release.tables:
            return None
        (key,) = SERIES.key
        given = {code for path in release.paths(SERIES.name) for code in column_values(read_parquet(path, (key,)), key)}
        inside = sorted(self._codes_of(SERIES).values())
        outer = self._given.codes.layers[-1].codes(str(SERIES[key].pseudonym), inside)
        return {code for code, shown in zip(inside, outer, strict=True) if shown in given}

    def _rows(self, selection: Selection) -> tuple[str, set[str]]:
        """The unit of a cohort or release, and the internal codes of its rows."""
        if selection.release is None:
            return self._cohort(str(selection.cohort))
        tables = selection.release.tables
        unit = next(unit for unit, name in UNIT_TABLES.items() if name in tables)
        key = UNIT_KEYS[unit]
        paths = selection.release.paths(UNIT_TABLES[unit])
        given = {code for path in paths for code in column_values(read_parquet(path, (key,)), key)}
        inside = sorted(set(filter(None, column_values(self._shown, UNIT_KEYS[unit]))))
        outer = self._given.codes.layers[-1].codes(UNIT_KEYS[unit][0].upper(), inside)
        found = {code for code, shown in zip(inside, outer, strict=True) if shown in given}
        if len(found) < len(given) and unit == "slide" and selection.recipient is None:
            raise PlanIncompleteError(
                f"{len(given) - len(found):,} slides of the release are not in the catalog any more",
                "Build a new version of the release, or bring back what it was made of; nothing was written.",
            )
        return unit, found

    def _cohort(self, name: str) -> tuple[str, set[str]]:
        directory = self._workspace.cohorts / name
        try:
            facts = json.loads((directory / COHORT_FILE).read_bytes())
            inputs, unit = facts["inputs"], facts["unit"]
        except (OSError, ValueError, KeyError, TypeError):
            raise PlanIncompleteError(
                "there is no such cohort", "Run `pathcurate cohort RECIPE` first; the recipe's name is the cohort's."
            ) from None
        if inputs != dict(demand_seal(self._workspace).tables):
            raise PlanIncompleteError(
                "the cohort was selected from other tables than there are now", "Run `pathcurate cohort RECIPE` again."
            )
        column = UNIT_KEYS[unit]
        return unit, set(column_values(read_parquet(directory / "cohort.parquet", (column,)), column))

    def _listed(self, texts: Sequence[str]) -> tuple[set[str], set[str]]:
        of_slide, of_series = self._codes_of(SLIDES), self._codes_of(SERIES)
        slides, series = set(of_slide.values()), set(of_series.values())
        wanted: tuple[set[str], set[str]] = set(), set()
        for number, text in enumerate(texts, start=1):
            if not text:
                continue
            # Identifiers of the catalog look like codes, so what a text is, only looking it up tells.
            if text in slides or text in of_slide:
                wanted[0].add(of_slide.get(text, text))
            elif text in series or text in of_series:
                wanted[1].add(of_series.get(text, text))
            else:
                raise UsageError(
                    f"line {number} of the list is no slide or series of this workspace",
                    "Give codes as deid/ has them (S-…, I-…), or identifiers of the catalog, one on each line.",
                )
        return wanted

    def _offline(self, table: Table) -> set[str]:
        """Internal codes of slides or series whose bytes cannot be read now, as far as the last scan knows."""
        key = table.key[0]
        asked = [name for name in ("status", "storage_state") if name in table.names]
        data = self._catalog.read(table, columns=(key, *asked))
        is_away = pa.repeat(pa.scalar(value=False), data.num_rows)
        for name in asked:
            is_away = pc.or_(is_away, pc.is_in(data[name], value_set=pa.array([_OFFLINE])))
        away = column_values(data.filter(is_away), key)
        return {str(code) for code in self._inside.codes(str(table[key].pseudonym), away)}

    def _codes_of(self, table: Table) -> dict[str, str]:
        """Identifier of the catalog to internal code."""
        key = table.key[0]
        identifiers = column_values(self._catalog.read(table, columns=(key,)), key)
        return dict(zip(identifiers, self._inside.codes(str(table[key].pseudonym), identifiers), strict=True))

    def _slides(self, wanted: set[str]) -> Iterator[Chosen]:
        if not wanted:
            return
        of_slide = {identifier: code for identifier, code in self._codes_of(SLIDES).items() if code in wanted}
        shown = {
            row["slide_id"]: row
            for row in self._shown.filter(pc.is_in(self._shown["slide_id"], value_set=pa.array(sorted(wanted)))).to_pylist()
        }
        rows = self._raw(SLIDES, of_slide)
        parts = self._parts(of_slide)
        links = {row["slide_id"]: row for row in self._raw(LINKS, of_slide, ("slide_id", "site", "accession"))}
        persons = self._persons((row["site"], row["accession"]) for row in links.values() if row["accession"])
        for row in rows:
            code = of_slide[row["slide_id"]]
            owner = shown.get(code, {})
            link = links.get(row["slide_id"], {})
            known = (*_known(SLIDES, row), *persons.get((link.get("site"), link.get("accession")), ()))
            yield self._made("slide", row, code, owner, parts.get(row["slide_id"], ()), str(row["format"] or "other"), known)

    def _series(self, wanted: set[str]) -> Iterator[Chosen]:
        if not wanted:
            return
        of_series = {identifier: code for identifier, code in self._codes_of(SERIES).items() if code in wanted}
        linked = {row["series_id"]: row for row in self._series_links()}
        parts = self._parts(of_series)
        persons = self._persons(
            (row["site"], row["accession"]) for row in linked.values() if row["series_id"] in of_series and row["accession"]
        )
        for row in self._raw(SERIES, of_series):
            link = linked.get(row["series_id"], {})
            owner = {"case_id": link.get("case"), "patient_id": link.get("patient"), "group_id": link.get("group")}
            known = (*_known(SERIES, row), *persons.get((link.get("site"), link.get("accession")), ()))
            yield self._made("series", row, of_series[row["series_id"]], owner, parts[row["series_id"]], "dicom", known)

    def _made(
        self, kind: Literal["slide", "series"], row: Mapping[str, Any], code: str, owner: Mapping[str, Any],
        parts: Sequence[bytes], format_: str, known: tuple[OwnValue, ...],
    ) -> Chosen:  # fmt: skip
        patient = owner.get("patient_id")
        members = tuple(dict.fromkeys([row["relpath"], *sorted(parts)]))
        return Chosen(
            kind, row[f"{kind}_id"], str(self._layer.of(code)), self._layer.of(patient),
            self._layer.of(owner.get("case_id")), self._layer.layer.dates.days(patient or code), row["site"], row["archive"],
            members, format_, row["status"], row["size_bytes"] or 0, known,
            self._is_opted_out(row["site"], owner.get("case_id"), owner.get("group_id"), patient, (kind, code)),
            self._drawn.get(row.get("slide_id", ""), ()),
        )  # fmt: skip

    def _raw(self, table: Table, identifiers: Iterable[str], columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
        key = table.key[0]
        wanted = pa.array(sorted(identifiers), pa.string())
        data = self._catalog.read(table, columns=columns)
        return data.filter(pc.is_in(data[key], value_set=wanted)).to_pylist()

    def _parts(self, identifiers: Iterable[str]) -> dict[str, list[bytes]]:
        """Files of slides and series that lie in several of equal rank."""
        if self._catalog.snapshot(FILES) is None:
            return {}
        data = self._catalog.read(FILES, columns=("relpath", "kind", "owner"))
        is_part = pc.and_(
            pc.is_in(data["kind"], value_set=pa.array(["slide_part", "series_part"])),
            pc.is_in(data["owner"], value_set=pa.array(sorted(identifiers), pa.string())),
        )
        found: dict[str, list[bytes]] = {}
        for row in data.filter(is_part).to_pylist():
            found.setdefault(row["owner"], []).append(row["relpath"])
        return found

    def _series_links(self) -> list[dict[str, Any]]:
        """Series with the internal codes of their case and person."""
        data = self._catalog.read(LINKS, columns=("series_id", "site", "accession", "person_id"))
        rows = data.filter(data["series_id"].is_valid()).to_pylist()
        cases = self._inside.codes("C", [row["site"] for row in rows], [row["accession"] or None for row in rows])
        people = self._inside.codes("P", [row["person_id"] for row in rows])
        codes = self._inside.codes("I", [row["series_id"] for row in rows])
        persons = self._catalog.read(PERSONS, columns=("person_id", "group_id")).to_pylist()
        group_of = {row["person_id"]: row["group_id"] for row in persons}
        groups = self._inside.codes("Q", [group_of.get(row["person_id"]) for row in rows])
        return [
            {**row, "code": code, "case": case, "patient": patient, "group": group}
            for row, code, case, patient, group in zip(rows, codes, cases, people, groups, strict=True)
        ]

    def _persons(self, cases: Iterable[tuple[str, str]]) -> dict[tuple[str | None, str | None], tuple[OwnValue, ...]]:
        """What the reports of a case say of its person, by site and number."""
        wanted = set(cases)
        if not wanted:
            return {}
        columns = [name for name in _OF_PERSON if name in REPORTS.names]
        data = self._catalog.read(REPORTS, columns=("site", *columns))
        data = data.filter(pc.is_in(data["accession"], value_set=pa.array(sorted({number for _, number in wanted}))))
        found: dict[tuple[str | None, str | None], dict[OwnValue, None]] = {}
        for row in data.to_pylist():
            if (case := (row["site"], row["accession"])) in wanted:
                values = found.setdefault(case, {})
                values.update({OwnValue(_OF_PERSON[name], str(row[name])): None for name in columns if row[name]})
        return {case: tuple(values) for case, values in found.items()}

    def _is_opted_out(
        self, site: str, case: str | None, group: str | None, patient: str | None, own: tuple[str, str]
    ) -> bool:
        asked = {("site", site), ("case", case), ("person", group), ("person", patient), ("patient", patient), own}
        return not self._opted_out.isdisjoint(asked)


def _drawn(workspace: Workspace, catalog: Catalog) -> dict[str, tuple[bytes, ...]]:
    """Files of shapes by the one slide that all of their shapes lie on."""
    if catalog.snapshot(ANNOTATIONS) is None:
        return {}
    slides: dict[str, set[str | None]] = {}
    for row in catalog.read(ANNOTATIONS, columns=("slide_id", "source_file")).to_pylist():
        # What recipients sent back is theirs, and in their codes.
        if not row["source_file"].startswith(_RETURNED):
            slides.setdefault(row["source_file"], set()).add(row["slide_id"])
    found: dict[str, list[bytes]] = {}
    for name, of_file in sorted(slides.items()):
        path = workspace.root / name
        if len(of_file) == 1 and (slide := next(iter(of_file))) is not None and path.is_file():
            found.setdefault(slide, []).append(os.fsencode(path))
    return {slide: tuple(paths) for slide, paths in found.items()}


def _known(table: Table, row: Mapping[str, Any]) -> Iterator[OwnValue]:
    """What a row of the catalog says that identifies."""
    for column in table.columns:
        kind, value = _KINDS.get(column.name), row.get(column.name)
        if kind is None or not value or column.identifying is not Identifying.DIRECT:
            continue
        if column.name == "relpath":
            yield from _of_path(value)
        else:
            yield from (OwnValue(kind, str(text)) for text in (value if isinstance(value, list) else [value]))


def _of_path(relpath: bytes) -> Iterator[OwnValue]:
    """Names of a path that may say whose it is: file and folders, without extension; stock words are short."""
    for part in PurePosixPath(path_text(relpath)).parts:
        stem = PurePosixPath(part).stem
        is_telling = len(stem) >= _LEAST_NAME_SIGNS and any(sign.isdigit() for sign in stem)
        if is_telling or any(ord(sign) >= 0x2E80 for sign in stem):
            yield OwnValue("file", stem)
