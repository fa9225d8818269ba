"""What is signed about a release: statements whose predicates say what was relied upon.

Each names the head of the registry's chain when it was signed, so that a chain that was rewritten since does not pass.
"""

from typing import Any

from pathcurate.model.attestation import COMPLIANCE_CHECK, PRODUCT_RELEASE, REGISTRATION_RECEIPT, TEST_RESULT, Statement
from pathcurate.model.certificate import Certificate
from pathcurate.model.productfile import Paper
from pathcurate.model.registration import TestResult
from pathcurate.product.desk import Desk
from pathcurate.product.evidence import Evidence
from pathcurate.releases import Release, checksums_bytes
from pathcurate.signing import release_subject


def test_result(desk: Desk, release: Release, tested: TestResult) -> Statement:
    """What ``validate`` said (in-toto test-result v0.1)."""
    predicate = {
        "result": tested.as_dict()["result"],
        "configuration": [{"name": f"pathcurate {tested.tool} validate"}],
        "passedTests": list(tested.passed), "warnedTests": list(tested.warned), "failedTests": list(tested.failed),
    }  # fmt: skip
    return _statement(desk, release, TEST_RESULT, predicate)


test_result.__test__ = False  # type: ignore[attr-defined]


def product_release(desk: Desk, evidence: Evidence) -> Statement:
    """A steward's word: this is the product's version."""
    manifest = evidence.release.manifest
    predicate = {
        "contentDigest": manifest["content_digest"], "recipeLock": manifest["recipe"]["lock_sha256"],
        "previous": (manifest.get("previous") or {}).get("release_digest"), "counts": dict(manifest["counts"]),
    }  # fmt: skip
    return _statement(desk, evidence.release, PRODUCT_RELEASE, predicate)


def compliance_check(desk: Desk, evidence: Evidence) -> Statement:
    """A compliance officer's word: these papers and figures were looked at, and were in force."""
    file = evidence.file
    papers = file.evidence if file is not None else None
    sites = evidence.sources.sites if evidence.sources is not None else {}
    predicate = {
        "validation": {key: value for key, value in evidence.entry.facts["validation"].items() if key != "passed"},
        "deid": dict(evidence.release.manifest["deid"]),
        "ethics": _paper(papers.ethics) if papers else None,
        "impactAssessment": _paper(papers.impact_assessment) if papers else None,
        "riskAssessment": _paper(papers.risk_assessment) if papers else None,
        "legalBasis": list(papers.legal_basis) if papers else [],
        "source": file.source if file is not None else None,
        "permissions": dict(evidence.release.manifest["permissions"]),
        "sites": [_site(evidence, site) for site in sites],
    }
    return _statement(desk, evidence.release, COMPLIANCE_CHECK, predicate)


def registration_receipt(desk: Desk, release: Release, certificate: Certificate) -> Statement:
    """That an authority has registered a release, as its certificate says."""
    predicate = {
        "authority": certificate.authority, "scheme": certificate.scheme, "certificateNo": certificate.number,
        "issuedAt": str(certificate.issued), "validUntil": str(certificate.valid_until) if certificate.valid_until else None,
        "certificateSha256": certificate.sha256,
    }  # fmt: skip
    return _statement(desk, release, REGISTRATION_RECEIPT, predicate)


def _statement(desk: Desk, release: Release, kind: str, predicate: dict[str, Any]) -> Statement:
    events, head = desk.registry.head()
    common = {
        "product": release.manifest.get("urn", f"{release.name}@{release.version}"), "version": release.version,
        "registry": {"events": events, "head": head}, "at": desk.at,
    }  # fmt: skip
    return Statement((release_subject(checksums_bytes(release.directory)),), kind, {**common, **predicate})


def _paper(paper: Paper | None) -> dict[str, Any] | None:
    return paper.model_dump(mode="json", exclude_none=True) if paper is not None else None


def _site(evidence: Evidence, site: str) -> dict[str, Any]:
    standing = evidence.standings[site]
    return {
        "site": site, "holder": standing.holder, "authorisation": standing.authorisation,
        "validUntil": str(standing.valid_until) if standing.valid_until else None,
    }  # fmt: skip
