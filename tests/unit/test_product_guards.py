"""Each piece of evidence is missed: the refusal names it and how to supply it, and once it is there the release goes on."""
# ruff: noqa: F811 -- fixtures are imported by their names

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from pathcurate.errors import PathcurateError
from pathcurate.lifecycle import lifecycle
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import State
from pathcurate.product.evidence import gather
from pathcurate.product.guards import _GUARDS, LackingError, lacks_of
from pathcurate.product.standing import next_steps
from pathcurate.releases import read_release
from pathcurate.rights.sources import sources_path
from pathcurate.rights.withdrawn import withdraw_site
from tests.products import (  # noqa: F401 -- fixtures among them
    ETHICS,
    FAILED,
    NOW,
    PASSED,
    TODAY,
    At,
    House,
    actions,
    at,
    build_in,
    enter,
    houses,
    make_workspace,
    no_sync,
    renamed,
    tree,
)

Do = Callable[[House], object]


def said(old: str, new: str) -> tuple[Do, Do]:
    """What people say is changed, and put right."""
    whole = [""]

    def spoil(house: House) -> None:
        whole[0] = (house.root / "products" / "small.yaml").read_text(encoding="utf-8")
        house.says(old, new)

    return spoil, lambda house: (house.root / "products" / "small.yaml").write_text(whole[0], encoding="utf-8")


def rights(old: str, new: str) -> tuple[Do, Do]:
    return (lambda house: house.edit("pathcurate.yaml", old, new), lambda house: house.edit("pathcurate.yaml", new, old))


def paper(content: str | None) -> tuple[Do, Do]:
    """The document of NB02 is spoilt, and put back."""

    def spoil(house: House) -> None:
        file = house.root / "docs" / "nb02.pdf"
        file.unlink() if content is None else file.write_text(content)

    return spoil, lambda house: (house.root / "docs" / "nb02.pdf").write_text("it may be used")


def moved_away(house: House) -> None:
    path = sources_path(house.workspace, "small", "1.0.0")
    path.rename(path.with_suffix(".away"))


def moved_back(house: House) -> None:
    path = sources_path(house.workspace, "small", "1.0.0")
    path.with_suffix(".away").rename(path)


UNTIL = "valid_until: 2027-06-30, share: 0.25"
PIA = "impact_assessment: {number: PIA-1, date: 2026-01-01, says: 风险可控}"
# What is spoilt: by whom it is missed, with which exit code, what the refusal says, and what it says to do.
SPOILT: dict[str, tuple[tuple[Do, Do], str, int, str, str]] = {
    "ethics missing": (said(f"  {ETHICS}\n", ""), "ethics", 12, "the approval of the ethics committee is not named",
                       "evidence: {ethics: {number: …, date: …, valid_until: …}}"),
    "ethics without date": (said(ETHICS, "ethics: {number: E, valid_until: 2027-01-01}"), "ethics", 12,
                            "ethics committee has no `date`", "evidence.ethics.date"),
    "ethics without number": (said(ETHICS, "ethics: {date: 2025-12-01, valid_until: 2027-01-01}"), "ethics", 12,
                              "ethics committee has no `number`", "evidence.ethics.number"),
    "ethics without end": (said(ETHICS, "ethics: {number: E, date: 2025-12-01}"), "ethics", 12,
                           "ethics committee has no `valid_until`", "evidence.ethics.valid_until"),
    "ethics expired": (said("valid_until: 2027-01-01}", "valid_until: 2026-01-01}"), "ethics", 6,
                       "ethics committee was valid until 2026-01-01", "of the renewed one into `evidence.ethics`"),
    "ethics to come": (said("date: 2025-12-01", "date: 2026-01-03"), "ethics", 12, "of 2026-01-03, which is to come",
                       "evidence.ethics.date"),
    "impact assessment missing": (said(f"  {PIA}\n", ""), "impact_assessment", 12,
                                  "impact on personal information (PIPL, article 55) is not named",
                                  "evidence: {impact_assessment: {number: …, date: …}}"),
    "impact assessment without date": (said("{number: PIA-1, date: 2026-01-01,", "{number: PIA-1,"), "impact_assessment",
                                       12, "(PIPL, article 55) has no `date`", "evidence.impact_assessment.date"),
    "impact assessment expired": (said("{number: PIA-1,", "{number: PIA-1, valid_until: 2026-01-01,"),
                                  "impact_assessment", 6, "was valid until 2026-01-01", "the renewed one"),
    "legal basis": (said("  legal_basis: [知情同意]\n", ""), "source_legality", 12, "on what basis the data may be",
                    "legal_basis: [知情同意]"),
    "source": (said("source: original\n", ""), "source_legality", 12, "how the data was come by", "source: original"),
    "authorisation expired": (rights(UNTIL, "valid_until: 2026-01-01, share: 0.25"), "rights", 6,
                              "rows of site NB02: its authorisation was valid until 2026-01-01", "authorisation: …"),
    "authorisation gone": (paper(None), "rights", 13, "rows of site NB02: its authorisation nb02.pdf is not there",
                           "authorisation: …"),
    "authorisation empty": (paper(""), "rights", 13, "rows of site NB02: its authorisation nb02.pdf is empty",
                            "authorisation: …"),
    "sources lost": ((moved_away, moved_back), "rights", 12, "nobody knows which sites it is made of", "build it"),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOILT)
def test_missing_evidence_stops_a_signature_and_is_named(what: str, at: At) -> None:
    (spoil, mend), demand, code, says, how = SPOILT[what]
    house = at("validated")
    spoil(house)
    before, files = house.entry(), tree(house.root)
    with pytest.raises(LackingError) as refused:
        house.sign(house.people.steward)
    assert refused.value.exit_code == code
    assert [lack.demand for lack in refused.value.lacks] == [demand]
    assert says in refused.value.message
    assert how in refused.value.message
    assert all(lack.what and lack.how.endswith(".") for lack in refused.value.lacks)
    # The refusal is in the history, and nothing else is other than it was.
    assert house.events()[-1].payload == {"refused": [demand]}
    assert house.entry().as_dict() == before.as_dict()
    assert tree(house.root) == files
    mend(house)
    house.sign(house.people.steward)
    assert house.sign(house.people.compliance).entry.state is State.COMPLIANCE_CHECKED
    assert actions(house.events())[-3:] == ["!sign", "sign", "approve"]
    assert house.faults() == []


def test_evidence_that_is_lost_between_two_signatures_does_not_clear(at: At) -> None:
    house = at("validated")
    house.sign(house.people.steward)
    house.says(f"  {ETHICS}\n", "")
    with pytest.raises(LackingError, match="ethics"):
        house.sign(house.people.compliance)
    assert house.state() is State.VALIDATED


def test_all_that_is_lacking_is_told_at_once_with_the_gravest_code(at: At) -> None:
    house = at("validated")
    house.says("valid_until: 2027-01-01}", "valid_until: 2025-12-31}")
    house.says(f"  {PIA}\n", "")
    house.says("source: original\n", "")
    house.edit("pathcurate.yaml", "docs/nb02.pdf", "docs/nb03.pdf")
    with pytest.raises(LackingError) as refused:
        house.sign(house.people.steward)
    assert refused.value.exit_code == 6
    assert refused.value.message.count("\n  - ") == 4
    refusal = house.events()[-1].payload["refused"]
    assert refusal == ["ethics", "impact_assessment", "rights", "source_legality"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("policy: {duo: [DUO_0000042], environment: file, valid_until: 2126-01-01}", "policy: {environment: file}",
         "what a buyer may use it for"),
        ("valid_until: 2126-01-01}\nevidence", "valid_until: 2026-01-01}\nevidence", "policy was valid until 2026-01-01"),
        ("contact: {name: 数据管理员, email: data-steward@pathology.example}\n", "", "whom to ask for it"),
        ('price: {amount: "1.50", currency: CNY, unit: slide}\n', "", "what it costs, be it nothing"),
    ],
)  # fmt: skip
def test_without_terms_nothing_is_offered(old: str, new: str, says: str, at: At) -> None:
    house = at("registered")
    file = house.root / "products" / "small.yaml"
    text = file.read_text(encoding="utf-8")
    house.says(old, new)
    with pytest.raises(LackingError, match=says) as refused:
        house.offer()
    assert refused.value.exit_code == (6 if "valid until" in says else 12)
    assert house.state() is State.REGISTERED
    assert house.events()[-1].payload == {"refused": ["terms"]}
    file.write_text(text, encoding="utf-8")
    assert house.offer().entry.state is State.OFFERED


@pytest.mark.parametrize(("state", "verb"), [("compliance_checked", House.submit), ("registered", House.offer)])
@pytest.mark.parametrize("what", ["ethics expired", "authorisation expired"])
def test_living_evidence_is_looked_at_again_at_each_step(state: str, verb: Do, what: str, at: At) -> None:
    house = at(state)
    (spoil, mend), _, code, says, _ = SPOILT[what]
    spoil(house)
    with pytest.raises(LackingError, match="2026-01-01") as refused:
        verb(house)
    assert refused.value.exit_code == code
    assert says in refused.value.message
    assert house.state() == state
    mend(house)
    verb(house)
    assert house.state() != state


def test_today_is_the_last_day_on_which_a_paper_counts(at: At) -> None:
    house = at("validated")
    house.says("valid_until: 2027-01-01}", f"valid_until: {TODAY}}}")
    house.edit("pathcurate.yaml", UNTIL, f"valid_until: {TODAY}, share: 0.25")
    house.sign(house.people.steward)
    house.now = NOW + timedelta(days=1)
    with pytest.raises(LackingError) as refused:
        house.sign(house.people.compliance)
    assert refused.value.exit_code == 6
    assert [lack.demand for lack in refused.value.lacks] == ["ethics", "rights"]


def test_rows_of_a_withdrawn_site_stop_it_for_good(at: At) -> None:
    house = at("validated")
    withdraw_site(house.workspace, "NB02", actor="steward", reason="over", now=NOW)
    with pytest.raises(LackingError, match="rows of site NB02: it was withdrawn on 2026-01-02") as refused:
        house.sign(house.people.steward)
    assert refused.value.exit_code == 13


def test_where_nobody_says_whose_the_data_is_nothing_is_signed(at: At) -> None:
    house = at("validated")
    file = house.root / "pathcurate.yaml"
    file.write_text("".join(line for line in file.read_text("utf-8").splitlines(True) if "rights:" not in line), "utf-8")
    with pytest.raises(LackingError, match="no site says who holds the rights") as refused:
        house.sign(house.people.steward)
    assert refused.value.exit_code == 12
    assert "rights: {holder: …, authorisation: …, valid_until: …}" in refused.value.message


def test_without_a_product_file_what_the_release_says_counts(at: At) -> None:
    house = at("validated")
    (house.root / "products" / "small.yaml").unlink()
    house.sign(house.people.steward)
    assert house.sign(house.people.compliance).entry.state is State.COMPLIANCE_CHECKED


def test_signatures_that_are_still_needed_are_named(at: At) -> None:
    house = at("validated")
    moved = house.sign(house.people.steward)
    assert [lack.what for lack in moved.lacks] == ["1 more signature as compliance"]
    assert "product sign small@1.0.0 --key FILE" in moved.lacks[0].how
    assert moved.entry.state is State.VALIDATED


def test_nobody_has_checked_it(at: At) -> None:
    """A registry that was brought on past the program still lacks the check."""
    house = at("frozen")
    with house.desk() as desk:
        release, entry = desk.entered(house.directory())
        lacks = lacks_of(gather(desk, release, entry), "approve")
    said_of = {lack.demand: lack for lack in lacks}
    assert said_of["validation"].how == "`pathcurate product check small@1.0.0` checks it."
    assert set(said_of) == {"validation", "signatures"}


def test_a_check_that_fails_after_one_that_passed_is_kept_as_a_refusal(at: At) -> None:
    house = at("validated")
    with pytest.raises(LackingError) as refused:
        house.check(tester=lambda _: FAILED)
    assert refused.value.exit_code == 12
    assert house.events()[-1].payload == {"refused": ["validation"]}
    assert house.entry().facts["validation"] == FAILED.as_dict()
    assert house.state() == "frozen"


# --- What a release was built with --------------------------------------------------------------------------------------


def built(root: Path, **parts: bool | str) -> House:
    from tests.products import People

    permissions = bool(parts.get("permissions", True))
    make_workspace(root, profile=str(parts.get("profile", "enclave")), permissions=permissions)
    build_in(root, permissions=permissions)
    people = People(enter(root, "Li Hua", ["steward"]), enter(root, "王芳", ["compliance"]))
    house = House(root, people)
    house.register()
    house.check()
    return house


@pytest.mark.parametrize(
    ("parts", "demand", "says"),
    [
        ({"permissions": False}, "source_legality", "it was built without a list of permissions"),
        ({"profile": "default"}, "deid", "its profile is for use inside the institution alone"),
    ],
)  # fmt: skip
def test_what_was_built_otherwise_must_be_built_anew(
    parts: dict[str, bool | str], demand: str, says: str, tmp_path: Path, no_sync: None
) -> None:
    house = built(tmp_path / "w", **parts)
    with pytest.raises(LackingError, match=says) as refused:
        house.sign(house.people.steward)
    assert refused.value.exit_code == 13
    assert [lack.demand for lack in refused.value.lacks] == [demand]
    assert "raise" in refused.value.message
    assert house.events()[-1].payload == {"refused": [demand]}


@pytest.mark.parametrize(
    ("deid", "says"),
    [
        ({"k_min": 2}, "its smallest group has k = 2; sharing it so asks for at least 3"),
        ({"k_min": 0}, "its smallest group has k = 0"),
        ({"k_required": None}, "asks for some k"),
        ({"gbt42460_level": 2}, "its level by GB/T 42460 is 2; 3 is needed"),
        ({"gbt42460_level": 1, "k_min": 1}, "its level by GB/T 42460 is 1; 3 is needed"),
    ],
)
def test_a_release_that_tells_too_much_is_refused(deid: dict[str, int | None], says: str, at: At) -> None:
    house = at("new")
    renamed(house.root, "small", "1.1.0", **deid)
    house.release = "small@1.1.0"
    house.register()
    house.check()
    with pytest.raises(LackingError, match=says) as refused:
        house.sign(house.people.steward)
    assert refused.value.exit_code == 13
    assert "deid" in house.events()[-1].payload["refused"]


# --- The guards as a whole ----------------------------------------------------------------------------------------------


def test_every_demand_of_the_table_has_a_guard() -> None:
    table = lifecycle().table(Machine.RELEASE)
    assert {demand for command in table.commands.values() for demand in command.demands} == set(_GUARDS)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("frozen", [("check", 0)]), ("validated", [("sign", 2)]), ("compliance_checked", [("submit", 0)]),
        ("submitted", [("receipt", 0)]), ("registered", [("offer", 0)]), ("offered", []),
    ],
)  # fmt: skip
def test_the_next_step_is_told_with_what_it_lacks(state: str, expected: list[tuple[str, int]], at: At) -> None:
    house = at(state)
    with house.desk() as desk:
        steps = next_steps(desk, house.entry())
    assert [(step.command, len(step.lacks)) for step in steps] == expected


def test_the_next_step_of_what_is_not_here_is_nobodys_guess(at: At) -> None:
    import shutil

    house = at("registered")
    entry = house.entry()
    (house.root / "products" / "small.yaml").write_text("product: [", encoding="utf-8")
    with house.desk() as desk:
        assert next_steps(desk, entry) == []
        with pytest.raises(PathcurateError):
            gather(desk, read_release(house.directory()), entry)
    shutil.rmtree(house.directory())
    with house.desk() as desk:
        assert next_steps(desk, entry) == []
