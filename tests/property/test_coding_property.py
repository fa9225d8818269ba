"""Whatever a text holds, its terms are in order and apart, and what is coded is well formed."""

import re
from itertools import pairwise
from time import process_time

from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.model.diagnosis import ASSERTIONS, BEHAVIOURS
from pathcurate.model.report import MORPHOLOGY, TOPOGRAPHY
from pathcurate.text.assertion import Assertions
from pathcurate.text.coding import coder
from pathcurate.text.folding import fold
from pathcurate.text.vocabulary import vocabulary

PIECES = st.sampled_from(
    ["未见", "癌", "腺癌", "左", "肺", "淋巴结", "转移", "，", "。", "(", ")", ":",
     "原位", "切缘", "carcinoma", " ", "in situ", "metastatic",
     "lung", "from", "伴", "胃窦", "恶性", "良性", "、", "\n", "-"]
)  # fmt: skip
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=30).map("".join)


@settings(deadline=None)
@given(TEXTS, st.sampled_from([None, "lung", "lymph_node"]))
def test_any_text_is_coded(text: str, organ: str | None) -> None:
    folded = fold(text)
    terms = coder().terms(folded)
    assert all(one.end <= other.start for one, other in pairwise(terms))
    assert all(0 <= term.start < term.end <= len(folded) for term in terms)
    found = coder().code_line(folded, 0, len(folded), Assertions(folded), terms, organ)
    assert found.organ is None or found.organ in vocabulary("organs").codes
    assert found.topography is None or re.fullmatch(TOPOGRAPHY, found.topography)
    assert found.morphology is None or re.fullmatch(MORPHOLOGY, found.morphology)
    assert found.behaviour is None or found.behaviour in BEHAVIOURS
    assert found.assertion in ASSERTIONS
    assert found.morphology is None or found.assertion != "negated"
    assert all(0 <= start < end <= len(folded) for start, end in found.spans.values())


def test_a_line_without_end_is_coded_in_time() -> None:
    for piece in ("肺腺癌", "lung metastatic ", "切缘未见癌", "淋巴结转移"):
        folded = fold(piece * 2000)
        judge = Assertions(folded)
        began = process_time()
        coder().code_line(folded, 0, len(folded), judge)
        assert process_time() - began < 5
