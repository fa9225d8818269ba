"""Stains and molecular results of any text: in its bounds, in their vocabularies, in time proportional to its length."""

import gc
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathcurate.model.diagnosis import IHC_RESULTS, INTENSITIES, STAIN_RESULTS
from pathcurate.model.report import VALUES
from pathcurate.text.folding import fold
from pathcurate.text.immunostains import stains
from pathcurate.text.molecular import molecular_results
from pathcurate.text.vocabulary import vocabulary

PIECES = (
    "ER",
    "PR",
    "HER2",
    "Ki-67",
    "CK5/6",
    "CK",
    "MLH1",
    "PMS2",
    "PD-L1(22C3)",
    "S-100",
    "雌激素受体",
    "EGFR",
    "ALK",
    "BRAF V600E",
    "1p/19q",
    "（+）",
    "(-)",
    "+",
    "-",
    "2+",
    "(3+，90%，强)",
    "约30%",
    "阳性",
    "阴性",
    "缺失",
    "均",
    "未",
    "表达",
    "positive",
    "negative for ",
    "of ",
    "CPS=10",
    "TPS<1%",
    "血管+",
    "、",
    "，",
    "。",
    "\n",
    "(",
    ")",
    "（",
    " ",
    "免疫组化（A3）：",
    "蜡块号：2",
    "fusion",
    "L858R",
    "19外显子",
    "突变",
    "野生型",
    "未检出",
    "not detected",
    "exon 19 deletion",
    "FISH",
    "p.Gly12Asp",
    "c.35G>A",
    "TMB 12.5 mut/Mb",
    "MSI-H",
    "999%",
    "①",
)
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=30).map("".join)
SCORE = re.compile(next(column.pattern or "" for column in IHC_RESULTS.columns if column.name == "score"))
RESULT = re.compile(next(column.pattern or "" for column in VALUES if column.name == "molecular_results"))


@given(TEXTS)
def test_a_stain_stands_in_its_text_and_holds_declared_values(text: str) -> None:
    folded = fold(text)
    end = 0
    for stain in stains(folded):
        assert 0 <= stain.start < stain.end <= len(folded)
        assert stain.start >= end, "in the order of the text"
        end = stain.start
        assert stain.marker in vocabulary("markers").codes
        assert stain.result in STAIN_RESULTS
        assert stain.intensity is None or stain.intensity in INTENSITIES
        assert stain.score is None or SCORE.fullmatch(stain.score)
        assert (stain.percent_low is None) == (stain.percent_high is None)
        if stain.percent_low is not None and stain.percent_high is not None:
            assert 0 <= stain.percent_low <= stain.percent_high <= 100
        assert stain.block is None or re.fullmatch(r"[A-Z]?\d{1,3}(-\d{1,2})?", stain.block)


@given(TEXTS)
def test_a_molecular_result_stands_in_its_text_and_fits_its_column(text: str) -> None:
    folded = fold(text)
    values = []
    for found in molecular_results(folded):
        assert found.name == "molecular_results"
        assert 0 <= found.start < found.end <= len(folded)
        assert RESULT.fullmatch(str(found.value))
        assert str(found.value).partition("=")[0] in vocabulary("genes").codes
        values.append(found.value)
    assert len(values) == len(set(values))


@given(st.sampled_from(vocabulary("markers").codes), st.sampled_from(["(+)", "（阳性）", ": positive", "（+，30%）"]))
def test_every_marker_is_found_with_a_plain_result(marker: str, result: str) -> None:
    (stain,) = stains(fold(f"免疫组化：{marker}{result}"))
    expected = {"MLH1", "MSH2", "MSH6", "PMS2"}
    assert stain.marker == marker
    scored_low = marker == "HER2" and result == "(+)"
    assert stain.result == ("retained" if marker in expected else "negative" if scored_low else "positive")


@given(TEXTS)
def test_a_sentence_before_changes_nothing_but_the_place(text: str) -> None:
    before = "镜下所见如上。\n"
    moved = [(*stain[:6], stain.start - len(before)) for stain in stains(fold(before + text))]
    assert moved == [(*stain[:6], stain.start) for stain in stains(fold(text))]


@pytest.mark.parametrize(
    "piece",
    [
        "ER(ER(ER(",
        "ER",
        "ER ",
        "ER: ",
        "((((",
        "+-",
        "ER、",
        "ER+-",
        "negative for ER ",
        "EGFR ",
        "EGFR未",
        "EGFR 19外显子",
        "1",
        "ER 约",
        "c.1",
        "蜡块",
        "ihc",
        "MSI",
        "fusion of ",
        "ER(" + " " * 50,
    ],
)
def test_hostile_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    times = []
    for length in (25_000, 100_000):
        folded = fold((piece * length)[:length])
        # Collecting garbage takes time in proportion to all that other tests have left in this process.
        gc.disable()
        try:
            began = time.process_time()
            stains(folded)
            molecular_results(folded)
            times.append(time.process_time() - began)
        finally:
            gc.enable()
    assert times[1] < 2.0
    assert times[1] < 12 * times[0] + 0.1
