"""Releases in data spaces: what the registry says of them is what the spaces have said, whatever is cut off in between."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pathcurate import product
from pathcurate.dataspace.receipts import platform_receipt, read_receipt
from pathcurate.errors import (
    DigestMismatchError,
    DisclosureRefusedError,
    InputOutputError,
    LockedError,
    PathcurateError,
    PlanIncompleteError,
    UsageError,
)
from pathcurate.model.dataspace import Listing, Offering
from pathcurate.product.endings import expire_all
from pathcurate.product.guards import EvidenceExpiredError, EvidenceMissingError
from pathcurate.product.offerings import offering_of
from pathcurate.product.spaces import (
    Asked,
    InSpace,
    Shelved,
    Standing,
    ask,
    hand_over,
    in_spaces,
    listed,
    publish,
    retract,
    spaces,
)
from pathcurate.releases import read_release
from tests.products import NOW, At, House, actions, at, build_in, houses, no_sync, renamed, tree  # noqa: F401 -- fixtures
from tests.registered import entry

LATER = datetime(2028, 1, 2, tzinfo=UTC)  # when the approval of tests.products has run out
LISTED: dict[str, Any] = {
    "kind": "edc", "release_digest": "x", "refs": {}, "api": "", "standing": "listed", "at": "", "actor": "",
}  # fmt: skip
URN = "urn:pathcurate:product:small:1.0.0"


@dataclass
class Connector:
    """A space that lists whole offers, or fails as a test wants: before it has made anything, or after."""

    held: dict[str, str] = field(default_factory=dict)
    before: Callable[[], object] = lambda: None
    after: Callable[[], object] = lambda: None
    looking: Callable[[], object] = lambda: None
    stays: tuple[str, ...] = ()
    calls: list[str] = field(default_factory=list)

    def look(self, offering: Offering) -> Listing | None:
        self.calls.append("look")
        self.looking()
        digest = self.held.get(offering.asset_id)
        if digest not in (None, offering.release_digest):
            raise DigestMismatchError("its name is taken")
        return None if digest is None else self._listing(offering, is_new=False)

    def publish(self, offering: Offering) -> Listing:
        self.calls.append("publish")
        self.before()
        is_new = offering.asset_id not in self.held
        self.held[offering.asset_id] = offering.release_digest
        self.after()
        return self._listing(offering, is_new=is_new)

    def retract(self, listing: Listing) -> list[str]:
        self.calls.append("retract")
        self.before()
        self.held.pop(listing.refs["asset"], None)
        self.after()
        return list(self.stays)

    @staticmethod
    def _listing(offering: Offering, *, is_new: bool) -> Listing:
        refs = {"asset": offering.asset_id, "contract_policy": f"{offering.asset_id}:contract-policy",
                "contract_definition": f"{offering.asset_id}:offer"}  # fmt: skip
        return Listing("edc", "edc", offering.release_digest, refs, "v4", is_new)


class CutOffError(Exception):
    """The process was killed."""


def fails(error: Exception) -> Callable[[], object]:
    def fail() -> object:
        raise error

    return fail


def publishing(house: House, connector: Connector, release: str = "", name: str = "edc", **parts: Any) -> Shelved:
    with house.desk() as desk:
        return publish(desk, house.directory(release), name, connector, **parts)


def retracting(house: House, space: Connector | None, name: str = "edc", **parts: Any) -> Shelved:
    with house.desk() as desk:
        return retract(desk, house.entry(), name, "a reason", space, **parts)


def handing(house: House, name: str = "tds", release: str = "", to: str = "folder") -> Shelved:
    with house.desk() as desk:
        return hand_over(desk, house.directory(release), name, house.root.parent / to)[0]


def receiving(house: House, entry: str = "42", name: str = "tds", release: str = "", **parts: str) -> Shelved:
    with house.desk() as desk:
        return listed(desk, house.directory(release), name, platform_receipt(entry, **parts))


def known(house: House, name: str = "edc", release: str = "") -> InSpace:
    (found,) = [one for one in in_spaces(house.entry(release)) if one.listing.space == name]
    return found


def shelves(house: House, now: datetime = NOW) -> dict[str, tuple[Standing, bool]]:
    with replace(house, now=now).desk() as desk:
        return {f"{one.release} {one.listing.space}": (one.standing, one.must_go) for one in spaces(desk)}


# --- What a space is told --------------------------------------------------------------------------------------------


def test_an_offering_is_the_releases_own_and_not_what_is_said_today(at: At) -> None:  # noqa: F811
    house = at("offered")
    house.says("Twelve slides of six patients", "Another title")
    release = read_release(house.directory())
    told = offering_of(release, house.entry())
    assert (told.asset_id, told.release_digest, told.product, told.version) == (URN, release.digest, "small", "1.0.0")
    assert (told.title_zh, told.title_en) == ("六名患者的十二张切片", "Twelve slides of six patients")
    assert (told.keywords, told.kind, told.size) == (("测试", "test"), "manifest-only", None)
    assert told.registration_numbers == ("A-small@1.0.0",)
    assert told.holder == "https://pathcurate.example/organisation/12330299MB00000006"
    assert told.policy == json.loads((release.directory / "metadata/policy.odrl.jsonld").read_bytes())
    assert told.contact == {"name": "数据管理员", "email": "data-steward@pathology.example"}
    assert (told.transfer, told.published) == (("HttpData-PULL",), "2026-01-02")
    assert offering_of(release, house.entry(), ["other"]).transfer == ("other",)


def test_a_release_that_says_nothing_of_itself_is_not_offered_to_anybody(at: At) -> None:  # noqa: F811
    house = at("offered")
    (house.directory() / "product.yaml").unlink()
    with pytest.raises(PlanIncompleteError, match="what it may be used for"):
        offering_of(read_release(house.directory()), house.entry())


# --- A connector -----------------------------------------------------------------------------------------------------


def test_a_release_is_listed_once_the_connector_has_said_so(at: At) -> None:  # noqa: F811
    house, connector = at("offered"), Connector()
    connector.before = lambda: seen.append(known(house).standing)
    seen: list[Standing] = []
    done = publishing(house, connector)
    assert (seen, done.is_new, done.shelf.standing, done.shelf.must_go) == ([Standing.PENDING], True, Standing.LISTED, False)
    assert done.entry == house.entry()
    found = known(house)
    assert (found.listing.refs["contract_definition"], found.listing.api) == (f"{URN}:offer", "v4")
    assert actions(house.events())[-2:] == ["publish", "published"]
    assert (house.state(), house.faults()) == ("offered", [])


def test_again_changes_nothing_and_asks(at: At) -> None:  # noqa: F811
    house, connector = at("offered"), Connector()
    publishing(house, connector)
    head = house.head()
    assert not publishing(house, connector).is_new
    assert (house.head(), connector.calls) == (head, ["publish", "look"])
    connector.held.clear()  # somebody has taken it away there
    assert publishing(house, connector).is_new
    assert connector.held == {URN: house.entry().release_digest}


@pytest.mark.parametrize(
    ("moment", "error"),
    [("before", CutOffError()), ("after", CutOffError()), ("after", InputOutputError("it does not answer"))],
    ids=["before", "after", "unanswered"],
)
def test_what_was_cut_off_is_seen_and_finished_by_the_same_command(
    moment: str, error: Exception, at: At  # noqa: F811
) -> None:  # fmt: skip
    house, connector = at("offered"), Connector()
    setattr(connector, moment, fails(error))
    with pytest.raises(type(error)):
        publishing(house, connector)
    assert shelves(house) == {"small@1.0.0 edc": (Standing.PENDING, False)}
    setattr(connector, moment, lambda: None)
    assert publishing(house, connector).shelf.standing is Standing.LISTED
    assert shelves(house) == {"small@1.0.0 edc": (Standing.LISTED, False)}


def test_what_was_cut_off_can_be_taken_back_without_its_directory(at: At) -> None:  # noqa: F811
    house, connector = at("offered"), Connector()
    connector.after = fails(CutOffError())
    with pytest.raises(CutOffError):
        publishing(house, connector)
    connector.after = lambda: None
    (house.root / "releases").rename(house.root / "lost")
    assert retracting(house, connector).shelf.standing is Standing.RETRACTED
    assert connector.held == {}


def test_a_connector_that_would_not_enforce_a_term_is_kept_in_the_history(at: At) -> None:  # noqa: F811
    house, connector = at("offered"), Connector()
    connector.before = fails(DisclosureRefusedError("it would not enforce reidentify"))
    with pytest.raises(DisclosureRefusedError, match="reidentify"):
        publishing(house, connector)
    assert house.events()[-1].payload["refused"] == ["enforcement"]
    assert known(house).standing is Standing.PENDING  # nobody has said that nothing is there


def test_what_a_connector_confirms_is_kept_though_the_release_was_moved_meanwhile(at: At) -> None:  # noqa: F811
    house, connector = at("offered"), Connector()

    def suspends() -> None:
        with house.desk("somebody else") as desk:
            product.suspend(desk, "small", "1.0.0", "a question")

    connector.after = suspends
    done = publishing(house, connector)
    assert (done.shelf.standing, done.shelf.state, done.shelf.must_go) == (Standing.LISTED, "suspended", True)
    assert shelves(house) == {"small@1.0.0 edc": (Standing.LISTED, True)}


def test_what_somebody_suspends_while_the_connector_is_asked_is_not_published(at: At) -> None:  # noqa: F811
    house, connector = at("offered"), Connector()
    publishing(house, connector)
    connector.held.clear()

    def suspends() -> None:
        with house.desk("somebody else") as desk:
            product.suspend(desk, "small", "1.0.0", "a question")

    connector.looking = suspends
    with pytest.raises(LockedError, match="moved by another run"):
        publishing(house, connector)
    assert (connector.held, house.state()) == ({}, "suspended")


def test_two_spaces_do_not_touch_each_other(at: At) -> None:  # noqa: F811
    house, first, second = at("offered"), Connector(), Connector()
    publishing(house, first, name="a")
    publishing(house, second, name="b")
    handing(house, "c")
    retracting(house, first, "a")
    assert {name: one for name, (one, _) in shelves(house).items()} == {
        "small@1.0.0 a": Standing.RETRACTED, "small@1.0.0 b": Standing.LISTED, "small@1.0.0 c": Standing.HANDED_OVER,
    }  # fmt: skip
    assert (first.held, set(second.held)) == ({}, {URN})


# --- Only what is on offer -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["frozen", "compliance_checked", "registered", "suspended", "withdrawn"])
def test_what_is_not_on_offer_is_not_published(state: str, at: At) -> None:  # noqa: F811
    verbs = {"suspended": product.suspend, "withdrawn": product.withdraw}
    house = at("offered" if state in verbs else state)
    if state in verbs:
        with house.desk() as desk:
            verbs[state](desk, "small", "1.0.0", "a reason")
    connector, head, files = Connector(), house.head(), tree(house.root.parent)
    for one in (lambda: publishing(house, connector), lambda: handing(house)):
        with pytest.raises(PlanIncompleteError, match="only what is on offer"):
            one()
    assert (connector.calls, house.head(), tree(house.root.parent)) == ([], head, files)


def test_what_rests_on_something_that_ran_out_is_not_published(at: At) -> None:  # noqa: F811
    house, connector = replace(at("offered"), now=LATER), Connector()
    for one in (lambda: publishing(house, connector), lambda: handing(house)):
        with pytest.raises(EvidenceExpiredError, match="ethics"):
            one()
        assert actions(house.events())[-1] == "!publish"
    assert connector.calls == []
    assert not (house.root.parent / "folder").exists()


def test_terms_that_were_taken_away_are_needed(at: At) -> None:  # noqa: F811
    house = at("offered")
    house.says('price: {amount: "1.50", currency: CNY, unit: slide}\n', "")
    with pytest.raises(EvidenceMissingError, match="what it costs"):
        publishing(house, Connector())


def test_a_release_that_was_changed_is_not_published(at: At) -> None:  # noqa: F811
    house, connector = at("offered"), Connector()
    (house.directory() / "product.yaml").write_text("product: 1\nname: small\n")
    with pytest.raises(DigestMismatchError):
        publishing(house, connector)
    assert connector.calls == []


# --- What must go ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["suspend", "withdraw", "expire"])
def test_what_is_listed_and_not_on_offer_any_more_must_go(verb: str, at: At) -> None:  # noqa: F811
    house, connector = at("offered"), Connector()
    publishing(house, connector)
    handing(house)
    with house.desk() as desk:
        getattr(product, verb)(desk, "small", "1.0.0", "a reason")
    assert shelves(house) == {"small@1.0.0 edc": (Standing.LISTED, True), "small@1.0.0 tds": (Standing.HANDED_OVER, True)}
    with pytest.raises(PlanIncompleteError):
        publishing(house, connector)
    state = house.state()
    assert retracting(house, connector).shelf.must_go is False
    assert (connector.held, house.state()) == ({}, state)
    assert shelves(house) == {
        "small@1.0.0 edc": (Standing.RETRACTED, False), "small@1.0.0 tds": (Standing.HANDED_OVER, True)
    }  # fmt: skip


def test_what_expires_by_the_calendar_must_go_before_anybody_tells_the_registry(at: At) -> None:  # noqa: F811
    house = at("offered")
    publishing(house, Connector())
    assert shelves(house) == {"small@1.0.0 edc": (Standing.LISTED, False)}
    assert shelves(house, LATER) == {"small@1.0.0 edc": (Standing.LISTED, True)}
    with replace(house, now=LATER).desk() as desk:
        expire_all(desk)
    assert shelves(house, LATER) == {"small@1.0.0 edc": (Standing.LISTED, True)}


def test_a_version_that_a_newer_one_supersedes_must_go(at: At) -> None:  # noqa: F811
    house, connector = at("offered"), Connector()
    publishing(house, connector)
    build_in(house.root, version="1.1.0")
    house.offered("small@1.1.0", number="A2")
    assert shelves(house) == {"small@1.0.0 edc": (Standing.LISTED, True)}
    publishing(house, connector, "small@1.1.0")
    assert shelves(house) == {"small@1.0.0 edc": (Standing.LISTED, True), "small@1.1.0 edc": (Standing.LISTED, False)}
    retracting(house, connector)
    assert set(connector.held) == {f"{URN[:-5]}1.1.0"}


def test_a_connector_that_does_not_answer_has_taken_nothing_off(at: At) -> None:  # noqa: F811
    house, connector = at("offered"), Connector()
    publishing(house, connector)
    connector.before = fails(InputOutputError("it does not answer"))
    head = house.head()
    with pytest.raises(InputOutputError):
        retracting(house, connector)
    assert (known(house).standing, house.head()) == (Standing.LISTED, head)


def test_what_stays_at_the_connector_is_kept_and_said(at: At) -> None:  # noqa: F811
    house, connector = at("offered"), Connector(stays=("1 agreement(s) stay in force",))
    publishing(house, connector)
    done = retracting(house, connector)
    assert (done.shelf.stays, known(house).stays) == (connector.stays, connector.stays)
    event = house.events()[-1]
    assert (event.action, event.payload["says"]) == ("retract", {"space": "edc", "reason": "a reason"})
    head = house.head()
    assert not retracting(house, connector).is_new
    assert (connector.calls[-1], house.head()) == ("retract", head)  # asked all the same: somebody may have put it back
    assert publishing(house, connector).is_new
    assert known(house).stays == ()


def test_what_was_never_published_is_not_taken_off(at: At) -> None:  # noqa: F811
    house, connector = at("offered"), Connector()
    publishing(house, connector, name="edc")
    with pytest.raises(UsageError, match=r"never published in tds\n.*It was in edc"):
        retracting(house, None, "tds")


# --- Platforms that take files ---------------------------------------------------------------------------------------


def test_a_hand_over_is_not_a_listing_before_the_platform_has_said_so(at: At) -> None:  # noqa: F811
    house = at("offered")
    assert handing(house).shelf.standing is Standing.HANDED_OVER
    files = tree(house.root.parent / "folder")
    head = house.head()
    assert not handing(house).is_new
    assert (tree(house.root.parent / "folder"), house.head()) == (files, head)
    handing(house, to="second")
    assert tree(house.root.parent / "second") == files
    done = receiving(house, "编号-42", url="https://platform.example/42")
    assert (done.is_new, done.shelf.standing) == (True, Standing.LISTED)
    refs = dict(known(house, "tds").listing.refs)
    assert refs.pop("handover").startswith("sha256:")
    assert refs == {"entry": "编号-42", "url": "https://platform.example/42"}
    head = house.head()
    assert not receiving(house, "编号-42", url="https://platform.example/42").is_new
    assert not receiving(house, "编号-42").is_new
    assert not handing(house).is_new
    assert (house.head(), known(house, "tds").standing, house.faults()) == (head, Standing.LISTED, [])


def test_a_receipt_of_another_release_is_refused(at: At, tmp_path: Path) -> None:  # noqa: F811
    house = at("offered")
    handing(house)
    file = tmp_path / "receipt.json"
    file.write_text(json.dumps({"entry": "7", "releaseDigest": "sha256:" + "0" * 64}))
    with house.desk() as desk, pytest.raises(DigestMismatchError):
        listed(desk, house.directory(), "tds", read_receipt(file))
    assert known(house, "tds").standing is Standing.HANDED_OVER
    file.write_text(json.dumps({"entry": "7", "releaseDigest": house.entry().release_digest}))
    with house.desk() as desk:
        kept = listed(desk, house.directory(), "tds", read_receipt(file)).shelf
    assert kept.listing.refs["receipt"].startswith("sha256:")


def test_an_entry_of_a_platform_is_one_releases_alone(at: At) -> None:  # noqa: F811
    house = at("offered")
    renamed(house.root, "second")
    house.offered("second@1.0.0", number="A2")
    receiving(house, "42")
    head = house.head()
    with pytest.raises(DigestMismatchError, match=r"that of the release small@1\.0\.0"):
        receiving(house, "42", release="second@1.0.0")
    assert house.head() == head
    assert receiving(house, "42", "other_platform", release="second@1.0.0").is_new
    assert receiving(house, "43", release="second@1.0.0").is_new


def test_an_entry_under_another_name_is_refused_until_the_first_is_off(at: At) -> None:  # noqa: F811
    house = at("offered")
    receiving(house, "42")
    with pytest.raises(PlanIncompleteError, match="as 42 already"):
        receiving(house, "43")
    retracting(house, None, "tds", is_gone=True)
    assert receiving(house, "43").shelf.standing is Standing.LISTED


def test_a_platform_that_lists_what_is_not_on_offer_is_kept_and_must_take_it_off(at: At) -> None:  # noqa: F811
    house = at("offered")
    handing(house)
    with house.desk() as desk:
        product.withdraw(desk, "small", "1.0.0", "a reason")
    done = receiving(house)
    assert (done.shelf.standing, done.shelf.must_go) == (Standing.LISTED, True)
    asked = retracting(house, None, "tds").shelf
    assert (asked.standing, asked.must_go) == (Standing.RETRACTING, True)  # nobody has said that it is off
    assert not retracting(house, None, "tds").is_new
    gone = retracting(house, None, "tds", is_gone=True).shelf
    assert (gone.standing, gone.must_go) == (Standing.RETRACTED, False)
    assert not retracting(house, None, "tds", is_gone=True).is_new
    assert not retracting(house, None, "tds").is_new


def test_a_receipt_does_not_undo_that_it_is_to_go(at: At, tmp_path: Path) -> None:  # noqa: F811
    house = at("offered")
    receiving(house, "42")
    retracting(house, None, "tds")
    file = tmp_path / "receipt.json"
    file.write_text('{"entry": "42"}')
    with house.desk() as desk:
        kept = listed(desk, house.directory(), "tds", read_receipt(file)).shelf
    assert kept.standing is Standing.RETRACTING


def test_what_was_handed_over_and_is_to_go_may_still_be_confirmed(at: At) -> None:  # noqa: F811
    house = at("offered")
    handing(house)
    retracting(house, None, "tds")
    kept = receiving(house, "42").shelf
    assert (kept.standing, kept.listing.refs["entry"]) == (Standing.RETRACTING, "42")


def test_what_anothers_name_kept_from_being_published_does_not_stay_begun_for_ever(at: At) -> None:  # noqa: F811
    house, connector = at("offered"), Connector()
    connector.before = fails(DigestMismatchError("its name is taken"))
    with pytest.raises(DigestMismatchError):
        publishing(house, connector)
    kept = retracting(house, connector).shelf
    assert (kept.standing, kept.stays) == (Standing.RETRACTED, ("its name is taken",))
    connector.before = lambda: None
    publishing(house, connector)
    connector.before = fails(DigestMismatchError("its name is taken"))
    with pytest.raises(DigestMismatchError):  # it was listed: that nothing is seen any more, nobody has said
        retracting(house, connector)
    assert known(house).standing is Standing.LISTED


def test_no_receipt_of_what_was_never_on_its_way_to_buyers(at: At) -> None:  # noqa: F811
    house = at("validated")
    with pytest.raises(PlanIncompleteError, match="`published` needs it to be"):
        receiving(house)
    assert house.entry().facts.get("spaces") is None


@pytest.mark.parametrize("first", ["connector", "files"])
def test_a_space_that_became_another_is_not_taken_for_the_first(first: str, at: At) -> None:  # noqa: F811
    house, connector = at("offered"), Connector()
    publishing(house, connector, name="x") if first == "connector" else handing(house, "x")
    connector.calls.clear()
    tries: list[Callable[[], object]] = (
        [lambda: handing(house, "x"), lambda: receiving(house, name="x"), lambda: retracting(house, None, "x", is_gone=True)]
        if first == "connector"
        else [lambda: publishing(house, connector, name="x"), lambda: retracting(house, connector, "x")]
    )
    head = house.head()
    for one in tries:
        with pytest.raises(UsageError, match="of kind"):
            one()
    assert (house.head(), connector.calls) == (head, [])


# --- Asking ----------------------------------------------------------------------------------------------------------


def asked(house: House, connectors: dict[str, Connector | PathcurateError]) -> dict[str, tuple[str, str]]:
    def connect(name: str) -> Connector:
        found = connectors[name]
        if isinstance(found, PathcurateError):
            raise found
        return found

    with house.desk() as desk:
        answers: list[Asked] = list(ask(desk, spaces(desk), connect))
    return {one.shelf.listing.space: (one.answer, one.words) for one in answers}


def test_spaces_are_asked_and_nothing_is_changed_by_that(at: At) -> None:  # noqa: F811
    house = at("offered")
    connectors: dict[str, Any] = {name: Connector() for name in ("agrees", "lost", "kept", "taken", "begun", "done", "off")}
    for name, connector in connectors.items():
        if name in {"begun", "done"}:
            setattr(connector, {"begun": "before", "done": "after"}[name], fails(CutOffError()))
            with pytest.raises(CutOffError):
                publishing(house, connector, name=name)
        else:
            publishing(house, connector, name=name)
    handing(house, "files")
    retracting(house, connectors["kept"], "kept")
    retracting(house, connectors["off"], "off")
    connectors["kept"].held[URN] = house.entry().release_digest
    connectors["lost"].held.clear()
    connectors["taken"].held[URN] = "sha256:other"
    publishing(house, Connector(), name="down")
    connectors["down"] = InputOutputError("it does not answer")
    head = house.head()
    assert asked(house, connectors) == {
        "agrees": ("agrees", ""), "lost": ("differs", "it is not listed there any more"),
        "kept": ("differs", "it is listed there"), "taken": ("differs", "its name is taken"), "begun": ("agrees", ""),
        "done": ("differs", "it is listed there"), "off": ("agrees", ""), "files": ("not asked", ""),
        "down": ("unknown", "it does not answer"),
    }  # fmt: skip
    assert house.head() == head


def test_of_a_release_that_is_not_here_nobody_can_be_asked(at: At) -> None:  # noqa: F811
    house, connector = at("offered"), Connector()
    publishing(house, connector)
    (house.root / "releases").rename(house.root / "lost")
    assert asked(house, {"edc": connector})["edc"][0] == "unknown"


@pytest.mark.parametrize(
    "fact",
    [
        "listed", {}, {"standing": "listed"}, None,
        {**LISTED, "standing": "sold"}, {**LISTED, "standing": []}, {**LISTED, "stays": 1}, {**LISTED, "refs": {"asset": 1}},
        {name: value for name, value in LISTED.items() if name != "at"},
    ],
)  # fmt: skip
def test_facts_that_something_else_has_written_are_an_error_and_no_crash(fact: Any) -> None:
    with pytest.raises(InputOutputError, match="the space edc is of another form"):
        in_spaces(entry(facts={"spaces": {"edc": fact}}))
