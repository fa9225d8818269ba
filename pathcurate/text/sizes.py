"""Sizes of tumours: which of the measures in a text are the tumour's own."""

import re
from bisect import bisect_left
from collections.abc import Iterator

from pathcurate.text.clauses import clause_start
from pathcurate.text.found import Found

_UNIT = r"(?:cm|mm|㎝|㎜|厘米|毫米|公分)"
_NUMBER = r"[0-9]{1,3}(?:\.[0-9]{1,2})?"
_MEASURE = re.compile(
    rf"{_NUMBER}(?: ?[-~至] ?{_NUMBER})?(?: ?{_UNIT}? ?[x×*] ?{_NUMBER}(?: ?[-~] ?{_NUMBER})?){{0,2}} ?"
    rf"(?P<unit>{_UNIT})(?![a-z0-9²^])"
)
_FIGURE = re.compile(_NUMBER)
_TUMOUR = re.compile(
    "肿物|肿块|肿瘤|癌|结节|病灶|占位|包块|瘤(?![床栓旁])|浸润灶|息肉|"
    "tumor|tumour|mass|lesion|carcinoma|nodule|neoplasm|melanoma|sarcoma"
)
_OTHER = re.compile(
    "距|蒂|切缘|断端|残端|标本|(?<![癌瘤])组织(?!学)|淋巴结|转移|深度|浸润深|间距|厚度|脂肪|肠管|肠段|大弯|小弯|皮瓣|皮肤|大网膜|阑尾|输尿管|输卵管|"
    r"specimen|margin|nodes?\b|distance|container|fragment|portion|segment|invasion|depth|thick|metasta|uterus|ovary|"
    "breast (?:tissue|specimen)|kidney|adrenal|spleen|gallbladder|section|cuff|wall|length|received|skin|ellipse"
    "|appendix|"
    r"cervix|prostate (?:gland|measures|weighs)|lobe meas|excision|incision|scar|biopsy cavity|cavity|clip|tissue"
    r"|cyst\b"
)
_ORGAN = re.compile(
    "(?:子宫|宫颈|卵巢|肾|脾|乳腺|乳房|肺|肝|胆囊|胆管|胰腺|甲状腺|前列腺|睾丸|膀胱|食管|气管|精囊|阴道|胃|直肠|乳头)"
    r"(?!癌|肿|状|[^,。;\n]{0,4}[部处区壁内象侧窦体底角段管极叶])"
)
_THING_AFTER = re.compile(
    r"(?:大小|大)?[的之]?(?:灰白|灰红|灰黄|质硬|隆起|溃疡|型|色|性|实性){0,3}(?:肿物|肿块|结节|癌灶|肿瘤|包块|病灶)"
    r"|[ ,]{1,2}(?:[a-z-]{1,14}[ ,.]{1,2}){0,3}(?:tumou?r|mass|carcinoma|lesion|nodule|neoplasm)\b"
)
_DISTANCE_AFTER = re.compile(r"[ .]{0,2}(?:from|away|to the|or less|or more|less|and|but|of the)\b|(?:以[上下]|内|处)")
_BOUND = re.compile(
    r"(?:[<>≤≥]|大于|小于|超过|不足|more than|less than|greater than|at least|up to|over|exceed\w*|beyond|within"
    r"|than)[ =]{0,2}\Z"
)
_DEFINED = re.compile(r"(?:[<>≤≥]|more than|greater than|less than)")
_FROM = re.compile(r"距[^,\d]*\Z")
_FACTORS = {"cm": 10.0, "㎝": 10.0, "厘米": 10.0, "公分": 10.0, "mm": 1.0, "㎜": 1.0, "毫米": 1.0}


def size_values(folded: str) -> Iterator[Found]:
    """The largest dimension in mm of each tumour that a folded text measures.

    A measure counts if the last thing named before it in its clause, or the thing named directly after it, is a tumour;
    specimens, distances to a margin, depths, metastases and the bounds of a T category do not.
    """
    if not ("cm" in folded or "mm" in folded or "米" in folded or "㎝" in folded or "㎜" in folded or "公分" in folded):
        return
    tumours = [-1]
    for hit in _MEASURE.finditer(folded):
        start, end = hit.start(), hit.end()
        if start and (folded[start - 1].isdigit() or folded[start - 1] in "./"):
            continue
        if tumours == [-1]:
            tumours += [word.start() for word in _TUMOUR.finditer(folded)]
        last = tumours[bisect_left(tumours, start) - 1]
        if not _is_tumour(folded, start, end, last):
            continue
        largest = max(float(figure) for figure in _FIGURE.findall(hit[0]))
        if largest > 0:
            yield Found("tumour_size_mm", round(largest * _FACTORS[hit["unit"]], 2), start, end)


def _is_tumour(folded: str, start: int, end: int, tumour: int) -> bool:
    """Whether a measure is of the tumour last named before it, at `tumour`, or of one named directly after."""
    low = clause_start(folded, start, 70) if start - tumour < 70 else start
    follows = _THING_AFTER.match(folded, end) is not None
    if not follows and tumour < low:
        return False
    near = max(low, start - 14)
    if _BOUND.search(folded, near, start) or _DISTANCE_AFTER.match(folded, end) or _FROM.search(folded, near, start):
        return False
    if follows:
        return True
    if "metasta" in folded[max(low, tumour - 14) : tumour] or "转移" in folded[max(low, tumour - 3) : tumour]:
        return False
    between = (tumour, start)
    return not (_OTHER.search(folded, *between) or _ORGAN.search(folded, *between) or _DEFINED.search(folded, *between))
