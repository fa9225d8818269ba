"""Somebody withdraws: who is meant, who holds them, what each recipient is told, and what is built afterwards."""
# ruff: noqa: F811 -- fixtures are imported by their names

import contextlib
import shutil
from base64 import b64encode
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathcurate.cohort import read_recipe, select
from pathcurate.digests import sha256_text
from pathcurate.engines.embedded import Embedded
from pathcurate.erasure import erase_person, plan_erasure
from pathcurate.errors import (
    DigestMismatchError,
    DisclosureRefusedError,
    InputOutputError,
    PlanIncompleteError,
    UsageError,
    VaultError,
    VersionError,
)
from pathcurate.manifest import build
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.attestation import DELETION, Envelope, Statement, Subject
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES
from pathcurate.model.feed import Reason, Scope
from pathcurate.model.lifecycle import Machine
from pathcurate.model.link import LINKS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.product import Command, Opened
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.product import deletions, withdrawals
from pathcurate.product.endings import due_of
from pathcurate.product.withdrawals import Taken, withdraw_rows
from pathcurate.pseudonyms import internal, recipient
from pathcurate.pseudonyms import product as product_layer
from pathcurate.releases import read_release
from pathcurate.signing import Ed25519Signer, sign
from pathcurate.tables import Catalog, from_rows, read_parquet, write_parquet
from pathcurate.trustfile import load_trust
from pathcurate.vault import open_vault
from pathcurate.vault.rotation import rotate
from pathcurate.verification import input_states, write_seal
from pathcurate.withdrawals.feed import codes_after, contract_feed, product_feed, read_feed, read_signed_feed
from pathcurate.withdrawals.stale import find_stale
from pathcurate.withdrawals.subjects import WITHDRAWN_FILE, read_withdrawn, withdrawn_subjects
from pathcurate.workspace import Workspace, load_workspace
from tests.agreements import HEX, agreement_document
from tests.products import NOW, TODAY, House, People, build_in, enter, key, make_workspace, no_sync  # noqa: F401

RELEASE = "small@1.0.0"
CARD = "11010519491231002X"


# --- A house with originals behind its codes -----------------------------------------------------------------------------


def originals(letter: str, number: int) -> tuple[str, ...]:
    """What stands behind the code of a number. Patients 0 and 1 may be one person, so they share a group."""
    site = "NB01" if 3 * number < 24 else "NB02"
    if letter == "C":
        return site, f"26-{number:04}"
    return ({"Q": f"group{number if number != 1 else 0}", "P": f"person{number}"}.get(letter, f"{letter.lower()}{number}"),)


def recode(workspace: Workspace, folder: Path) -> None:
    """Give the rows of made-up codes those of :func:`originals`."""
    layer = internal(open_vault(workspace.vault).key).codes
    for path in sorted(folder.glob("*.parquet")):
        data = pq.read_table(path)
        for name in data.column_names:
            if name.endswith("_id") and str(data.schema.field(name).type) == "string":
                made = [
                    None if text is None else layer.code(text[0], *originals(text[0], int(text[2:])))
                    for text in data[name].to_pylist()
                ]
                data = data.set_column(data.column_names.index(name), data.schema.field(name), pa.array(made, pa.string()))
        declared = DEID_TABLES if folder == workspace.deid else CRITERIA_TABLES
        if path.stem in declared:
            write_parquet(path, data.sort_by([(declared[path.stem].key[0], "ascending")]))


def write_catalog(workspace: Workspace) -> None:
    catalog = Catalog(workspace.catalog)
    people, numbers, links, slides = [], [], [], []
    for number in range(12):
        person, group = originals("P", number)[0], originals("Q", number)[0]
        site, accession = originals("C", number)
        people.append({"person_id": person, "group_id": group})
        told = {"site": site, "person_id": person, "group_id": group}
        numbers += [{**told, "id_type": "patient_id", "id_value": f"MRN{number}"},
                    {**told, "id_type": "accession", "id_value": accession}]  # fmt: skip
        for glass in (2 * number, 2 * number + 1):
            slide = originals("S", glass)[0]
            links.append({"slide_id": slide, "site": site, "accession": accession, "person_id": person, "tier": "exact"})
            path = f"2026/{accession} {glass % 2}.svs".encode()
            slides.append({"slide_id": slide, "site": site, "archive": "main", "relpath": path})
    # One card, and a number that two hospitals have given to two persons.
    numbers.append({**numbers[4], "id_type": "id_number", "id_value": CARD})
    numbers += [{**numbers[6], "id_value": "77"}, {**numbers[22], "id_value": "77"}]
    for table, rows in ((PERSONS, people), (IDENTITIES, numbers), (LINKS, links), (SLIDES, slides)):
        needed = {column.name: column.values[0] if column.values else None for column in table.columns if column.required}
        catalog.upsert(table, from_rows(table, [{**needed, **row} for row in rows]))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A release that is registered, and a workspace that knows whose rows it holds."""
    root = tmp_path_factory.mktemp("withdrawals") / "w"
    make_workspace(root)
    workspace = load_workspace(root / "pathcurate.yaml")
    recode(workspace, workspace.deid)
    recode(workspace, workspace.criteria)
    write_catalog(workspace)
    write_seal(workspace, input_states(workspace), open_vault(workspace.vault).fingerprint, [])
    build_in(root)
    house = House(root, People(enter(root, "Li Hua", ["steward"]), enter(root, "王芳", ["compliance"])))
    house.offered()
    return house


@pytest.fixture
def house(built: House, tmp_path: Path, no_sync: None) -> House:
    shutil.copytree(built.root, tmp_path / "w")
    return House(tmp_path / "w", built.people)


def take(
    house: House, *numbers: str, scope: Scope = Scope.PATIENT, signer: Ed25519Signer | None = None, **parts: Any
) -> Taken:
    given = list(enumerate(numbers, 1))
    with house.desk() as desk:
        return withdraw_rows(desk, scope, given, Reason.CONSENT, signer or house.people.steward, **parts)


def contracted(house: House, name: str, *verbs: str, signer: Ed25519Signer | None = None, days: int = 30) -> str:
    """A contract in force with one delivery, which has gone some way; the delivery's id."""
    contract = f"small-{name}-00000000"
    public = b64encode((signer or key()).public).decode()
    agreement = agreed(house, contract, name, public, days)
    facts = {"recipient": name, "keys": {"signing": public}, "agreement": agreement, "number": "HT-1"}
    with house.desk() as desk:
        desk.registry.open(Opened(Machine.CONTRACT, contract, "small", "1.0.0", RELEASE, "lab", desk.at, facts))
        for verb in ("review", "approve", "sign", "activate"):
            desk.registry.transition(Command(Machine.CONTRACT, contract, verb, "steward", desk.at))
        made = Opened(Machine.DELIVERY, f"{contract}-d1", "small", "1.0.0", contract, "steward", desk.at,
                      {"contents": f"sha256:{HEX}"})  # fmt: skip
        desk.registry.open(made)
        for verb in verbs:
            desk.registry.transition(Command(Machine.DELIVERY, made.id, verb, "steward", desk.at))
    return made.id


def agreed(house: House, contract: str, name: str, public: str, days: int) -> str:
    """Lay an agreement; its digest."""
    document = agreement_document(contract, name, public, days, load_trust(house.root / "trust.yaml").signers[0])
    path = contract_feed(house.workspace, contract).with_name("agreement.json")
    path.parent.mkdir(parents=True)
    path.write_bytes(json_text(document).encode())
    return sha256_text(path.read_bytes())


def codes(house: House, layer: str, letter: str, *numbers: int) -> set[str]:
    """Codes of originals as the product (empty) or a recipient has them."""
    master = open_vault(house.workspace.vault).key
    inner = internal(master).codes
    outer = (recipient(master, "small", layer) if layer else product_layer(master, "small")).codes
    return {outer.code(letter, inner.code(letter, *originals(letter, number))) for number in numbers}


def told(house: House, contract: str) -> dict[str, frozenset[str]]:
    return codes_after(read_feed(contract_feed(house.workspace, contract)))


# --- Who is meant --------------------------------------------------------------------------------------------------------


def test_a_patient_takes_all_who_may_be_the_same_one_with_every_row(house: House) -> None:
    taken = take(house, "mrn1")
    assert taken.is_new
    assert taken.subjects == {"persons": 2, "cases": 2, "slides": 4, "series": 0}
    assert (taken.releases, taken.unread, taken.products, taken.contracts) == ([RELEASE], [], {"small": 1}, {})
    (line,) = read_feed(product_feed(house.workspace, "small")).lines
    assert set(line.codes["slide_id"]) == codes(house, "", "S", 0, 1, 2, 3)
    assert set(line.codes["patient_id"]) == codes(house, "", "P", 0, 1)
    assert set(line.codes["case_id"]) == codes(house, "", "C", 0, 1)
    assert line.affects == [RELEASE]
    assert {("person", "Q"), ("patient", "P"), ("case", "C"), ("slide", "S")} == {
        (kind, code[0]) for kind, code in withdrawn_subjects(house.workspace)
    }


def test_a_case_takes_its_slides_and_a_slide_itself_alone(house: House) -> None:
    take(house, "26-0003", scope=Scope.CASE)
    take(house, "26-0005 1.svs", scope=Scope.SLIDE)
    first, second = read_feed(product_feed(house.workspace, "small")).lines
    assert set(first.codes) >= {"case_id", "slide_id"}
    assert "patient_id" not in first.codes
    assert set(first.codes["slide_id"]) == codes(house, "", "S", 6, 7)
    assert second.codes == {"slide_id": [*codes(house, "", "S", 11)]}
    assert withdrawn_subjects(house.workspace) >= {
        ("slide", internal(open_vault(house.workspace.vault).key).codes.code("S", "s11"))
    }


def test_a_slide_is_named_in_several_ways(house: House) -> None:
    for name in ("s11", "2026/26-0005 1.svs", "main/2026/26-0005 1.svs", "26-0005 1"):
        assert take(house, name, scope=Scope.SLIDE, dry_run=True).subjects["slides"] == 1


def test_an_identity_card_names_a_patient_at_every_site(house: House) -> None:
    assert take(house, CARD, dry_run=True).subjects["persons"] == 1


@pytest.mark.parametrize(
    ("scope", "number", "words"),
    [(Scope.PATIENT, "MRN99", "nobody here has the number in line 2"), (Scope.CASE, "26-9999", "no case here has"),
     (Scope.SLIDE, "nothing.svs", "no slide here has"), (Scope.PATIENT, "77", "of several persons here")],
)  # fmt: skip
def test_an_unknown_or_shared_number_is_refused_by_its_line_and_nothing_is_done(
    scope: Scope, number: str, words: str, house: House
) -> None:
    good = {Scope.PATIENT: "MRN3", Scope.CASE: "26-0003", Scope.SLIDE: "s3"}[scope]
    before = house.head()
    with pytest.raises(UsageError, match=words) as caught:
        take(house, good, number, scope=scope)
    assert number not in str(caught.value)
    assert house.head() == before
    assert not (house.workspace.vault / WITHDRAWN_FILE).exists()
    if number == "77":
        assert take(house, number, scope=scope, site="NB02", dry_run=True).subjects["persons"] == 1


def test_without_the_deidentified_tables_nothing_is_done(house: House) -> None:
    (house.workspace.deid / "reports.parquet").unlink()
    with pytest.raises(PlanIncompleteError, match=r"deid/reports\.parquet is missing"):
        take(house, "MRN3")
    assert not (house.workspace.vault / WITHDRAWN_FILE).exists()


def test_a_dry_run_says_everything_and_changes_nothing(house: House) -> None:
    contracted(house, "lab", "start", "complete")
    before, files = house.head(), sorted(house.root.rglob("*"))
    taken = take(house, "MRN3", dry_run=True)
    assert (taken.releases, list(taken.contracts)) == ([RELEASE], ["small-lab-00000000"])
    assert (house.head(), sorted(house.root.rglob("*"))) == (before, files)


# --- Who is told ---------------------------------------------------------------------------------------------------------


def test_each_recipient_is_told_in_their_own_codes(house: House) -> None:
    for name in ("lab", "firm"):
        contracted(house, name, "start", "complete")
    taken = take(house, "MRN3")
    assert set(taken.deliveries) == {"small-lab-00000000-d1", "small-firm-00000000-d1"}
    lab, firm = told(house, "small-lab-00000000"), told(house, "small-firm-00000000")
    assert lab["slide_id"] == codes(house, "lab", "S", 6, 7)
    assert firm["slide_id"] == codes(house, "firm", "S", 6, 7)
    every = [*lab.values(), *firm.values(), *codes_after(read_feed(product_feed(house.workspace, "small"))).values()]
    assert len(frozenset().union(*every)) == sum(map(len, every))  # no code is in two of them
    trust = load_trust(house.root / "trust.yaml")
    read_signed_feed(
        contract_feed(house.workspace, "small-lab-00000000"), trust, product="small", contract="small-lab-00000000"
    )
    with pytest.raises(DigestMismatchError, match="another contract"):
        read_signed_feed(
            contract_feed(house.workspace, "small-lab-00000000"), trust, product="small", contract="small-firm-0"
        )
    with house.desk() as desk:
        for machine, name in ((Machine.CONTRACT, "small-lab-00000000"), (Machine.DELIVERY, "small-lab-00000000-d1"),
                              (Machine.RELEASE, RELEASE)):  # fmt: skip
            subject = desk.registry.subject(machine, name)
            assert subject is not None
            assert subject.facts["withdrawals"] == 1
    assert house.faults() == []


def test_a_contract_without_a_delivery_or_with_a_destroyed_one_is_not_told(house: House) -> None:
    contracted(house, "gone", "start", "complete", "recall", "destroy")
    with house.desk() as desk:
        desk.registry.open(Opened(Machine.CONTRACT, "small-idle-00000000", "small", "1.0.0", RELEASE, "lab", desk.at,
                                  {"recipient": "idle"}))  # fmt: skip
    assert take(house, "MRN3").contracts == {}
    assert not contract_feed(house.workspace, "small-gone-00000000").exists()


def test_again_changes_nothing_and_another_withdrawal_adds_a_line(house: House) -> None:
    contracted(house, "lab", "start", "complete")
    take(house, "MRN3")
    feed, head = contract_feed(house.workspace, "small-lab-00000000").read_bytes(), house.head()
    again = take(house, "MRN3")
    assert not again.is_new
    assert (contract_feed(house.workspace, "small-lab-00000000").read_bytes(), house.head()) == (feed, head)
    assert take(house, "MRN3", "MRN4").contracts == {"small-lab-00000000": 2}
    assert contract_feed(house.workspace, "small-lab-00000000").read_bytes().startswith(feed)
    assert told(house, "small-lab-00000000")["slide_id"] == codes(house, "lab", "S", 6, 7, 8, 9)
    assert [one.seq for one in read_withdrawn(house.workspace.vault)] == [1, 2]


def test_a_delivery_that_was_begun_afterwards_is_without_them_and_is_not_told(house: House) -> None:
    take(house, "MRN3")
    house.now = NOW + timedelta(days=1)
    contracted(house, "late", "start", "complete")
    again = take(house, "MRN3")
    assert (again.is_new, again.contracts) == (False, {})
    assert take(house, "MRN3", "MRN4").contracts == {"small-late-00000000": 1}


KILLS = [("add_withdrawn", 0), ("append_line", 0), ("append_line", 1), ("sign_head", 0), ("sign_head", 1), ("_notified", 0),
         ("_notified", 2), ("append_event", 0)]  # fmt: skip


@pytest.mark.parametrize(("step", "times"), KILLS)
def test_a_run_that_was_killed_is_completed_by_the_same_call(
    step: str, times: int, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    contracted(house, "lab", "start", "complete")
    calls = 0
    whole = getattr(withdrawals, step)

    def killed(*args: Any, **parts: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > times:
            raise KeyboardInterrupt
        return whole(*args, **parts)

    monkeypatch.setattr(withdrawals, step, killed)
    with contextlib.suppress(KeyboardInterrupt):
        take(house, "MRN3")
    monkeypatch.undo()
    take(house, "MRN3")
    trust = load_trust(house.root / "trust.yaml")
    feeds = [(product_feed(house.workspace, "small"), None),
             (contract_feed(house.workspace, "small-lab-00000000"), "small-lab-00000000")]  # fmt: skip
    for file, contract in feeds:
        assert read_signed_feed(file, trust, product="small", contract=contract).seq == 1
    with house.desk() as desk:
        delivery = desk.registry.subject(Machine.DELIVERY, "small-lab-00000000-d1")
        assert delivery is not None
        assert delivery.facts["withdrawals"] == 1
    assert len(read_withdrawn(house.workspace.vault)) == 1
    assert house.faults() == []


def test_a_key_that_does_not_count_changes_nothing(house: House) -> None:
    for signer in (key(), house.people.compliance):
        with pytest.raises((VaultError, UsageError)):
            take(house, "MRN3", signer=signer)
    assert not (house.workspace.vault / WITHDRAWN_FILE).exists()


def test_two_signatures_are_asked_for_where_trust_says_so(house: House) -> None:
    second = enter(house.root, "Zhao Liu", ["steward"])
    house.edit("trust.yaml", "trust: 1\n", "trust: 1\nthresholds: {withdraw: {steward: 2}}\n")
    assert "1 more signature" in take(house, "MRN3").lacks[0].what
    assert take(house, "MRN3", signer=second).lacks == ()


def test_a_release_that_cannot_be_read_is_taken_to_hold_them(house: House) -> None:
    contracted(house, "lab", "start", "complete")
    shutil.rmtree(house.root / "releases" / "small" / "1.0.0")
    taken = take(house, "MRN3")
    assert taken.unread == [RELEASE]
    assert told(house, "small-lab-00000000")["slide_id"] == codes(house, "lab", "S", 6, 7)


# --- The list of those who have withdrawn --------------------------------------------------------------------------------


def test_a_damaged_list_stops_everything(house: House) -> None:
    take(house, "MRN3")
    take(house, "MRN4")
    file = house.workspace.vault / WITHDRAWN_FILE
    assert file.stat().st_mode & 0o777 == 0o600
    whole = file.read_bytes()
    first, second = whole.splitlines(keepends=True)
    changed = whole.replace(b"consent_withdrawn", b"refused")
    for damaged in (whole.replace(b'"actor"', b'"actox"'), whole[:-1], second, second + first, whole + b"{}\n", changed):
        file.write_bytes(damaged)
        with pytest.raises(VaultError, match="may be missing from it"):
            withdrawn_subjects(house.workspace)
    with pytest.raises(VaultError, match="may be missing from it"):
        selected(house, "2.0.0")


def test_who_was_withdrawn_and_is_then_erased_stays_withdrawn(house: House) -> None:
    take(house, "MRN3")
    before, feed = withdrawn_subjects(house.workspace), product_feed(house.workspace, "small").read_bytes()
    planned = plan_erasure(house.workspace, "MRN3", None)
    assert planned is not None
    erase_person(house.workspace, planned[1], actor="b")
    with pytest.raises(UsageError, match="nobody here"):
        take(house, "MRN3")
    assert withdrawn_subjects(house.workspace) == before
    assert product_feed(house.workspace, "small").read_bytes() == feed


def test_another_key_of_the_vault_leaves_it_valid(house: House) -> None:
    from pathcurate.deid.originals import record_originals

    workspace = house.workspace
    vault = open_vault(workspace.vault)
    Catalog(workspace.catalog).upsert(REPORTS, from_rows(REPORTS, []))
    record_originals(Catalog(workspace.catalog), internal(vault.key).codes, vault)
    take(house, "MRN3")
    before = withdrawn_subjects(workspace)
    new, _ = rotate(vault)
    layer = internal(new.key).codes
    after = withdrawn_subjects(workspace)
    assert after & before == set()
    assert ("patient", layer.code("P", "person3")) in after
    assert ("slide", layer.code("S", "s6")) in after
    # The release was made under the old key, and is found by it.
    assert take(house, "MRN3", "MRN4").releases == [RELEASE]
    (first, second) = read_feed(product_feed(workspace, "small")).lines
    assert first.codes["slide_id"] != second.codes["slide_id"]


# --- The next build ------------------------------------------------------------------------------------------------------


def selected(house: House, version: str, recipe: str | None = None) -> Any:
    workspace = house.workspace
    file = house.root / "small.recipe.yaml"
    text = (recipe or file.read_text(encoding="utf-8")).replace("version: 1.0.0", f"version: {version}")
    file.write_text(text, encoding="utf-8")
    source = read_recipe(file)
    with Embedded(workers=1, temp_directory=house.root / "spill") as engine:
        select(workspace, engine, source, now=NOW)
    return source


def test_a_cohort_that_was_selected_before_is_not_built(house: House) -> None:
    source = selected(house, "2.0.0")
    take(house, "MRN3")
    with pytest.raises(DisclosureRefusedError, match="has withdrawn since it was selected"):
        build(house.workspace, source, actor="b", today=TODAY)


@pytest.mark.parametrize(
    ("scope", "number", "left"), [(Scope.PATIENT, "MRN0", 20), (Scope.CASE, "26-0003", 22), (Scope.SLIDE, "s6", 23)]
)
def test_the_next_build_leaves_them_out_and_is_a_major_one(scope: Scope, number: str, left: int, house: House) -> None:
    take(house, number, scope=scope)
    with pytest.raises(VersionError, match="withdrawal"):
        build(house.workspace, selected(house, "1.1.0"), actor="b", today=TODAY)
    file = house.root / "small.recipe.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("1.1.0", "1.0.0"), encoding="utf-8")
    result = build(house.workspace, selected(house, "2.0.0"), actor="b", today=TODAY)
    rows = read_parquet(result.release.paths("slides")[0])
    assert rows.num_rows == left
    feed = read_feed(product_feed(house.workspace, "small"))
    stale = find_stale(result.release.directory, ["data/slides.parquet", *paths(result.release.directory)], feed)
    assert not stale
    old = house.directory()
    assert find_stale(old, paths(old), feed).rows
    assert any("withdrawal" in path.read_text(encoding="utf-8") for path in result.release.directory.rglob("*.json"))


def paths(directory: Path) -> list[str]:
    release = read_release(directory)
    return [str(path.relative_to(directory)) for table in release.tables for path in release.paths(table)]


def test_a_withdrawn_slide_leaves_a_release_of_cases_too(house: House) -> None:
    take(house, "s6", scope=Scope.SLIDE)
    recipe = (
        "recipe: 1\nname: cases\nversion: 1.0.0\ntitle: Cases\nunit: case\n"
        "tables:\n  cases: {columns: [case_id, patient_id, site]}\n"
        "  slides: {rows: of_cases, columns: [slide_id, case_id]}\n"
    )
    selected(house, "1.0.0", recipe)
    rows = read_parquet(house.root / "cohorts" / "cases" / "tables" / "slides.parquet")
    gone = internal(open_vault(house.workspace.vault).key).codes.code("S", "s6")
    assert rows.num_rows == 23
    assert gone not in rows["slide_id"].to_pylist()


# --- What recipients attest ----------------------------------------------------------------------------------------------


def statement(house: House, delivery: str, signer: Ed25519Signer, **parts: Any) -> bytes:
    """That the newest withdrawal is honoured."""
    contract = delivery.removesuffix("-d1")
    feed = read_feed(contract_feed(house.workspace, contract))
    said = {"delivery": delivery, "contract": contract, "feed": {"seq": feed.seq, "head": feed.head}, "whole": False,
            "at": NOW.isoformat()}  # fmt: skip
    contents = str(parts.pop("contents", HEX))
    made = Statement((Subject("manifest-sha256.txt", contents),), str(parts.pop("kind", DELETION)), {**said, **parts})
    return sign(made, [signer]).as_bytes()


def attest(house: House, delivery: str, content: bytes) -> str:
    with house.desk() as desk:
        subject = desk.registry.subject(Machine.DELIVERY, delivery)
        assert subject is not None
        return deletions.attest(desk, subject, content).subject.state


def owed(house: House, within: int = 400) -> list[tuple[str, str, date]]:
    with house.desk() as desk:
        found = due_of(desk, within, deletions.endings(desk))
    return [(one.what, one.name, one.until) for one in found if one.what.startswith("attestation")]


def test_a_deletion_is_owed_until_it_is_attested(house: House) -> None:
    lab = key()
    delivery = contracted(house, "lab", "start", "complete", signer=lab, days=10)
    assert owed(house) == []
    take(house, "MRN3")
    assert owed(house) == [("attestation of deletion", delivery, TODAY + timedelta(days=10))]
    first = statement(house, delivery, lab)
    assert attest(house, delivery, first) == "completed"
    assert attest(house, delivery, first) == "completed"
    assert owed(house) == []
    take(house, "MRN4")
    assert len(owed(house)) == 1
    with pytest.raises(DigestMismatchError, match="another delivery"):
        attest(house, delivery, statement(house, delivery, lab, contents="1" * 64))
    attest(house, delivery, statement(house, delivery, lab))
    with pytest.raises(UsageError, match="says no more"):  # the older one again
        attest(house, delivery, first)
    assert attest(house, delivery, statement(house, delivery, lab, whole=True)) == "destroyed"
    assert owed(house) == []
    kept = {path.name for path in (house.root / "products" / "deliveries" / delivery).iterdir()}
    assert kept == {"deletion.1.json", "deletion.2.json", "deletion.all.json"}
    assert house.faults() == []


def test_what_was_recalled_is_owed_until_it_is_destroyed(house: House) -> None:
    delivery = contracted(house, "lab", "start", "complete", "recall")
    assert owed(house) == [("attestation of destruction", delivery, TODAY + timedelta(days=30))]


def test_what_a_delivery_honours_already_is_not_owed(house: House) -> None:
    delivery = contracted(house, "lab", "start")
    take(house, "MRN3")
    with house.desk() as desk:
        for verb, sets in (("start", {"withdrawals": 1}), ("complete", {})):
            desk.registry.transition(Command(Machine.DELIVERY, delivery, verb, "steward", desk.at, sets=sets))
    assert owed(house) == []
    take(house, "MRN4")
    assert len(owed(house)) == 1


def test_a_statement_of_somebody_else_or_of_something_else_is_refused(house: House) -> None:
    lab, other = key(), key()
    delivery = contracted(house, "lab", "start", "complete", signer=lab)
    foreign = contracted(house, "firm", "start", "complete", signer=other)
    take(house, "MRN3")
    forged: list[tuple[bytes, type[Exception]]] = [
        (statement(house, delivery, other), DigestMismatchError),
        (statement(house, delivery, house.people.steward), DigestMismatchError),
        (statement(house, foreign, lab), DigestMismatchError),
        (statement(house, delivery, lab, feed={"seq": 1, "head": f"sha256:{HEX}"}), DigestMismatchError),
        (statement(house, delivery, lab, feed={"seq": 9, "head": None}), DigestMismatchError),
        (statement(house, delivery, lab, feed={"seq": True, "head": None}), InputOutputError),
        (statement(house, delivery, lab, feed=None), InputOutputError),
        (statement(house, delivery, lab, whole="yes"), InputOutputError),
        (statement(house, delivery, lab, kind="https://pathcurate.example/attestation/contract/v1"), InputOutputError),
        (b"{}", InputOutputError),
    ]
    good = Envelope.parse(statement(house, delivery, lab))
    forged.append((Envelope(good.payload.replace(b"false", b"true"), good.signatures).as_bytes(), DigestMismatchError))
    before = house.head()
    for content, error in forged:
        with pytest.raises(error):
            attest(house, delivery, content)
    assert house.head() == before
    assert len(owed(house)) == 2


# --- The command line ----------------------------------------------------------------------------------------------------


def test_numbers_come_from_a_private_file_or_standard_input(house: House, tmp_path: Path) -> None:
    from tests.commandline import pathcurate

    where = ("--workspace", str(house.root))
    numbers = tmp_path / "numbers"
    numbers.write_text("MRN3\n\nMRN99\n", encoding="utf-8")
    refused = pathcurate("product", "withdraw", "--patient", str(numbers), "--dry-run", *where)
    assert refused.returncode == 11
    numbers.chmod(0o600)
    unknown = pathcurate("product", "withdraw", "--patient", str(numbers), "--dry-run", *where)
    assert unknown.returncode == 2
    assert "line 3" in unknown.stderr
    assert "MRN" not in unknown.stderr
    numbers.write_text("MRN3\n", encoding="utf-8")
    shown = pathcurate("product", "withdraw", "--patient", str(numbers), "--dry-run", "--json", *where)
    assert '"small@1.0.0"' in shown.stdout
    assert "MRN" not in shown.stdout + shown.stderr
    assert pathcurate("product", "withdraw", "--patient", str(numbers), *where).returncode == 2  # no key
    assert pathcurate("product", "withdraw", "--patient", str(numbers), "--case", "-", *where).returncode == 2
    assert pathcurate("product", "withdraw", *where).returncode == 2
    assert pathcurate("product", "withdraw", "small", *where).returncode == 2  # no reason
    take(house, "MRN3")
    feed = str(product_feed(house.workspace, "small"))
    stale = pathcurate("product", "verify", "small@1.0.0", "--withdrawals", feed, *where)
    assert stale.returncode == 4
    assert "stale copy" in stale.stderr
    assert "2 rows" in stale.stderr
