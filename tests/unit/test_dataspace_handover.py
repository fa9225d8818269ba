"""The folder that a person hands over: what is in it, whole or not at all; and the platform's receipt for it."""

import hashlib
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathcurate import dataspace
from pathcurate.dataspace.bindings import bindings, bindings_text
from pathcurate.dataspace.bodies import in_version_3
from pathcurate.dataspace.bodyrules import body_faults
from pathcurate.dataspace.catalogue import catalogue
from pathcurate.dataspace.handover import write_handover
from pathcurate.dataspace.policies import offered_terms
from pathcurate.dataspace.receipts import PlatformReceipt, listing_of, platform_receipt, read_receipt
from pathcurate.dataspace.terms import OPERATORS, is_absolute
from pathcurate.errors import DigestMismatchError, InputOutputError, PathcurateError, UsageError
from pathcurate.model.dataspace import DSP_CONTEXT, Listing, Offering
from pathcurate.releases import Release, read_release
from tests.built import build_release, copy_release
from tests.edcbodies import is_accepted
from tests.unit.offerings import DIGEST, OFFERINGS, OTHER_DIGEST, an_offering

FILES = [
    "DATASHEET.en.md", "DATASHEET.zh.md", "README.txt", "bindings/README.txt", "bindings/bindings.json",
    "bindings/celexpressions.json", "catalog-entry.json", "croissant.json", "dcat.jsonld",
    *(
        f"edc/{version}/{name}.json" for version in ("v3", "v4") for name in (
            "1-asset", "2-contract-policy", "3-evaluationplan-contract.negotiation", "3-evaluationplan-transfer.process",
            "4-contract-definition",
        )
    ),
    "ndi-catalog.json", "policy.odrl.jsonld",
]  # fmt: skip


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return read_release(build_release(tmp_path_factory.mktemp("handover") / "w"))


def on_offer(release: Release) -> Offering:
    return an_offering(
        asset_id=f"urn:pathcurate:product:{release.name}:{release.version}", product=release.name,
        version=release.version, release_digest=release.digest,
        policy=json.loads((release.directory / "metadata/policy.odrl.jsonld").read_bytes()),
    )  # fmt: skip


@pytest.fixture(scope="module")
def offering(release: Release) -> Offering:
    return on_offer(release)


# --- The folder --------------------------------------------------------------------------------------------------------


def test_the_folder_holds_what_a_platform_takes_and_no_data(release: Release, offering: Offering, tmp_path: Path) -> None:
    made = write_handover(offering, release, tmp_path / "out" / "hub")
    folder = made.directory
    on_disk = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert list(made.files) == FILES
    assert on_disk == sorted([*FILES, "sha256sums.txt"])
    checked = subprocess.run(["sha256sum", "-c", "--strict", "sha256sums.txt"], cwd=folder, capture_output=True, check=False)
    assert checked.returncode == 0
    assert made.digest == "sha256:" + hashlib.sha256((folder / "sha256sums.txt").read_bytes()).hexdigest()
    assert (made.release_digest, made.is_new) == (release.digest, True)
    for name, path in (("dcat.jsonld", "metadata/dcat.jsonld"), ("croissant.json", "metadata/croissant.json")):
        assert (folder / name).read_bytes() == (release.directory / path).read_bytes()
    codes = {path.stem for path in (release.directory / "data").rglob("*.parquet")}
    assert codes
    assert not any(path.suffix == ".parquet" for path in folder.rglob("*"))


def test_the_bodies_can_be_posted_as_they_are(release: Release, offering: Offering, tmp_path: Path) -> None:
    folder = write_handover(offering, release, tmp_path / "hub", access_policy="members").directory
    for path in sorted((folder / "edc" / "v4").iterdir()):
        body = json.loads(path.read_bytes())
        assert body_faults(body) == []
        assert is_accepted(body["@type"], body)
        assert json.loads((folder / "edc" / "v3" / path.name).read_bytes()) == in_version_3(body)
        if body["@type"] == "ContractDefinition":
            assert body["accessPolicyId"] == "members"


def test_the_readme_says_in_both_languages_what_goes_where(release: Release, offering: Offering, tmp_path: Path) -> None:
    hostile = replace(offering, title_zh="胸科\r\n一、假的\x1b[31m\u202e", title_en="{{ 7 * 7 }} {% raw %}")
    for made, has_placeholder in (
        (write_handover(hostile, release, tmp_path / "a"), True),
        (write_handover(hostile, release, tmp_path / "b", access_policy="members"), False),
    ):
        content = (made.directory / "README.txt").read_bytes()
        assert content.startswith(b"\xef\xbb\xbf")
        assert content.count(b"\n") == content.count(b"\r\n")
        text = content.decode("utf-8-sig")
        assert release.digest in text
        for path in made.files:
            assert path.partition("/")[0] in text, path
        assert ("ACCESS-POLICY-ID" in text) is has_placeholder
        assert "{{ 7 * 7 }}" in text
        assert not any(line.startswith("一、假的") for line in text.splitlines())
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "匿名" not in text


def test_words_to_bind_are_told_in_the_folder(release: Release, offering: Offering, tmp_path: Path) -> None:
    made = write_handover(offering, release, tmp_path / "hub")
    text = (made.directory / "bindings" / "README.txt").read_bytes().decode("utf-8-sig")
    assert made.to_bind
    assert all(word in text and is_absolute(word) for word in made.to_bind)


def test_the_same_again_and_another_target(release: Release, offering: Offering, tmp_path: Path) -> None:
    first = write_handover(offering, release, tmp_path / "a")
    again = write_handover(offering, release, tmp_path / "a")
    other = write_handover(offering, release, tmp_path / "b")
    assert (again.digest, again.is_new) == (first.digest, False)
    assert (other.digest, other.is_new) == (first.digest, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("change", ["another file", "a changed file", "one fewer", "a changed list", "a file", "a link"])
def test_what_is_in_the_targets_place_stays_as_it_is(
    release: Release, offering: Offering, tmp_path: Path, change: str
) -> None:
    target = tmp_path / "hub"
    if change == "a file":
        target.write_text("x")
    elif change == "a link":
        write_handover(offering, release, tmp_path / "real")
        target.symlink_to(tmp_path / "real")
    else:
        write_handover(offering, release, target)
        if change == "another file":
            (target / "x").write_text("x")
        elif change == "one fewer":
            (target / "README.txt").unlink()
        else:
            name = "README.txt" if change == "a changed file" else "sha256sums.txt"
            (target / name).write_bytes((target / name).read_bytes() + b" ")
    with pytest.raises(UsageError, match="hub is there already"):
        write_handover(offering, release, target)
    assert not list(tmp_path.glob(".hub*"))


def test_a_run_that_fails_leaves_no_folder(
    release: Release, offering: Offering, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space"):
        write_handover(offering, release, tmp_path / "hub")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    (tmp_path / ".hub.part-killed").mkdir()
    assert write_handover(offering, release, tmp_path / "hub").is_new
    assert [path.name for path in tmp_path.iterdir()] == ["hub"]


def test_another_release_than_the_one_on_offer_is_refused(release: Release, offering: Offering, tmp_path: Path) -> None:
    for wrong, error in (
        (replace(offering, version="9.9.9"), UsageError),
        (replace(offering, release_digest=DIGEST), DigestMismatchError),
        (replace(offering, policy=an_offering().policy), DigestMismatchError),
        (replace(offering, transfer=()), UsageError),
    ):
        with pytest.raises(error):
            write_handover(wrong, release, tmp_path / "hub")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["metadata/dcat.jsonld", "metadata/policy.odrl.jsonld", "metadata/DATASHEET.zh.md"])
@pytest.mark.parametrize("how", ["changed", "gone", "a link"])
def test_a_release_that_was_changed_is_not_handed_over(
    release: Release, offering: Offering, tmp_path: Path, path: str, how: str
) -> None:
    copy = read_release(copy_release(release.directory, tmp_path / "copy"))
    file = copy.directory / path
    content = file.read_bytes()
    file.unlink()
    if how == "changed":
        file.write_bytes(content.replace(b"a", b"b", 1))
    elif how == "a link":
        (tmp_path / "elsewhere").write_bytes(b"secret")
        file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises((DigestMismatchError, InputOutputError)):
        write_handover(offering, copy, tmp_path / "out" / "hub")
    assert not (tmp_path / "out" / "hub").exists()


# --- The catalogue -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OFFERINGS)
def test_an_entry_is_what_the_dataspace_protocol_asks_for(name: str) -> None:
    """Fields and rules of its schemas of catalogue, dataset and offer."""
    offering = OFFERINGS[name]
    made = catalogue([offering], "urn:hub:holder", endpoint="https://hub.example/dsp")
    assert made["@context"][0] == DSP_CONTEXT
    assert (made["@type"], made["participantId"]) == ("Catalog", "urn:hub:holder")
    (service,) = made["service"]
    assert service["@type"] == "DataService"
    (entry,) = made["dataset"]
    assert (entry["@type"], entry["@id"]) == ("Dataset", offering.asset_id)
    (terms,) = entry["hasPolicy"]
    assert terms["@type"] == "Offer"
    assert terms["@id"]
    assert "target" not in terms
    assert terms["permission"]
    assert [each["format"] for each in entry["distribution"]] == list(offering.transfer)
    assert all(each["accessService"] == service["@id"] for each in entry["distribution"])
    assert entry["pcns:releaseDigest"] == offering.release_digest
    json.dumps(made, ensure_ascii=False).encode()


def test_every_word_of_an_entry_is_the_protocols_or_has_a_declared_prefix() -> None:
    made = catalogue([an_offering()], "urn:hub:holder", endpoint="https://hub.example/dsp")
    own = {"dct", "dcat", "odrl", "xsd", *made["@context"][1]}  # the first four are declared by the protocol
    words = {
        "dataset", "service", "participantId", "hasPolicy", "distribution", "format", "accessService", "endpointURL",
        "permission", "prohibition", "obligation", "duty", "action", "constraint", "leftOperand", "operator",
        "rightOperand", "and", "profile", "assigner",
    }  # fmt: skip

    def keys(node: Any) -> set[str]:
        if isinstance(node, dict):
            return set(node).union(*(keys(value) for key, value in node.items() if key != "@context"))
        return set().union(*(keys(each) for each in node)) if isinstance(node, list) else set()

    for key in keys(made):
        prefix, colon, _ = key.partition(":")
        assert key.startswith("@") or (prefix in own if colon else key in words), key


# --- Bindings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OFFERINGS)
def test_bindings_name_every_word_of_the_policy_once_and_where(name: str) -> None:
    offering = OFFERINGS[name]
    bound = bindings(offering)
    terms = offered_terms(offering)
    rules = [rule for _, several in terms.kinds for rule in several]
    rules += [duty for rule in rules for duty in rule.duties]
    assert [each["iri"] for each in bound["actions"]] == sorted({rule.action for rule in rules})
    assert [each["iri"] for each in bound["operands"]] == sorted({each.left for rule in rules for each in rule.constraints})
    assert bound["scopes"] == ["contract.negotiation", "transfer.process"]
    expressions = bound["celExpressions"]
    used = {(each.left, each.operator) for rule in rules for each in rule.constraints}
    assert len(expressions) == len(used)
    for each in expressions:
        assert each["@type"] == "CelExpression"
        assert is_absolute(each["leftOperand"])
        assert each["scopes"] == bound["scopes"]
        assert "{" not in each["expression"]
        assert each["expression"].count("(") == each["expression"].count(")")
    assert len({each["@id"] for each in expressions}) == len(expressions)
    assert all(each["iri"] in bindings_text(bound) for each in (*bound["actions"], *bound["operands"]))


def test_every_operator_has_its_name_in_a_connector() -> None:
    known = yaml.safe_load((Path(dataspace.__file__).parent / "bindings.yaml").read_text(encoding="utf-8"))
    assert known["operators"].keys() == OPERATORS
    assert {*known["moments"], *known["claims"]} <= OPERATORS


def test_only_what_a_connector_can_see_is_decided_and_nothing_lets_everybody_in() -> None:
    bound = bindings(an_offering())
    by = {each["leftOperand"].rpartition("/")[2]: each["expression"] for each in bound["celExpressions"]}
    assert by["dateTime"] == "now <= timestamp(this.rightOperand)"
    assert {name for name, expression in by.items() if expression == "true"} == {
        "event", "odrl#contentDigest", "odrl#releaseDigest",
    }  # fmt: skip
    assert "CREDENTIAL" in by["odrl#environment"]


# --- Receipts ----------------------------------------------------------------------------------------------------------


def receipt(tmp_path: Path, told: Any) -> PlatformReceipt:
    file = tmp_path / "receipt.json"
    file.write_bytes(told if isinstance(told, bytes) else json.dumps(told, ensure_ascii=False).encode("utf-8-sig"))
    return read_receipt(file)


@pytest.mark.parametrize(
    "told",
    [
        {"entry_id": "HUB-1", "url": "https://hub.example/e/1", "releaseDigest": DIGEST,
         "publishedAt": "2026-11-20T09:30:00+08:00"},
        {"登记编号": "HUB-1", "网址": "https://hub.example/e/1", "发布摘要": DIGEST.upper().replace("SHA256", "sha256"),
         "上架时间": "2026-11-20T09:30:00+08:00"},
        {"code": 200, "msg": "ok", "data": {"id": "HUB-1", "link": "https://hub.example/e/1", "sha256": DIGEST[7:],
                                            "time": "2026-11-20T09:30:00+08:00"}},
        [{"@id": "HUB-1", "dcat:landingPage": "https://hub.example/e/1", "pcns:releaseDigest": DIGEST,
          "issued": "2026-11-20T09:30:00+08:00", "id": "another"}],
    ],
)  # fmt: skip
def test_receipts_of_several_manners_are_read(tmp_path: Path, told: Any) -> None:
    read = receipt(tmp_path, told)
    digest = "sha256:" + hashlib.sha256((tmp_path / "receipt.json").read_bytes()).hexdigest()
    assert read == PlatformReceipt("HUB-1", "https://hub.example/e/1", DIGEST, "2026-11-20T09:30:00+08:00", digest)
    listing = listing_of(read, an_offering(), "hub")
    assert listing == Listing(
        "hub", "files", DIGEST,
        {"entry": "HUB-1", "url": "https://hub.example/e/1", "listed_at": "2026-11-20T09:30:00+08:00", "receipt": digest},
    )  # fmt: skip
    assert Listing.of_fact("hub", json.loads(json.dumps(listing.as_fact()))) == replace(listing, is_new=False)


def test_a_receipt_with_a_number_alone_is_one(tmp_path: Path) -> None:
    read = receipt(tmp_path, {"id": 4711, "success": True})
    assert (read.entry, read.url, read.release_digest) == ("4711", "", "")
    assert set(listing_of(read, an_offering(), "hub").refs) == {"entry", "receipt"}


@pytest.mark.parametrize(
    "told",
    [
        b"", b"{", b"\xff\xfe{}", b"<html>", b"[" * 100_000, b" " * (1 << 21), {}, [], "HUB-1", 7, None, {"entry": ""},
        {"entry": None}, {"entry": ["x"]}, {"entry": True}, {"entry": "x" * 501}, {"entry": "a\nb"}, {"entry": "\x1b[2J"},
        {"entry": "x", "url": "javascript:alert(1)"}, {"entry": "x", "url": "https://user:p@hub.example/"},
        {"entry": "x", "url": "file:///etc/passwd"}, {"entry": "x", "url": "https://"}, {"entry": "x", "digest": "md5:1"},
        {"entry": "x", "digest": "sha256:" + "g" * 64}, {"entry": "x", "time": "yesterday"},
        {"entry": "x", "url": "https://[x/"}, {"data": {"data": {}}}, [{"id": "1"}, {"id": "2"}],
    ],
)  # fmt: skip
def test_a_receipt_that_is_none_or_would_do_harm_is_refused(tmp_path: Path, told: Any) -> None:
    with pytest.raises(InputOutputError) as error:
        receipt(tmp_path, told)
    assert "\x1b" not in str(error.value)
    assert "passwd" not in str(error.value)


def test_a_receipt_that_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/etc/hostname")
    for name in ("fifo", "link", "missing", "."):
        with pytest.raises(InputOutputError):
            read_receipt(tmp_path / name)


def test_a_receipt_for_another_release_is_refused() -> None:
    with pytest.raises(DigestMismatchError):
        listing_of(platform_receipt("HUB-1", release_digest=OTHER_DIGEST), an_offering(), "hub")
    assert listing_of(platform_receipt(" HUB-1 ", release_digest=DIGEST), an_offering(), "hub").refs == {"entry": "HUB-1"}


@pytest.mark.parametrize("given", [{"entry": ""}, {"entry": "x", "url": "x"}, {"entry": "x", "listed_at": "x"}])
def test_what_a_person_types_is_checked(given: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        platform_receipt(**given)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["id", "entry", "data", "url", "digest", "time"]), inner)
    ),
    max_leaves=8,
)


@given(JSON)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_is_read_or_refused(tmp_path: Path, told: Any) -> None:
    file = tmp_path / "any.json"
    file.write_text(json.dumps(told))
    try:
        read = read_receipt(file)
    except PathcurateError:
        return
    assert read.entry
    assert read.entry.isprintable()
    assert listing_of(replace(read, release_digest=""), an_offering(), "hub").refs["entry"] == read.entry
