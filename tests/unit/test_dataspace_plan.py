"""Evaluation plans: what a connector says it would do, compared with what it was told to."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.dataspace.evaluationplan import dropped, not_enforced
from pathcurate.dataspace.policies import connector_policy, offered_terms
from tests.edcserver import plan_of
from tests.unit.offerings import an_offering

TERMS = offered_terms(an_offering())
POLICY = connector_policy(TERMS)
SCOPE = "contract.negotiation"
OWN = "https://pathcurate.example/odrl#"
ODRL = "http://www.w3.org/ns/odrl/2/"
NS = "https://w3id.org/edc/v0.0.1/ns/"


def plan(*unbound: str) -> dict[str, Any]:
    return deepcopy(plan_of(POLICY, SCOPE, set(unbound)))


def lost(answer: Any) -> list[str]:
    return not_enforced(TERMS, answer, SCOPE)


def test_a_plan_with_every_rule_and_constraint_loses_nothing() -> None:
    assert lost(plan()) == []
    assert dropped(plan(), SCOPE) == []


ACTIONS = [f"{ODRL}use", f"{OWN}reidentify", f"{ODRL}distribute", f"{ODRL}delete", f"{OWN}provideEthicsApproval"]
OPERANDS = [f"{ODRL}dateTime", f"{OWN}environment", f"{OWN}releaseDigest", f"{ODRL}event"]


@pytest.mark.parametrize("word", [*ACTIONS, *OPERANDS])
def test_a_word_that_nobody_bound_is_named_with_its_scope(word: str) -> None:
    (sentence,) = lost(plan(word))
    assert sentence.startswith(f"{SCOPE}: ")
    assert word in sentence
    assert dropped(plan(word), SCOPE) != []


@pytest.mark.parametrize("kind", ["permissionSteps", "prohibitionSteps", "obligationSteps"])
@pytest.mark.parametrize("how", ["one fewer", "one more", "none", "no list", "a text"])
def test_steps_that_are_missing_or_too_many_are_told(kind: str, how: str) -> None:
    answer = plan()
    steps = answer[kind]
    answer[kind] = {
        "one fewer": steps[1:], "one more": [*steps, steps[0]], "none": [], "no list": None, "a text": "all is well",
    }[how]  # fmt: skip
    assert lost(answer) != []


def atoms(answer: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer["permissionSteps"][0]["constraintSteps"][0]["constraintSteps"]
    return found


def test_a_constraint_that_nothing_decides_is_not_enforced() -> None:
    answer = plan()
    del atoms(answer)[2]["functionName"]
    assert len(lost(answer)) == 1
    assert dropped(answer, SCOPE) != []


def test_a_constraint_that_is_gone_is_missed_even_if_another_stands_there_twice() -> None:
    answer = plan()
    found = atoms(answer)
    found[0] = found[1]
    assert any(f"{ODRL}dateTime" in sentence for sentence in lost(answer))


def test_constraints_of_which_one_is_enough_are_not_all_enforced() -> None:
    answer = plan()
    answer["permissionSteps"][0]["constraintSteps"][0]["@type"] = "OrConstraintStep"
    assert any("another form" in sentence for sentence in lost(answer))


def test_a_step_that_does_not_say_whether_it_is_filtered_counts_as_filtered() -> None:
    for value in (None, "false", 0, {"@value": "false"}):
        answer = plan()
        answer["prohibitionSteps"][0]["isFiltered"] = value
        assert lost(answer) != []
        answer = plan()
        atoms(answer)[0]["isFiltered"] = value
        assert lost(answer) != []


def test_reasons_for_filtering_count_whatever_else_is_said() -> None:
    answer = plan()
    answer["obligationSteps"][1]["filteringReasons"] = "action is not bound"
    assert lost(answer) != []


def compact(node: Any) -> Any:
    """As a connector without `@set` in its context would give it: prefixes, and no lists of one or none."""
    if isinstance(node, dict):
        return {
            key if key.startswith("@") else f"edc:{key}": compact(value) for key, value in node.items() if value != []
        } | ({"@type": f"{NS}{node['@type']}"} if "@type" in node else {})  # fmt: skip
    if isinstance(node, list):
        return compact(node[0]) if len(node) == 1 else [compact(each) for each in node]
    return {"@value": node} if isinstance(node, bool) else node


def test_a_plan_is_read_however_it_is_compacted() -> None:
    assert lost(compact(plan())) == []
    assert lost(compact(plan(f"{OWN}environment"))) != []


def test_the_schemas_name_for_obligations_is_read_as_well() -> None:
    answer = plan()
    answer["dutySteps"] = answer.pop("obligationSteps")
    assert lost(answer) == []


@pytest.mark.parametrize("answer", [None, [], "x", {}, {"@type": "PolicyEvaluationPlan"}, {"@type": ["a", "b"]}])
def test_an_answer_that_is_no_plan_enforces_nothing(answer: Any) -> None:
    assert lost(answer) != []
    assert dropped(answer, SCOPE) != []


def test_an_endless_plan_ends() -> None:
    node: dict[str, Any] = {"@type": "AndConstraintStep", "constraintSteps": []}
    for _ in range(3000):
        node = {"@type": "AndConstraintStep", "constraintSteps": [node]}
    answer = plan()
    answer["permissionSteps"][0]["constraintSteps"] = [node]
    assert lost(answer) != []
    assert dropped(answer, SCOPE) != []


def steps_of(node: Any) -> list[tuple[Any, Any]]:
    found = []
    if isinstance(node, dict):
        for value in node.values():
            found += steps_of(value)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            if isinstance(value, dict):
                found.append((node, index))
            found += steps_of(value)
    return found


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_whatever_step_is_taken_out_is_missed(data: st.DataObject) -> None:
    answer = plan()
    several, index = data.draw(st.sampled_from(range(len(steps_of(answer)))).map(lambda at: steps_of(answer)[at]))
    del several[index]
    assert lost(answer) != []
