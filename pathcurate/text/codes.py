"""Codes that a text itself gives: ICD-10 and ICD-O-3."""

import re
from bisect import bisect_left
from collections.abc import Iterator

from pathcurate.text.found import Found

# ICD-O-3.2 (IARC and WHO 2020): four digits, behaviour 0, 1, 2, 3, 6 or 9, and sometimes a sixth digit for the grade.
_MORPHOLOGY = re.compile(r"[89](?<![0-9a-ln-z/.][89])\d{3}/[012369][1-9]?(?![0-9a-z%])")
_CODE = re.compile(
    r"[0-9](?<=[a-tv-z][0-9])(?<![a-z0-9.][a-z][0-9])[0-9]"
    r"(?:\.[0-9x]{1,3}(?:x\d{3})?)?[+*]?(?![0-9a-z/]|\.\d)"
)
_ICD10 = re.compile(r"icd ?-? ?10|icd编码|疾病编码|诊断编码|国临|国家临床|医保")
_ICDO = re.compile(r"icd ?-? ?[o0](?![0-9])|topograph|部位编码|解剖")


def code_values(folded: str) -> Iterator[Found]:
    """ICD-10, ICD-O-3 topography and morphology codes of a folded text.

    C50.9 alone can be of either classification: it is a topography where the text says so or a morphology follows, an
    ICD-10 code otherwise, and has an edition only where ICD-10 is named. Codes of six characters are Chinese ICD-10.
    """
    morphologies = []
    for hit in _MORPHOLOGY.finditer(folded):
        start = hit.start() - 1 if folded[hit.start() - 1 : hit.start()] == "m" else hit.start()
        if start < hit.start() and start and folded[start - 1].isascii() and folded[start - 1].isalnum():
            continue
        morphologies.append(hit.start())
        yield Found("icdo3_morphology", hit[0][:6], start, hit.end())
    for hit in _CODE.finditer(folded):
        yield from _code(folded, hit, morphologies)


def _code(folded: str, hit: re.Match[str], morphologies: list[int]) -> Iterator[Found]:
    start, end = hit.start() - 1, hit.end()
    text = folded[start:end]
    before = folded[max(0, start - 24) : start].rpartition("\n")[2]
    code = text[0].upper() + text[1:]
    icd10, icdo = _last(_ICD10, before), _last(_ICDO, before)
    is_chinese = len(text.rstrip("+*").partition(".")[2]) >= 3
    labelled = icd10 > icdo
    if not is_chinese and not labelled:
        beside = bisect_left(morphologies, start - 18) < bisect_left(morphologies, end + 13)
        if text[0] == "c" and (icdo >= 0 or (beside and "." in text)) and len(text) in (3, 5):
            yield Found("icdo3_topography", code, start, end)
            return
        # Without a dot or a label, A12 is as often a block, T12 a vertebra and C50 a stain; other chapters are too.
        if text[0] not in "cd" or "." not in text:
            return
    yield Found("icd10", code, start, end)
    if "医保" in before:
        yield Found("icd10_edition", "cn_insurance", start, end)
    elif "国临" in before or "国家临床" in before:
        yield Found("icd10_edition", "cn_clinical", start, end)
    elif is_chinese:
        yield Found("icd10_edition", "cn", start, end)
    elif labelled:
        yield Found("icd10_edition", "who", start, end)


def _last(pattern: re.Pattern[str], text: str) -> int:
    return max((hit.start() for hit in pattern.finditer(text)), default=-1)
