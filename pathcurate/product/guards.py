"""What each demand of ``lifecycle.yaml`` means: evidence that a command needs, and how to supply what is lacking.

A guard never says that something is lawful. It says that somebody who answers for it has put the paper on the table, that
the paper has not run out, and that what the machine can measure was measured.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from pathcurate.errors import DisclosureRefusedError, ExpiredError, PlanIncompleteError
from pathcurate.lifecycle import lifecycle
from pathcurate.model.attestation import COMPLIANCE_CHECK, PRODUCT_RELEASE
from pathcurate.model.lifecycle import Machine
from pathcurate.model.productfile import Paper
from pathcurate.model.registration import Lack, recorded_signatures
from pathcurate.model.trust import Command, Role
from pathcurate.model.validation import GRAVEST_FIRST
from pathcurate.product.evidence import Evidence
from pathcurate.signing import lacking

LEAST_LEVEL: Final = 3
"""Of GB/T 42460-2023: the risk of re-identification lies below the threshold of how the data is shared."""
_SIGNED_BY: Final[Mapping[str, Role]] = {PRODUCT_RELEASE: "steward", COMPLIANCE_CHECK: "compliance"}
"""Kind of statement to the role in which it is signed."""
_ALSO_SIGNED: Final[tuple[Command, ...]] = ("submit", "offer")
"""Steps for which ``trust.yaml`` may ask that more have signed the release than clears it."""
_MISSING, _EXPIRED, _REFUSED = PlanIncompleteError.exit_code, ExpiredError.exit_code, DisclosureRefusedError.exit_code


class LackingError(Exception):
    """A command was refused for want of evidence. Those that are raised are of its subclasses, by exit code.

    Args:
        message: what is lacking, and how to supply it.
        lacks: the same, one by one.
    """

    def __init__(self, message: str, lacks: Sequence[Lack] = ()) -> None:
        super().__init__(message)
        self.lacks = tuple(lacks)


class EvidenceMissingError(LackingError, PlanIncompleteError):
    """Some is missing."""


class EvidenceExpiredError(LackingError, ExpiredError):
    """Some has run out."""


class EvidenceRefusedError(LackingError, DisclosureRefusedError):
    """Some says that it may not be."""


_ERRORS: Mapping[int, type[LackingError]] = {_EXPIRED: EvidenceExpiredError, _REFUSED: EvidenceRefusedError}


def lacks_of(evidence: Evidence, command: str) -> list[Lack]:
    """What a command lacks; empty if nothing."""
    demands = lifecycle().table(Machine.RELEASE).commands[command].demands
    lacks = [lack for demand in demands for lack in _GUARDS[demand](evidence, demand)]
    for step in _ALSO_SIGNED:
        if step == command:
            lacks += [one for one in _unsigned(evidence, "signatures", evidence.trust.needs(step)) if one not in lacks]
    return lacks


def refusal(evidence: Evidence, command: str, lacks: Sequence[Lack]) -> LackingError:
    """The error that says all that is lacking, with the exit code of the gravest."""
    codes = {lack.exit_code for lack in lacks}
    code = next((code for code in GRAVEST_FIRST if code in codes), _MISSING)
    name = f"{evidence.release.name} {evidence.release.version}"
    lines = "".join(f"\n  - {lack.what}\n    {lack.how}" for lack in lacks)
    things = f"{len(lacks)} thing{'s' if len(lacks) > 1 else ''}"
    error = _ERRORS.get(code, EvidenceMissingError)
    return error(f"{name}: `{command}` is refused, for {things} it needs{lines}", lacks)


def _validation(evidence: Evidence, demand: str) -> Iterator[Lack]:
    tested = evidence.entry.facts.get("validation")
    if tested is None:
        how = f"`pathcurate product check {evidence.entry.id}` checks it."
        yield Lack(demand, "nobody has checked it by the rules of `validate`", how, _MISSING)
    elif tested["result"] == "FAILED":
        rules = ", ".join(tested["failed"][:8])
        yield Lack(
            demand, f"it breaks rules: {rules}", "`pathcurate validate` says what each one is, and what to do.", _MISSING
        )


def _deid(evidence: Evidence, demand: str) -> Iterator[Lack]:
    said = evidence.release.manifest.get("deid")
    if said is None:
        yield Lack(demand, "it was built before disclosure was evaluated", "Raise its version and build it anew.", _MISSING)
        return
    build = "Choose the profile for how it is shared (`deid: {profile: …}`), raise its version and build it anew."
    if said["scenario"] == "internal":
        yield Lack(demand, "its profile is for use inside the institution alone", build, _REFUSED)
        return
    if said["k_required"] is None or said["k_min"] < said["k_required"]:
        wanted = f"at least {said['k_required']}" if said["k_required"] else "some k"
        yield Lack(demand, f"its smallest group has k = {said['k_min']}; sharing it so asks for {wanted}", build, _REFUSED)
    if said["gbt42460_level"] < LEAST_LEVEL:
        level = f"its level by GB/T 42460 is {said['gbt42460_level']}; {LEAST_LEVEL} is needed"
        yield Lack(demand, level, build, _REFUSED)


def _say(evidence: Evidence, key: str) -> str:
    return f"Write `{key}` into products/{evidence.release.name}.yaml, and give the command again."


def _renew(evidence: Evidence, key: str) -> str:
    file = f"products/{evidence.release.name}.yaml"
    return f"Write number, date and last day of the renewed one into `evidence.{key}` of {file}, and give the command again."


def _paper(evidence: Evidence, demand: str, key: str, what: str, wanted: tuple[str, ...]) -> Iterator[Lack]:
    """A paper with its number and date, which has not run out."""
    paper: Paper | None = getattr(evidence.file.evidence, key) if evidence.file is not None else None
    if paper is None:
        parts = ", ".join(f"{name}: …" for name in wanted)
        yield Lack(demand, f"{what} is not named", _say(evidence, f"evidence: {{{key}: {{{parts}}}}}"), _MISSING)
        return
    for name in wanted:
        if getattr(paper, name) is None:
            yield Lack(demand, f"{what} has no `{name}`", _say(evidence, f"evidence.{key}.{name}"), _MISSING)
    yield from _run_out(demand, what, paper.valid_until, evidence.today, _renew(evidence, key))
    if paper.date is not None and paper.date > evidence.today:
        yield Lack(demand, f"{what} is of {paper.date}, which is to come", _say(evidence, f"evidence.{key}.date"), _MISSING)


def _run_out(demand: str, what: str, until: date | None, today: date, how: str) -> Iterator[Lack]:
    if until is not None and until < today:
        yield Lack(demand, f"{what} was valid until {until}", how, _EXPIRED)


def _ethics(evidence: Evidence, demand: str) -> Iterator[Lack]:
    yield from _paper(evidence, demand, "ethics", "the approval of the ethics committee", ("number", "date", "valid_until"))


def _impact_assessment(evidence: Evidence, demand: str) -> Iterator[Lack]:
    what = "the assessment of the impact on personal information (PIPL, article 55)"
    yield from _paper(evidence, demand, "impact_assessment", what, ("number", "date"))


def _source_legality(evidence: Evidence, demand: str) -> Iterator[Lack]:
    if evidence.file is None or not evidence.file.evidence.legal_basis:
        what = "nobody says on what basis the data may be processed"
        yield Lack(demand, what, _say(evidence, "evidence: {legal_basis: [知情同意]}"), _MISSING)
    if evidence.file is None or evidence.file.source is None:
        yield Lack(demand, "nobody says how the data was come by", _say(evidence, "source: original"), _MISSING)
    if not evidence.release.manifest["permissions"]["configured"]:
        how = "Configure `permissions:` in pathcurate.yaml, raise the version of the recipe and build it anew."
        yield Lack(demand, "it was built without a list of permissions", how, _REFUSED)


def _rights(evidence: Evidence, demand: str) -> Iterator[Lack]:
    how = "Write `rights: {holder: …, authorisation: …, valid_until: …}` for the site into pathcurate.yaml."
    if all(standing.holder is None for standing in evidence.standings.values()):
        yield Lack(demand, "no site says who holds the rights in its data, and on what paper it is used", how, _MISSING)
        return
    if evidence.sources is None:
        how = "It was built before rights were kept, or products/sources/ has lost it: raise its version and build it."
        yield Lack(demand, "nobody knows which sites it is made of", how, _MISSING)
        return
    for site, source in evidence.sources.sites.items():
        standing = evidence.standings.get(site)
        fault = "is not in pathcurate.yaml any more" if standing is None else standing.fault
        if fault is not None and any(source.counts.values()):
            until = standing.valid_until if standing is not None else None
            code = _EXPIRED if until is not None and until < evidence.today else _REFUSED
            yield Lack(demand, f"rows of site {site}: {fault}", how, code)


def _signatures(evidence: Evidence, demand: str) -> Iterator[Lack]:
    yield from _unsigned(evidence, demand, evidence.trust.needs("sign"))


def _unsigned(evidence: Evidence, demand: str, needed: Mapping[Role, int]) -> Iterator[Lack]:
    """Who has still to sign. Whoever has several roles has signed in that which the statement is of, and in no other."""
    recorded = {one.file for one in recorded_signatures(evidence.entry.facts)}
    given = [
        replace(one, roles=(role,))
        for found in evidence.attested if found.name in recorded and found.statement is not None
        for role in (_SIGNED_BY.get(found.statement.predicate_type),) if role is not None
        for one in found.counting if role in one.roles
    ]  # fmt: skip
    for role, number in lacking(given, needed).items():
        how = f"Somebody with the role {role} in trust.yaml runs `pathcurate product sign {evidence.entry.id} --key FILE`."
        yield Lack(demand, f"{number} more signature{'s' if number > 1 else ''} as {role}", how, _MISSING)


def _certificate(evidence: Evidence, demand: str) -> Iterator[Lack]:
    held = evidence.entry.facts.get("certificate")
    how = f"`pathcurate product receipt {evidence.entry.id} --certificate FILE …` enters it."
    if held is None:
        yield Lack(demand, "there is no certificate of registration", how, _MISSING)
    elif held["valid_until"]:
        until = date.fromisoformat(held["valid_until"])
        yield from _run_out(demand, f"certificate {held['number']}", until, evidence.today, how)


def _terms(evidence: Evidence, demand: str) -> Iterator[Lack]:
    said = evidence.file
    if said is None or not said.policy.duo:
        yield Lack(
            demand, "nobody says what a buyer may use it for", _say(evidence, "policy: {duo: [DUO_0000042]}"), _MISSING
        )
    if said is None or said.contact is None:
        yield Lack(demand, "nobody says whom to ask for it", _say(evidence, "contact: {name: …, email: …}"), _MISSING)
    if said is None or said.price is None:
        price = 'price: {amount: "0.00", currency: CNY, unit: release}'
        yield Lack(demand, "nobody says what it costs, be it nothing", _say(evidence, price), _MISSING)
    if said is not None:
        how = _say(evidence, "policy.valid_until")
        yield from _run_out(demand, "the policy", said.policy.valid_until, evidence.today, how)


_GUARDS: Mapping[str, Callable[[Evidence, str], Iterator[Lack]]] = {
    "validation": _validation, "deid": _deid, "ethics": _ethics, "impact_assessment": _impact_assessment,
    "source_legality": _source_legality, "rights": _rights, "signatures": _signatures, "certificate": _certificate,
    "terms": _terms,
}  # fmt: skip
