"""What a release rests on, gathered for the guards of ``lifecycle.yaml``.

Papers are those of the workspace's ``products/NAME.yaml`` of today, so that a renewed approval needs no new release; what
was relied upon goes into the signed statement. Of a product without that file, those that the release itself names.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from pathcurate.attestations import Attested, check_attestations
from pathcurate.digests import file_sha256
from pathcurate.errors import PlanIncompleteError
from pathcurate.model.evaluation import EVALUATION_PATH
from pathcurate.model.product import Entry
from pathcurate.model.productfile import PRODUCT_FILE, ProductFile
from pathcurate.model.rights import SourceStatement, Standing
from pathcurate.model.trust import LANGUAGE, Trust
from pathcurate.product.desk import Desk
from pathcurate.productfile import load_product_file, product_path
from pathcurate.releases import Release, checksums_bytes
from pathcurate.rights import standings
from pathcurate.rights.sources import read_sources
from pathcurate.signing import release_subject
from pathcurate.trustfile import load_trust


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the guards look at.

    Attributes:
        release: the release.
        entry: as it stands in the registry.
        file: what people say of the product; None if they say nothing.
        evaluation: ``quality/deid-evaluation.json``; empty for releases of before 0.6.0.
        sources: what of the release is whose; None if nobody wrote that down when it was built.
        standings: how the rights of each site stand today.
        attested: what is signed about it.
        trust: whose signatures count.
        today: the day.
    """

    release: Release
    entry: Entry
    file: ProductFile | None
    evaluation: Mapping[str, Any]
    sources: SourceStatement | None
    standings: Mapping[str, Standing]
    attested: tuple[Attested, ...]
    trust: Trust
    today: date


def gather(desk: Desk, release: Release, entry: Entry) -> Evidence:
    """Gather what a release rests on.

    Raises:
        UsageError: the product file or ``trust.yaml`` is not of its form.
        InputOutputError: something cannot be read.
    """
    trust = load_trust(desk.trust_file) if desk.trust_file.exists() else Trust(trust=LANGUAGE)
    evaluation = release.directory / EVALUATION_PATH
    return Evidence(
        release, entry, product_file(desk, release), json.loads(evaluation.read_bytes()) if evaluation.is_file() else {},
        _sources(desk, release),
        standings(desk.workspace, desk.today),
        _attested(release, trust),
        trust, desk.today,
    )  # fmt: skip


def once_signed(evidence: Evidence, entry: Entry) -> Evidence:
    """The same evidence when something more has been signed; no paper is read again, for the signature is of these."""
    return replace(evidence, entry=entry, attested=_attested(evidence.release, evidence.trust))


def _attested(release: Release, trust: Trust) -> tuple[Attested, ...]:
    subject = release_subject(checksums_bytes(release.directory))
    return check_attestations(release.directory, release.digest, subject.sm3 or "", trust)


def approval_of(desk: Desk, evidence: Evidence) -> Mapping[str, Any]:
    """The last day of the ethics approval that is relied upon, and of which file that was read, as a fact.

    Lists of many products then need not understand every file: one that has not changed says what it said.
    """
    paper = evidence.file.evidence.ethics if evidence.file is not None else None
    digest = file_digest(desk, evidence.release.name)
    if paper is None or paper.valid_until is None or digest is None:
        return {}
    return {"ethics": {"valid_until": str(paper.valid_until), "file": digest}}


def file_digest(desk: Desk, product: str) -> str | None:
    """Of what people say of a product today; None if they say nothing."""
    path = product_path(desk.workspace.root, product)
    return file_sha256(path) if path.is_file() else None


def _sources(desk: Desk, release: Release) -> SourceStatement | None:
    try:
        return read_sources(desk.workspace, release.name, release.version, release.digest)
    except PlanIncompleteError:
        return None


def product_file(desk: Desk, release: Release) -> ProductFile | None:
    """What people say of a product today; if nothing any more, what its release says."""
    for path in (product_path(desk.workspace.root, release.name), release.directory / PRODUCT_FILE):
        if path.is_file():
            return load_product_file(path)
    return None
