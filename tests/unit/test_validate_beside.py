"""What ``validate`` finds beside a release's tables: receipts of registration, and commitments to its sources."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pathcurate.attestations import write_attestation
from pathcurate.model.attestation import PRODUCT_RELEASE, REGISTRATION_RECEIPT, Statement, Subject
from pathcurate.model.manifest import COMMITMENT_PATH, COMMITMENTS_PATH
from pathcurate.model.validationrules import RULES
from pathcurate.releases import checksums_bytes
from pathcurate.signing import Ed25519Signer, release_subject, sign
from pathcurate.validate import Choice, validate
from tests.releases import build_wide, copied, reseal, write

TODAY = date(2026, 3, 1)


@pytest.fixture
def release(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(build_wide(tmp_path_factory), tmp_path / "release")


def receipt(release: Path, until: object, kind: str = REGISTRATION_RECEIPT, subject: Subject | None = None) -> None:
    """Lay a receipt beside a release, as an authority's certificate makes one."""
    about = subject or release_subject(checksums_bytes(release))
    statement = Statement((about,), kind, {"at": "2026-01-01T00:00:00+00:00", "validUntil": until})
    envelope = sign(statement, [Ed25519Signer(Ed25519PrivateKey.generate())])
    write_attestation(release, f"registration.{len(list(release.glob('attestations/*')))}", envelope)


def broken(release: Path, today: date = TODAY, *select: str) -> set[str]:
    result = validate(release, Choice(select=select or ("PC-EXP",), today=today))
    assert result.exit_code("error", RULES) == (6 if any(one.rule == "PC-EXP-002" for one in result.findings) else 0)
    return {one.rule for one in result.findings}


@pytest.mark.parametrize(
    ("until", "today", "found"),
    [
        ("2026-02-28", TODAY, {"PC-EXP-002"}), ("2026-03-01", TODAY, {"PC-EXP-006"}), ("2026-12-31", TODAY, set()),
        (None, TODAY, set()), ("soon", TODAY, set()), (7, TODAY, set()),
    ],
)  # fmt: skip
def test_the_certificate_of_a_receipt_expires(release: Path, until: object, today: date, found: set[str]) -> None:
    receipt(release, until)
    assert broken(release, today) == found


def test_a_renewed_certificate_counts(release: Path) -> None:
    receipt(release, "2026-02-01")
    receipt(release, "2028-02-01")
    assert broken(release) == set()


def test_a_receipt_of_another_release_says_nothing(release: Path) -> None:
    receipt(release, "2026-02-01", subject=Subject("manifest-sha256.txt", "0" * 64))
    receipt(release, "2026-02-01", kind=PRODUCT_RELEASE)
    (release / "attestations" / "registration.9.json").write_text("{")
    assert broken(release) == set()


def test_a_receipt_counts_where_nobody_says_anything_of_the_product(release: Path) -> None:
    write(release, "product.yaml", None)
    receipt(release, "2026-02-01")
    assert "PC-EXP-002" in broken(release, TODAY, "PC-EXP")


@pytest.fixture
def committed(tmp_path: Path) -> Path:
    """A release of a workspace that had its sources at hand."""
    return copied(Path(__file__).parents[1] / "fixtures" / "releases" / "0.9.0", tmp_path / "committed")


def _without_a_slide(path: Path) -> None:
    pq.write_table(pq.read_table(path).slice(1), path)


def _of_another_slide(path: Path) -> None:
    data = pq.read_table(path)
    codes = data["slide_id"].to_pylist()
    index = data.schema.get_field_index("slide_id")
    changed = data.set_column(index, data.schema.field(index), [["S-9999999999999999", *codes[1:]]])
    pq.write_table(changed, path)


@pytest.mark.parametrize(("damage", "count"), [(_without_a_slide, 1), (_of_another_slide, 2), (Path.unlink, 1)])
def test_each_slide_has_one_commitment(committed: Path, damage: Callable[[Path], None], count: int) -> None:
    assert broken(committed, TODAY, "PC-LNK-006") == set()
    damage(committed / COMMITMENTS_PATH)
    reseal(committed)
    found = [one for one in validate(committed, Choice(select=("PC-LNK-006",))).findings if one.rule == "PC-LNK-006"]
    assert len(found) == count
    assert not any("9999" in one.message for one in found)


def test_a_release_that_commits_to_nothing_breaks_nothing(committed: Path) -> None:
    for relpath in (COMMITMENTS_PATH, COMMITMENT_PATH):
        (committed / relpath).unlink()
    reseal(committed)
    result = validate(committed, Choice(select=("PC-LNK-006",)))
    assert (result.findings, set(result.inapplicable)) == ((), {"PC-LNK-006"})
