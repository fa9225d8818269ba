"""What is shown of cases, slides and series: all of it identified."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SlideFacts:
    """Where one slide stands, and why.

    Attributes:
        slide_id: its identifier in the catalog.
        is_meant: whether the text names this slide itself, and not only its case.
        site: its site.
        archive: name of its archive root.
        path: path below that root.
        status: its state.
        scanned: day of the scan.
        tier: how sure its link is, None before `link`.
        confidence: share of the sources that name the linked case, 0 to 1.
        rule: rule that decided.
        evidence: sources that name the linked case.
        remarks: what else speaks for the case or against it, in words.
        losing_candidates: other numbers that were named.
        accession: the linked case, None if there is none.
        report_id: the report that it is linked to.
        specimen: specimen letter.
        block: block number.
        stain: its stain.
        decisions: what people decided about the link, oldest first.
        annotations: how many shapes were drawn on it.
        cohorts: cohort to the step at which the slide, or its case or patient, left it; ``kept`` if it did not.
        releases: releases that hold it, or by whose key it cannot be told.
    """

    slide_id: str
    is_meant: bool
    site: str
    archive: str
    path: str
    status: str
    scanned: str | None
    tier: str | None
    confidence: float | None
    rule: str | None
    evidence: tuple[str, ...]
    remarks: tuple[str, ...]
    losing_candidates: tuple[str, ...]
    accession: str | None
    report_id: str | None
    specimen: str | None
    block: str | None
    stain: str | None
    decisions: tuple[str, ...]
    annotations: int
    cohorts: Mapping[str, str]
    releases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """One radiology series of a case or of its patient.

    Attributes:
        series_id: its identifier in the catalog.
        site: its site.
        archive: name of its archive root.
        path: smallest path of its instances below that root.
        status: its state.
        modality: kind of equipment.
        body_part: body part.
        day: day of the study.
        instance_count: how many images and other instances it has.
        accession: the linked case, None if it is linked to a patient only, or to nobody.
        person_id: its patient.
        tier: how sure its link is, None before `link`.
        rule: rule that decided.
        evidence: sources that name the linked case or the patient.
    """

    series_id: str
    site: str
    archive: str
    path: str
    status: str
    modality: str | None
    body_part: str | None
    day: str | None
    instance_count: int | None
    accession: str | None
    person_id: str | None
    tier: str | None
    rule: str | None
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PersonFacts:
    """The person behind a case.

    Attributes:
        person_id: the person: certain matches only.
        group_id: all persons who may be this one.
        basis: what makes the numbers one person, None before `link`.
        group_basis: why others are of the group too.
        numbers: every number that is the person's, with its site and kind.
    """

    person_id: str
    group_id: str | None
    basis: str | None
    group_basis: tuple[str, ...]
    numbers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """One report of a case.

    Attributes:
        report_id: its identifier in the catalog.
        report_type: its kind.
        status: its state.
        is_current: whether no other takes its place.
        reported: day on which it was signed.
        organ: its organ.
        diagnosis: the first words of its diagnosis.
    """

    report_id: str
    report_type: str
    status: str
    is_current: bool | None
    reported: str | None
    organ: str | None
    diagnosis: str | None


@dataclass(frozen=True, slots=True)
class GlassFacts:
    """One glass that the laboratory system knows.

    Attributes:
        material_id: its identifier in the catalog.
        glass_id: number on the glass.
        stain: its stain.
        slide_id: the slide that shows it, None if it was not scanned.
    """

    material_id: str
    glass_id: str | None
    stain: str | None
    slide_id: str | None


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """One block of a case, or what is known to be of no block.

    Attributes:
        specimen: specimen letter, None if it is not known.
        block: block number, None if it is not known.
        diagnoses: what the reports found in the specimen.
        named_by: who knows of the block: ``report``, ``laboratory table``, ``slide``.
        glass: its glass.
        slides: identifiers of the slides that are linked to it.
    """

    specimen: str | None
    block: str | None
    diagnoses: tuple[str, ...]
    named_by: tuple[str, ...]
    glass: tuple[GlassFacts, ...]
    slides: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CaseFacts:
    """Where one case stands.

    Attributes:
        site: its site.
        accession: its number.
        patient_ids: the site's numbers of its patient.
        person: the person, None if the reports do not name one.
        reports: its reports in the order of the case.
        blocks: its specimens and blocks in order.
        unlinked: identifiers of slides that name its number and are linked to another case or to none.
        series: identifiers of its series, and of its patient's that are of no case.
        cohorts: as for slides.
        releases: as for slides.
    """

    site: str
    accession: str
    patient_ids: tuple[str, ...]
    person: PersonFacts | None
    reports: tuple[ReportFacts, ...]
    blocks: tuple[BlockFacts, ...]
    unlinked: tuple[str, ...]
    series: tuple[str, ...]
    cohorts: Mapping[str, str]
    releases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What a text names.

    Attributes:
        matched: in which ways it is a number of something here.
        cases: the cases, and those of the slides and series that were meant.
        slides: every slide of these cases, and slides that were meant.
        series: likewise.
    """

    matched: tuple[str, ...] = ()
    cases: tuple[CaseFacts, ...] = ()
    slides: tuple[SlideFacts, ...] = ()
    series: tuple[SeriesFacts, ...] = ()
