"""What a use and a policy say to one another: yes, no, or a person must say; never yes by default."""

from datetime import date
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.metadata.duo import duo_terms
from pathcurate.model.application import Application, Use
from pathcurate.model.productfile import Environment, Forbidden, Policy, ProductFile
from pathcurate.model.usematch import Answer, TermMatch, UseMatch
from pathcurate.usematching import match_use
from tests.contracted import USE, application
from tests.products import key

TODAY = date(2026, 1, 2)
SIGNER = key()
ETHICS = {"number": "E-1", "valid_until": "2027-01-01"}


def use_of(use: dict[str, Any] | None = None, **parts: Any) -> Application:
    return Application.model_validate_json(_json(application(signer=SIGNER, use=use, **parts)))


def _json(said: dict[str, Any]) -> str:
    import json

    return json.dumps(said)


def policy_of(*duo: str, **parts: Any) -> ProductFile:
    policy = {"duo": duo, "environment": "file", "forbidden": [], **parts}
    return ProductFile.model_validate({"product": 1, "name": "thorax", "policy": policy})


def matched(applied: Application, file: ProductFile, today: date = TODAY) -> dict[str, Answer]:
    return {one.term: one.answer for one in match_use(applied, file, today).terms}


def party(**parts: Any) -> dict[str, Any]:
    return {**application(signer=SIGNER)["applicant"], **parts}


Y, N, P = Answer.YES, Answer.NO, Answer.PERSON
GRU, HMB, DS, POA = "DUO_0000042", "DUO_0000006", "DUO_0000007", "DUO_0000011"
CASES: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], Answer]] = [
    # term, use, other parts of the application, policy, answer
    ("DUO_0000004", {"purpose": POA, "clinical_care": True}, {}, {}, Y),
    (GRU, {"purpose": GRU}, {}, {}, Y),
    (GRU, {"purpose": DS, "diseases": ["ICD-10:C34"]}, {}, {}, Y),
    (HMB, {"purpose": HMB}, {}, {}, Y),
    (HMB, {"purpose": DS, "diseases": ["ICD-10:C34"]}, {}, {}, Y),
    (HMB, {"purpose": GRU}, {}, {}, N),
    (HMB, {"purpose": POA}, {}, {}, N),
    (DS, {"purpose": HMB}, {}, {"diseases": ["ICD-10:C34"]}, N),
    (DS, {"purpose": DS}, {}, {"diseases": ["ICD-10:C34"]}, N),
    (DS, {"purpose": DS, "diseases": ["ICD-10:C34"]}, {}, {"diseases": ["ICD-10:C34"]}, Y),
    (DS, {"purpose": DS, "diseases": ["ICD-10:C34.1"]}, {}, {"diseases": ["ICD-10:C34"]}, Y),
    (DS, {"purpose": DS, "diseases": ["ICD-10-CN:C34.100x001"]}, {}, {"diseases": ["ICD-10-CN:C34.1"]}, Y),
    (DS, {"purpose": DS, "diseases": ["ICD-10:C34"]}, {}, {"diseases": ["ICD-10:C34.1"]}, N),
    (DS, {"purpose": DS, "diseases": ["ICD-10:C340"]}, {}, {"diseases": ["ICD-10:C34"]}, N),
    (DS, {"purpose": DS, "diseases": ["ICD-10:C34"]}, {}, {"diseases": ["ICD-10:C3"]}, N),
    (DS, {"purpose": DS, "diseases": ["ICD-10:C34.1", "ICD-10:C50"]}, {}, {"diseases": ["ICD-10:C34"]}, N),
    (DS, {"purpose": DS, "diseases": ["MONDO:0005233"]}, {}, {"diseases": ["MONDO:0005233"]}, Y),
    (DS, {"purpose": DS, "diseases": ["MONDO:0005233"]}, {}, {"diseases": ["MONDO:0005138"]}, P),
    (DS, {"purpose": DS, "diseases": ["MONDO:0005233"]}, {}, {"diseases": ["ICD-10:C34"]}, P),
    (DS, {"purpose": DS, "diseases": ["ICD-10:C50"]}, {}, {"diseases": ["ICD-10:C34", "MONDO:0005138"]}, P),
    (POA, {"purpose": POA}, {}, {}, Y),
    (POA, {"purpose": HMB, "ancestry": True}, {}, {}, N),
    ("DUO_0000044", {"ancestry": True}, {}, {}, N),
    ("DUO_0000044", {"purpose": POA}, {}, {}, N),
    ("DUO_0000044", {}, {}, {}, Y),
    ("DUO_0000015", {"methods": False, "trains_models": True}, {}, {}, N),
    ("DUO_0000015", {"methods": True, "trains_models": False}, {}, {}, N),
    ("DUO_0000015", {"methods": False, "trains_models": False}, {}, {}, Y),
    ("DUO_0000016", {"genetic": True}, {}, {}, Y),
    ("DUO_0000016", {}, {}, {}, N),
    ("DUO_0000046", {"commercial": True}, {}, {}, N),
    ("DUO_0000046", {}, {}, {}, Y),
    ("DUO_0000045", {}, {"applicant": party(not_for_profit=False)}, {}, N),
    ("DUO_0000045", {"commercial": True}, {}, {}, Y),
    ("DUO_0000018", {"commercial": True}, {}, {}, N),
    ("DUO_0000018", {}, {"applicant": party(not_for_profit=False)}, {}, N),
    ("DUO_0000018", {}, {}, {}, Y),
    ("DUO_0000019", {"publishes": False}, {}, {}, N),
    ("DUO_0000020", {}, {}, {}, N),
    ("DUO_0000020", {"collaborates": True}, {}, {}, Y),
    ("DUO_0000029", {}, {}, {}, N),
    ("DUO_0000029", {"returns_data": True}, {}, {}, Y),
    ("DUO_0000021", {}, {}, {}, N),
    ("DUO_0000021", {}, {"ethics": {"valid_until": "2030-01-01"}}, {}, N),
    ("DUO_0000021", {}, {"ethics": {"number": "E-1"}}, {}, P),
    ("DUO_0000021", {}, {"ethics": {**ETHICS, "valid_until": "2026-12-30"}}, {}, N),
    ("DUO_0000021", {}, {"ethics": {**ETHICS, "valid_until": "2026-12-31"}}, {}, Y),
    ("DUO_0000021", {}, {"ethics": {**ETHICS, "date": "2026-01-03"}}, {}, N),
    ("DUO_0000021", {}, {"ethics": {**ETHICS, "date": "2026-01-02"}}, {}, Y),
    ("DUO_0000022", {"leaves_country": True}, {}, {"forbidden": ["cross_border_transfer"]}, N),
    ("DUO_0000022", {}, {}, {"forbidden": ["cross_border_transfer"]}, Y),
    ("DUO_0000022", {}, {"applicant": party(country="DE")}, {"forbidden": ["cross_border_transfer"]}, P),
    ("DUO_0000025", {}, {}, {"valid_until": "2026-12-31"}, Y),
    ("DUO_0000025", {}, {}, {"valid_until": "2026-12-30"}, N),
    ("DUO_0000025", {}, {}, {}, P),
    ("DUO_0000043", {"clinical_care": True}, {}, {}, Y),
    ("DUO_0000012", {}, {}, {}, P),
    ("DUO_0000024", {}, {}, {}, P),
    ("DUO_0000026", {}, {}, {}, P),
    ("DUO_0000027", {}, {}, {}, P),
    ("DUO_0000028", {}, {}, {}, P),
]


@pytest.mark.parametrize(("code", "use", "parts", "policy", "answer"), CASES)
def test_a_term_is_answered_as_the_ontology_means_it(
    code: str, use: dict[str, Any], parts: dict[str, Any], policy: dict[str, Any], answer: Answer
) -> None:
    assert matched(use_of(use, **parts), policy_of(code, **policy))[code] is answer


def test_every_term_that_data_can_carry_has_a_case() -> None:
    assert {code for code, *_ in CASES} == set(duo_terms())


ASKED = {
    "export_raw_image": "exports_raw_images", "cross_border_transfer": "leaves_country", "distribute": "gives_on",
    "commercial_use": "commercial", "train_models": "trains_models",
}  # fmt: skip


@pytest.mark.parametrize("word", get_args(Forbidden))
def test_what_is_forbidden_and_asked_for_is_a_no(word: str) -> None:
    file, term = policy_of(GRU, forbidden=[word]), f"forbidden: {word}"
    assert matched(use_of({"trains_models": False}), file)[term] is Y
    if word != "reidentify":  # no application can ask for that
        found = match_use(use_of({"trains_models": False, ASKED[word]: True}), file, TODAY)
        assert (found.answer, matched(use_of({ASKED[word]: True}), file)[term]) == (N, N)


@pytest.mark.parametrize("asked", get_args(Environment))
@pytest.mark.parametrize("offered", get_args(Environment))
def test_data_is_only_where_it_is_offered(asked: str, offered: str) -> None:
    found = matched(use_of(environment=asked), policy_of(GRU, environment=offered))
    assert found["environment"] is (Y if asked == offered else N)


def test_the_care_of_patients_is_more_than_research() -> None:
    asked = use_of({"clinical_care": True})
    assert match_use(asked, policy_of(HMB), TODAY).answer is N
    assert match_use(asked, policy_of(HMB, "DUO_0000043"), TODAY).answer is Y
    assert match_use(use_of(), policy_of(HMB), TODAY).answer is Y


def test_days_and_reports_are_compared_and_a_use_that_is_over_is_none() -> None:
    assert matched(use_of(), policy_of(GRU, valid_until="2026-12-30"))["valid_until"] is N
    assert matched(use_of({"reports_use": False}), policy_of(GRU, report_use=True))["report_use"] is N
    assert matched(use_of(), policy_of(GRU), date(2027, 1, 1))["period"] is N
    assert "period" not in matched(use_of(), policy_of(GRU), date(2026, 12, 31))


def test_a_policy_that_allows_nothing_in_particular_is_for_a_person() -> None:
    for policy in (policy_of(), policy_of("DUO_0000045")):
        assert match_use(use_of(), policy, TODAY).answer is P
    unknown = match_use(use_of(), policy_of(GRU, "DUO_9999999"), TODAY)
    assert unknown.answer is P


def test_no_is_stronger_than_a_person_and_a_person_than_yes() -> None:
    def whole(*answers: Answer) -> Answer:
        return UseMatch([TermMatch("t", "t", "t", one, "") for one in answers]).answer

    assert (whole(Y, P, N), whole(N, P), whole(P, Y), whole(Y, Y), whole()) == (N, N, P, Y, Y)


FLAGS = [name for name, field in Use.model_fields.items() if field.annotation is bool]
uses = st.fixed_dictionaries({"purpose": st.sampled_from([GRU, HMB, DS, POA]), **{name: st.booleans() for name in FLAGS}})
policies = st.fixed_dictionaries(
    {
        "duo": st.lists(st.sampled_from(sorted(duo_terms())), max_size=5),
        "forbidden": st.lists(st.sampled_from(get_args(Forbidden)), unique=True, max_size=6),
        "valid_until": st.sampled_from([None, "2026-06-01", "2027-06-01"]),
        "report_use": st.booleans(),
    }
)
_RANK = {Y: 0, P: 1, N: 2}


@settings(max_examples=60, deadline=None)
@given(uses, policies, st.sampled_from([*sorted(duo_terms())]), st.sampled_from(get_args(Forbidden)))
def test_a_stricter_policy_never_answers_more_kindly(
    use: dict[str, Any], policy: dict[str, Any], term: str, word: str
) -> None:
    applied = use_of(use)
    before = match_use(applied, policy_of(*policy.pop("duo"), **policy), TODAY)
    codes = [one.term for one in before.terms if one.term in duo_terms()]
    if not codes or (term in {"DUO_0000004", "DUO_0000043"}):
        return  # a first permission, clinical care and `no restriction` widen what is allowed
    more = {**policy, "forbidden": [*policy["forbidden"], word] if word not in policy["forbidden"] else policy["forbidden"]}
    after = match_use(applied, policy_of(*codes, term, **more), TODAY)
    has_permission = any(duo_terms()[code].kind == "permission" for code in codes)
    if has_permission:
        assert _RANK[after.answer] >= _RANK[before.answer]


@settings(max_examples=60, deadline=None)
@given(uses, policies)
def test_each_thing_is_compared_once_and_says_nothing_of_the_applicant(use: dict[str, Any], policy: dict[str, Any]) -> None:
    canary = "张三的秘密"
    said = application(signer=SIGNER, use=use, project={"title": canary, "summary": canary}, safeguards=canary)
    said["applicant"] |= {"name": canary, "responsible": canary}
    file = ProductFile.model_validate({"product": 1, "name": "thorax", "policy": policy})
    found = match_use(Application.model_validate_json(_json(said)), file, TODAY)
    terms = [one.term for one in found.terms]
    assert len(terms) == len(set(terms))
    assert set(file.policy.duo) | {f"forbidden: {word}" for word in file.policy.forbidden} <= set(terms)
    assert canary not in str(found.as_dict())


def test_the_use_of_the_tests_answers_every_question() -> None:
    assert set(USE) == set(Use.model_fields)
    assert Policy().duo == ()
