"""Stage groups from categories, against the tables of the AJCC Cancer Staging Manual, 7th edition."""

import pytest

from pathcurate.text.staging import stage_of, staged_organs
from pathcurate.text.vocabulary import vocabulary


@pytest.mark.parametrize(
    ("organ", "categories", "stage"),
    [
        ("breast", ("T2", "N1a", "M0"), "IIB"),
        ("breast", ("T1c", "N1mi(sn)", "M0"), "IB"),
        ("breast", ("T1", "N0(i+)", "M0"), "IA"),
        ("breast", ("T1", "N1", "M0"), None),  # IB or IIA: N1mi is not told apart
        ("breast", ("T3", "N1", "M0"), "IIIA"),
        ("breast", ("T2", "NX", "M0"), None),
        ("breast", ("T4b", "N1", "M0"), "IIIB"),
        ("lung", ("T2", "N0", "M0"), None),
        ("lung", ("T2a", "N0", "M0"), "IB"),
        ("lung", ("T1b", "N2", "M0"), "IIIA"),
        ("lung", ("T4", "N2", "M0"), "IIIB"),
        ("colon", ("T3", "N0", "M0"), "IIA"),
        ("colon", ("T4a", "N2a", "M0"), "IIIC"),
        ("colon", ("T3", "N2", "M0"), "III"),
        ("rectum", ("T2", "N0", "M0"), "I"),
        ("stomach", ("T4a", "N3a", "M0"), "IIIC"),
        ("stomach", ("T1b", "N1", "M0"), "IB"),
        ("oesophagus", ("T3", "N1", "M0"), "IIIA"),
        ("oesophagus", ("T2", "N0", "M0"), None),
        ("liver", ("T3a", "N0", "M0"), "IIIA"),
        ("liver", ("T2", "N1", "M0"), "IVA"),
        ("pancreas", ("T3", "N1", "M0"), "IIB"),
        ("gallbladder", ("T2", "N1", "M0"), "IIIB"),
        ("bile_duct", ("T1", "N0", "M0"), "I"),
        ("bile_duct", ("T2b", "N0", "M0"), None),
        ("kidney", ("T3a", "N0", "M0"), "III"),
        ("kidney", ("T3a", "NX", "M0"), "III"),
        ("kidney", ("T2a", "NX", "M0"), None),
        ("bladder", ("T4a", "N0", "M0"), "III"),
        ("bladder", ("T4", "N1", "M0"), "IV"),
        ("skin_melanoma", ("T3b", "N0", "M0"), "IIB"),
        ("larynx", ("T3", "N2b", "M0"), "IVA"),
        ("larynx", ("T4a", "N0", "M0"), "IVA"),
        ("cervix", ("T1b1", "N0", "M0"), "IB1"),
        ("uterus", ("T1a", "N0", "M0"), "IA"),
        ("ovary", ("T3c", "NX", "M0"), "IIIC"),
        ("prostate", ("T2c", "N0", "M0"), "IIB"),
        ("prostate", ("T2a", "N0", "M0"), None),
        ("prostate", ("T3b", "N1", "M0"), "IV"),
        ("adrenal", ("T3", "N1", "M0"), "IV"),
        ("testis", ("T2", "N0", "M0"), "I"),
        ("testis", ("T2", "N1", "M0"), None),
        ("breast", ("T1", "N0", "M1"), "IV"),
        ("breast", (None, None, "M1"), "IV"),
        ("brain", ("T1", "N0", "M0"), None),
        ("colon", ("T1b", "N0", "M0"), "I"),
    ],
)
def test_stage_groups_of_the_seventh_edition(organ: str, categories: tuple[str | None, ...], stage: str | None) -> None:
    assert stage_of(organ, *categories) == stage


def test_m_is_assumed_only_on_request() -> None:
    assert stage_of("colon", "T3", "N0", "MX") is None
    assert stage_of("colon", "T3", "N0", None) is None
    assert stage_of("colon", "T3", "N0", "MX", assume_m0=True) == "IIA"
    assert stage_of("colon", "T3", "N0", None, assume_m0=True) == "IIA"
    assert stage_of("colon", "T3", "N0", "M1a", assume_m0=True) == "IVA"


def test_thyroid_needs_the_age_and_soft_tissue_the_grade() -> None:
    assert stage_of("thyroid", "T3", "N1b", "M0") is None
    assert stage_of("thyroid", "T3", "N1b", "M0", age=44) == "I"
    assert stage_of("thyroid", "T3", "N1b", "M0", age=45) == "IVA"
    assert stage_of("thyroid", "T1a", "N0", "M0") == "I"
    assert stage_of("soft_tissue", "T2b", "N0", "M0") is None
    assert stage_of("soft_tissue", "T2b", "N0", "M0", grade="G1") == "IB"
    assert stage_of("soft_tissue", "T2b", "N0", "M0", grade="G3") == "III"


def test_organs_with_a_table_are_organs_of_the_vocabulary() -> None:
    assert set(staged_organs()) - {"skin_melanoma"} <= set(vocabulary("organs").codes)
