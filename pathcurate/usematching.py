"""Compares what somebody wants data for with what its policy allows, term by term of the Data Use Ontology.

Three answers, as in REMS' matching (https://github.com/CSCfi/rems, docs/duo.md): yes, no, or a person must say, because the
term is about something that no form can tell. A policy's own words (``forbidden``, ``environment``, ``valid_until``) are
compared likewise. Yes is no approval: named persons give that.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date

from pathcurate.metadata.duo import DuoTerm, duo_terms
from pathcurate.model.application import Application
from pathcurate.model.productfile import Policy, ProductFile
from pathcurate.model.usematch import Answer, TermMatch, UseMatch

_Found = tuple[Answer, str]
_PREFIXED = ("ICD-10", "ICD-10-CN", "ICD-O")
"""Code systems in which a code that begins with another, up to a point, is a part of it."""


def match_use(application: Application, file: ProductFile, today: date) -> UseMatch:
    """Compare a use with a policy.

    Args:
        application: what somebody wants.
        file: what the holder says of the product.
        today: the day.
    """
    policy = file.policy
    known = duo_terms()
    found = [_match(code, known.get(code), application, policy) for code in dict.fromkeys(policy.duo)]
    return UseMatch((*found, *_forbidden(application, policy), *_rest(application, policy, today)))


def _match(code: str, term: DuoTerm | None, application: Application, policy: Policy) -> TermMatch:
    if term is None:
        return TermMatch(code, code, code, Answer.PERSON, "this version of pathcurate does not know the term")
    answer, why = _TERMS.get(code, _by_person)(application, policy)
    if term.unsaid:
        answer, why = Answer.PERSON, f"it is about {term.unsaid}, which no form says"
    return TermMatch(code, term.en, term.zh, answer, why)


def _by_person(_application: Application, _policy: Policy) -> _Found:
    return Answer.PERSON, "whether it holds, only a person can say"


def _if(holds: bool, yes: str, no: str) -> _Found:
    return (Answer.YES, yes) if holds else (Answer.NO, no)


def _general(_application: Application, _policy: Policy) -> _Found:
    return Answer.YES, "any research is allowed"


def _health(application: Application, _policy: Policy) -> _Found:
    purpose = application.use.purpose
    if purpose in {"DUO_0000006", "DUO_0000007"}:
        return Answer.YES, "the use is health, medical or biomedical research"
    if purpose == "DUO_0000042":
        return Answer.NO, "the use is general research, which is more than health research"
    return Answer.NO, "the use is research on ancestry"


def _disease(application: Application, policy: Policy) -> _Found:
    use = application.use
    if use.purpose != "DUO_0000007":
        return Answer.NO, "the use is not limited to diseases, and the policy is"
    if not use.diseases:
        return Answer.NO, "the use names no disease"
    outside = [code for code in use.diseases if not any(_is_within(code, allowed) for allowed in policy.diseases)]
    if not outside:
        return Answer.YES, "every disease of the use is one that the policy names, or a part of one"
    if all(_may_be_within(code, policy.diseases) for code in outside):
        return Answer.PERSON, f"whether {', '.join(outside)} lies within what the policy names, only a person can say"
    return Answer.NO, f"{', '.join(outside)} is none of the diseases that the policy names"


def _is_within(code: str, allowed: str) -> bool:
    if code == allowed:
        return True
    (system, _, own), (other, _, wide) = code.upper().partition(":"), allowed.upper().partition(":")
    # C34 holds C34.1, and C34.1 holds C34.10; C3 holds nothing, for it is no code.
    return system == other and system in _PREFIXED and own.startswith(wide if "." in wide else f"{wide}.")


def _may_be_within(code: str, allowed: tuple[str, ...]) -> bool:
    """Whether a code can lie within one of these: of an ontology, or of another system than one of them."""
    systems = {one.upper().partition(":")[0] for one in (code, *allowed)}
    return len(systems) > 1 or not systems <= set(_PREFIXED)


def _ancestry_only(application: Application, _policy: Policy) -> _Found:
    return _if(application.use.purpose == "DUO_0000011", "the use is research on ancestry", "the use is another")


def _no_ancestry(application: Application, _policy: Policy) -> _Found:
    studied = application.use.ancestry or application.use.purpose == "DUO_0000011"
    return _if(not studied, "ancestry is not studied", "ancestry is studied")


def _no_methods(application: Application, _policy: Policy) -> _Found:
    use = application.use
    return _if(not (use.methods or use.trains_models), "no methods are developed", "methods are developed")


def _genetic(application: Application, _policy: Policy) -> _Found:
    return _if(application.use.genetic, "the use is genetic research", "the use is no genetic research")


def _non_commercial(application: Application, _policy: Policy) -> _Found:
    return _if(not application.use.commercial, "the use is not commercial", "the use is commercial")


def _non_profit(application: Application, _policy: Policy) -> _Found:
    holds = application.applicant.not_for_profit
    return _if(holds, "the applicant makes no profit", "the applicant is no non-profit organisation")


def _non_profit_non_commercial(application: Application, policy: Policy) -> _Found:
    profit, commercial = _non_profit(application, policy), _non_commercial(application, policy)
    return profit if profit[0] is Answer.NO else commercial


def _publishes(application: Application, _policy: Policy) -> _Found:
    return _if(application.use.publishes, "results will be published", "results will not be published")


def _collaborates(application: Application, _policy: Policy) -> _Found:
    return _if(application.use.collaborates, "the holder takes part", "the holder does not take part")


def _returns(application: Application, _policy: Policy) -> _Found:
    return _if(application.use.returns_data, "derived data comes back", "derived data does not come back")


def _ethics(application: Application, _policy: Policy) -> _Found:
    paper = application.ethics
    if paper is None or paper.number is None:
        return Answer.NO, "no approval of an ethics committee is named"
    if paper.date is not None and paper.date > application.period.first:
        return Answer.NO, f"the approval is of {paper.date}, after the use begins"
    if paper.valid_until is None:
        return Answer.PERSON, "the approval names no last day"
    if paper.valid_until < application.period.last:
        return Answer.NO, f"the approval ends on {paper.valid_until}, before the use does"
    return Answer.YES, f"an approval is named that is valid until {paper.valid_until}"


def _stays(application: Application, policy: Policy) -> _Found:
    if application.use.leaves_country:
        return Answer.NO, "the data would leave the country"
    if "cross_border_transfer" in policy.forbidden and application.applicant.country != "CN":
        return Answer.PERSON, "the applicant is in another country"
    return Answer.YES, "the data stays in the country"


def _in_time(application: Application, policy: Policy) -> _Found:
    if policy.valid_until is None:
        return Answer.PERSON, "the policy names no last day"
    return _until(application, policy.valid_until)


def _until(application: Application, last: date) -> _Found:
    return _if(application.period.last <= last, f"the use ends by {last}", f"the use goes on after {last}")


def _clinical(_application: Application, _policy: Policy) -> _Found:
    return Answer.YES, "the care of patients is allowed as well"


_TERMS: Mapping[str, Callable[[Application, Policy], _Found]] = {
    "DUO_0000004": _general, "DUO_0000042": _general, "DUO_0000006": _health, "DUO_0000007": _disease,
    "DUO_0000011": _ancestry_only, "DUO_0000015": _no_methods, "DUO_0000016": _genetic,
    "DUO_0000018": _non_profit_non_commercial, "DUO_0000019": _publishes, "DUO_0000020": _collaborates,
    "DUO_0000021": _ethics, "DUO_0000022": _stays, "DUO_0000025": _in_time, "DUO_0000029": _returns,
    "DUO_0000043": _clinical, "DUO_0000044": _no_ancestry, "DUO_0000045": _non_profit, "DUO_0000046": _non_commercial,
}  # fmt: skip
"""Others are about approved users, projects and institutions, which a person decides."""


def _forbidden(application: Application, policy: Policy) -> Iterator[TermMatch]:
    use = application.use
    asked: Mapping[str, tuple[bool | None, str, str]] = {
        "reidentify": (False, "identify persons again", "重新识别个人"),
        "export_raw_image": (use.exports_raw_images, "take raw images out", "导出原始图像"),
        "cross_border_transfer": (use.leaves_country, "take it abroad", "出境"),
        "distribute": (use.gives_on, "give it on", "向第三方提供"),
        "commercial_use": (use.commercial, "commercial use", "商业用途"),
        "train_models": (use.trains_models, "train models", "训练模型"),
    }
    for word in policy.forbidden:
        is_asked, en, zh = asked[word]
        answer, why = _if(not is_asked, "the use does not ask for it", "the use asks for it")
        if word == "cross_border_transfer" and answer is Answer.YES:
            answer, why = _stays(application, policy)
        yield TermMatch(f"forbidden: {word}", f"prohibited: {en}", f"禁止{zh}", answer, why)


def _rest(application: Application, policy: Policy, today: date) -> Iterator[TermMatch]:
    known = duo_terms()
    if not any(code in known and known[code].kind == "permission" for code in policy.duo):
        yield TermMatch("duo", "what it may be used for", "使用范围", Answer.PERSON, "no term of the policy says it")
    if application.use.clinical_care and not {"DUO_0000004", "DUO_0000043"} & set(policy.duo):
        yield TermMatch("clinical_care", "clinical care use", "用于临床诊疗", Answer.NO, "the policy allows research alone")
    asked, offered = application.environment, policy.environment
    answer, why = _if(asked == offered, f"both are `{offered}`", f"asked is `{asked}`, offered is `{offered}`")
    yield TermMatch("environment", "where the data is", "使用环境", answer, why)
    if policy.valid_until is not None and "DUO_0000025" not in policy.duo:
        answer, why = _until(application, policy.valid_until)
        yield TermMatch("valid_until", "last day of use", "使用截止日", answer, why)
    if policy.report_use:
        answer, why = _if(application.use.reports_use, "the use will be reported", "the use will not be reported")
        yield TermMatch("report_use", "report the use", "报告使用情况", answer, why)
    if application.period.last < today:
        yield TermMatch("period", "time of the use", "使用期限", Answer.NO, "the time of the use is over")
