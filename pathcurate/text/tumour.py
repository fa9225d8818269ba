"""What one section of a report says of a tumour, in the spellings of ``model.report.VALUES``, each with its place."""

import re
from bisect import bisect_left
from collections.abc import Mapping

from pathcurate.text.clauses import clause_end, clause_start
from pathcurate.text.codes import code_values
from pathcurate.text.found import Found
from pathcurate.text.grades import grade_values
from pathcurate.text.invasion import margin_values, vessel_values
from pathcurate.text.nodes import node_values
from pathcurate.text.sizes import size_values
from pathcurate.text.tnm import stage_values, tnm_values

_NODE_METASTASIS = re.compile(
    r"(?<![未无])(?<!未查)(?<!无癌)(?:见|有|查见|可见|伴)[^,。;\n未无]{0,6}(?:癌|瘤)[^,。;\n未无]{0,4}转移|\(\+\)"
)
_NO_NODE_METASTASIS = re.compile(r"(?:未见|未查见|无|未发现)[^,。;\n]{0,8}转移")
_EN_METASTASIS = re.compile(
    r"(?<!no )(?<!of )metastatic (?:adeno)?carcinoma (?:in|to|involving)|(?<!un)(?<!not )(?<!none )involved by"
)
_EN_NO_METASTASIS = re.compile(r"(?:negative for|no (?:evidence of[ .]{0,2})?(?:metasta|tumou?r|malignan|carcinoma))")
_THYROID = re.compile("甲状腺|thyroid")


def tumour_values(folded: str) -> list[Found]:
    """All values in a folded text of one section, ordered by place.

    Each value stands at the characters that say it; which diagnosis line it belongs to is for the caller to decide by that
    place. Values of one statement (grade and its system, nodes positive and examined) share a span. Counts of node groups
    are given apart, to be summed; where one total is said, the total alone is given.
    """
    found = [
        *tnm_values(folded),
        *stage_values(folded),
        *grade_values(folded),
        *size_values(folded),
        *node_values(folded),
        *margin_values(folded),
        *vessel_values(folded),
        *code_values(folded),
    ]
    found.sort(key=lambda one: one.start)
    return found


def inconsistencies(values: list[Found], folded: str) -> list[tuple[str, int, int]]:
    """Faults of a section whose statements cannot all be true, each with the place to look at.

    Names: ``nodes_positive_above_examined``, ``nodes_against_words`` (0/15 beside "metastasis seen", or 2/15 beside "none
    seen", in one clause), ``pn_against_nodes``, ``gleason_sum``, ``stage_against_m`` (stage 0 to II with M1, or IV with an
    early tumour and M0), ``stage_against_t`` (stage 0 with T1 or more, stage I with T4).
    """
    named: dict[str, list[Found]] = {}
    for one in values:
        named.setdefault(one.name, []).append(one)
    faults = [*_node_faults(named, folded), *_gleason_faults(named), *_stage_faults(named, folded)]
    return sorted(faults, key=lambda fault: fault[1])


def _of(values: Mapping[str, list[Found]], name: str) -> list[Found]:
    return values.get(name, [])


def _node_faults(values: Mapping[str, list[Found]], folded: str) -> list[tuple[str, int, int]]:
    faults = []
    examined = {(one.start, one.end): int(one.value) for one in _of(values, "nodes_examined")}
    positives = _of(values, "nodes_positive")
    starts = sorted(one.start for one in positives)
    for one in positives:
        span = (one.start, one.end)
        if span in examined and int(one.value) > examined[span]:
            faults.append(("nodes_positive_above_examined", *span))
        start, end = clause_start(folded, one.start, 60), clause_end(folded, one.end, 40)
        words = folded[start : one.start] + " " + folded[one.end : end]
        # Where both are said, or other groups share the clause, the words may be of another group.
        if bisect_left(starts, end) - bisect_left(starts, start) > 1:
            continue
        seen = _NODE_METASTASIS.search(words) or _EN_METASTASIS.search(words)
        unseen = _NO_NODE_METASTASIS.search(words) or _EN_NO_METASTASIS.search(folded, max(0, start - 24), end)
        if (one.value == 0 and seen and not unseen) or (int(one.value) > 0 and unseen and not seen):
            faults.append(("nodes_against_words", start, end))
    categories = _of(values, "pn")
    if positives and len({one.value for one in categories}) == 1:
        category, count = categories[0], sum(int(one.value) for one in positives)
        said = str(category.value)
        is_clear = said.startswith("N0") and "+" not in said
        # Deposits without nodes are N1c in the colon and N2c, N3 in the skin: those need no positive node.
        is_involved = said[1] in "123" and not said.startswith(("N1c", "N2c", "N3"))
        if (is_clear and count > 0) or (is_involved and count == 0):
            faults.append(("pn_against_nodes", category.start, category.end))
    return faults


def _gleason_faults(values: Mapping[str, list[Found]]) -> list[tuple[str, int, int]]:
    faults = []
    for one in _of(values, "grade"):
        sides, equals, total = str(one.value).partition("=")
        if equals and sum(int(side) for side in sides.split("+")) != int(total):
            faults.append(("gleason_sum", one.start, one.end))
    return faults


def _stage_faults(values: Mapping[str, list[Found]], folded: str) -> list[tuple[str, int, int]]:
    """Faults between the one stage and the one T and M of a text; none where it has several."""
    stages, tumours = ({str(one.value) for one in _of(values, name)} for name in ("stage", "pt"))
    nodes, metastases = ({str(one.value) for one in _of(values, name)} for name in ("pn", "pm"))
    if len(stages) != 1:
        return []
    stage, place = stages.pop(), _of(values, "stage")[0]
    main = re.match(r"0|IV|I{1,3}", stage)
    # Any differentiated thyroid carcinoma of a patient under 45 is stage I or II (AJCC 7th edition, chapter 8).
    if main is None or _THYROID.search(folded):
        return []
    faults = []
    t, m = (group.pop() if len(group) == 1 else "" for group in (tumours, metastases))
    is_early = t.startswith(("Tis", "T1", "T2")) and nodes == {"N0"}
    if (m.startswith("M1") and main[0] in ("0", "I", "II")) or (m == "M0" and main[0] == "IV" and is_early):
        faults.append(("stage_against_m", place.start, place.end))
    if (main[0] == "0" and t[1:2] in tuple("1234")) or (main[0] == "I" and t.startswith("T4")):
        faults.append(("stage_against_t", place.start, place.end))
    return faults
