"""What `product verify` finds: a chain that was edited, or rewritten as a whole, and evidence that was exchanged."""
# ruff: noqa: F811 -- fixtures are imported by their names

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from pathcurate.attestations import write_attestation
from pathcurate.digests import canonical_json
from pathcurate.errors import DigestMismatchError
from pathcurate.model.attestation import PRODUCT_RELEASE, Statement
from pathcurate.product.verification import RegistryVerdict, verify_copy_signed, verify_registry
from pathcurate.registries.sql.rows import FIRST_PREVIOUS, event_digest
from pathcurate.releases import checksums_bytes
from pathcurate.signing import release_subject, sign
from pathcurate.trustfile import load_trust
from tests.built import rewrite_manifest
from tests.commandline import pathcurate
from tests.postgres import Server, postgres  # noqa: F401 -- a fixture
from tests.products import (  # noqa: F401 -- fixtures among them
    NOW,
    At,
    House,
    a_pdf,
    at,
    houses,
    key,
    no_sync,
    renamed,
)
from tests.registered import tampering


def verdict(house: House, *others: Path) -> RegistryVerdict:
    with house.desk() as desk:
        return verify_registry(desk, load_trust(house.root / "trust.yaml"), others)


def rewrite(connection: Connection, change: dict[int, dict[str, object]], drop: int = 0) -> None:
    """Change events, and all that follows from it, as somebody would who knows how the registry is made.

    Args:
        connection: of somebody whom no trigger stops.
        change: event to what its payload says besides, or instead.
        drop: how many events at the end are taken away.
    """
    columns = "seq, at, actor, action, machine, subject, product, version, payload, key, previous"
    previous, facts = FIRST_PREVIOUS, dict[str, dict[str, object]]()
    rows = connection.execute(text(f"select {columns} from events order by seq")).mappings().all()
    kept = rows[: len(rows) - drop]
    connection.execute(text("delete from events"))
    insert = text(
        f"insert into events ({columns}, digest) values ({', '.join(':' + one for one in columns.split(', '))}, :digest)"
    )
    last: dict[str, tuple[int, str]] = {}
    for row in kept:
        payload = json.loads(row["payload"])
        sets = change.get(row["seq"], {})
        payload = {**payload, "sets": {**payload.get("sets", {}), **sets}} if sets else payload
        values = {**row, "payload": canonical_json(payload).decode(), "previous": previous}
        values["digest"] = previous = event_digest(values)
        connection.execute(insert, values)
        if "to" in payload:
            facts.setdefault(row["subject"], {}).update(payload["sets"])
            last[row["subject"]] = (row["seq"], payload["to"])
    connection.execute(text("update registry set event_count = :n, head = :h"), {"n": len(kept), "h": previous})
    for subject, (seq, state) in last.items():
        values = {"s": subject, "f": canonical_json(facts[subject]).decode(), "l": seq, "t": state}
        connection.execute(text("update subjects set facts = :f, last = :l, state = :t where id = :s"), values)
    claimed = {tuple(claim) for row in kept for claim in json.loads(row["payload"]).get("claims", ())}
    for kind, value in connection.execute(text("select kind, value from claims")).all():
        if (kind, value) not in claimed:
            connection.execute(text("delete from claims where kind = :k and value = :v"), {"k": kind, "v": value})


@pytest.fixture(params=["sqlite", "postgresql"])
def offered(request: pytest.FixtureRequest, at: At, monkeypatch: pytest.MonkeyPatch) -> House:
    """A release on offer, in a registry of either kind."""
    if request.param == "sqlite":
        return at("offered")
    server: Server = request.getfixturevalue("postgres")
    house = at("new")
    house.place = server.address
    house.offered()
    return house


def test_a_registry_as_it_was_made_is_whole(offered: House) -> None:
    found = verdict(offered)
    assert (found.faults, found.events, found.heads, found.newest) == ((), 7, 3, 5)


@pytest.mark.parametrize(
    "statement",
    [
        "update events set payload = replace(payload, 'frozen', 'offered') where seq = 1",
        "update events set actor = 'somebody' where seq = 4",
        "delete from events where seq = 7",
        "update subjects set state = 'registered' where id = 'small@1.0.0'",
        "delete from claims",
    ],
)
def test_what_was_edited_past_the_triggers_is_found(statement: str, offered: House) -> None:
    place = offered.place or offered.root / "registry.db"
    with tampering(place) as connection:
        connection.execute(text(statement))
    assert verdict(offered).faults


@pytest.mark.parametrize(
    ("change", "drop"),
    [
        ({2: {"validation": {"result": "PASSED", "tool": "9.9.9", "passed": [], "warned": [], "failed": []}}}, 0),
        ({1: {"title": "another"}}, 0),
    ],
    ids=["a check", "the first event"],
)
def test_a_chain_that_was_rewritten_consistently_is_found_by_the_signed_heads(
    change: dict[int, dict[str, object]], drop: int, offered: House
) -> None:
    place = offered.place or offered.root / "registry.db"
    with tampering(place) as connection:
        rewrite(connection, change, drop)
    assert offered.faults() == []  # by itself it is whole
    faults = verdict(offered).faults
    assert faults
    assert all("the registry was rewritten since" in fault for fault in faults)


def test_events_that_were_cut_off_are_missed_by_the_signed_heads(offered: House) -> None:
    place = offered.place or offered.root / "registry.db"
    with tampering(place) as connection:
        rewrite(connection, {}, drop=3)
    assert offered.faults() == []
    assert any("vouches for 5 events, and the registry has fewer" in fault for fault in verdict(offered).faults)


def test_what_a_receipt_says_is_compared_though_no_head_was_signed_after_it(at: At) -> None:
    """The last events are vouched for by no signature yet; what the certificate says is."""
    house = at("registered")
    held = dict(house.entry().facts["certificate"])
    with tampering(house.root / "registry.db") as connection:
        rewrite(connection, {6: {"certificate": {**held, "valid_until": "2099-01-01"}}})
    assert house.faults() == []
    assert [fault for fault in verdict(house).faults if "says something else of its certificate" in fault]


def test_a_receipt_without_its_record_is_told(at: At) -> None:
    house = at("registered")
    with tampering(house.root / "registry.db") as connection:
        rewrite(connection, {6: {"signatures": house.entry().facts["signatures"][:2]}})
    assert house.faults() == []
    assert any("was never recorded" in fault for fault in verdict(house).faults)


# --- Attestations --------------------------------------------------------------------------------------------------------


def one(house: House, name: str) -> Path:
    return next((house.directory() / "attestations").glob(f"{name}.*.json"))


@pytest.mark.parametrize("name", ["release", "compliance", "registration"])
def test_an_attestation_that_was_removed_is_missed(name: str, at: At) -> None:
    house = at("offered")
    one(house, name).unlink()
    assert [fault for fault in verdict(house).faults if fault.endswith("is missing")]


def test_attestations_that_were_exchanged_are_found(at: At) -> None:
    house = at("offered")
    first, second = one(house, "release"), one(house, "compliance")
    contents = first.read_bytes(), second.read_bytes()
    for path, content in zip((second, first), contents, strict=True):
        path.chmod(0o644)
        path.write_bytes(content)
    faults = verdict(house).faults
    assert sum("is not what" in fault for fault in faults) == 2


def test_an_attestation_of_another_release_is_found(at: At) -> None:
    house = at("offered")
    renamed(house.root, "other")
    house.offered("other@1.0.0")
    stolen = next((house.directory("other@1.0.0") / "attestations").glob("compliance.*.json"))
    path = one(house, "compliance")
    path.chmod(0o644)
    path.write_bytes(stolen.read_bytes())
    assert any("it is about another release" in fault for fault in verdict(house).faults)


def test_an_attestation_that_nobody_recorded_is_told(at: At) -> None:
    house = at("offered")
    subject = release_subject(checksums_bytes(house.directory()))
    said = Statement((subject,), PRODUCT_RELEASE, {"at": NOW.isoformat(timespec="seconds")})
    write_attestation(house.directory(), "extra", sign(said, [house.people.steward]))
    assert [fault for fault in verdict(house).faults if "extra.json was never recorded" in fault]
    (house.directory() / "attestations" / "extra.json").unlink()
    write_attestation(house.directory(), "extra", sign(said, [key()]))
    assert [fault for fault in verdict(house).faults if "nobody in trust.yaml has this key" in fault]


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[" * 100_000])
def test_rubbish_among_attestations_is_a_fault_and_no_crash(content: bytes, at: At) -> None:
    house = at("registered")
    (house.directory() / "attestations" / "rubbish.json").write_bytes(content)
    assert [fault for fault in verdict(house).faults if "rubbish.json" in fault]


# --- Certificates and releases -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["exchanged", "removed"])
def test_a_certificate_that_was_swapped_is_exit_4(what: str, at: At) -> None:
    house = at("offered")
    kept = next((house.root / "products" / "certificates").iterdir())
    kept.chmod(0o600)
    if what == "exchanged":
        a_pdf(kept, "of somebody else")
    else:
        kept.unlink()
    done = pathcurate("product", "verify", "-w", house.root)
    assert done.returncode == 4, done.stderr
    assert ("was exchanged" if what == "exchanged" else "is missing from products/certificates/") in done.stderr


@pytest.mark.parametrize("is_resealed", [False, True])
def test_a_release_that_was_edited_is_found(is_resealed: bool, at: At) -> None:
    house = at("offered")
    directory = house.directory()
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    if is_resealed:
        manifest = json.loads((directory / "MANIFEST.json").read_bytes())
        rewrite_manifest(directory, json.dumps({**manifest, "title": "another"}))
        assert any("is not the release that was registered" in fault for fault in verdict(house).faults)
    else:
        (directory / "product.yaml").write_text("product: 1\n")
    done = pathcurate("product", "verify", "small@1.0.0", "-w", house.root)
    assert done.returncode == 4, done.stderr


# --- Copies --------------------------------------------------------------------------------------------------------------


def test_a_copied_directory_is_verified_with_public_keys_alone(at: At, tmp_path: Path) -> None:
    house = at("offered")
    copy = tmp_path / "elsewhere" / "bought"
    shutil.copytree(house.directory(), copy)
    shutil.copy(house.root / "trust.yaml", tmp_path / "keys.yaml")
    digest = house.entry().release_digest
    shutil.rmtree(house.root)
    trust = load_trust(tmp_path / "keys.yaml")
    release, attested = verify_copy_signed(copy, trust)
    assert release.digest == digest
    assert {found.name for one in attested for found in one.counting} == {"Li Hua", "王芳"}
    done = pathcurate("product", "verify", copy, "--trust", tmp_path / "keys.yaml", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["digest"] == digest
    assert [one["signers"] for one in json.loads(done.stdout)["attestations"]] == [["王芳"], ["王芳"], ["Li Hua"]]
    (copy / "product.yaml").chmod(0o644)
    (copy / "product.yaml").write_bytes((copy / "product.yaml").read_bytes() + b"\n")
    with pytest.raises(DigestMismatchError):
        verify_copy_signed(copy, trust)
    assert pathcurate("product", "verify", copy, "--trust", tmp_path / "keys.yaml").returncode == 4


def test_a_copy_with_a_signature_of_nobody_is_exit_4(at: At, tmp_path: Path) -> None:
    house = at("offered")
    copy = tmp_path / "bought"
    shutil.copytree(house.directory(), copy)
    (tmp_path / "keys.yaml").write_text("trust: 1\nsigners: []\n")
    done = pathcurate("product", "verify", copy, "--trust", tmp_path / "keys.yaml")
    assert done.returncode == 4
    assert "nobody in trust.yaml has this key" in done.stderr


def test_a_copy_that_a_buyer_sends_back_vouches_for_the_registry(at: At, tmp_path: Path) -> None:
    """Whoever rewrites the registry may take the attestations away too; the buyer's copy still has them."""
    house = at("offered")
    copy = tmp_path / "bought"
    shutil.copytree(house.directory(), copy)
    shutil.rmtree(house.directory() / "attestations")
    with tampering(house.root / "registry.db") as connection:
        rewrite(connection, {1: {"title": "another"}, 3: {"signatures": []}, 4: {"signatures": []}, 6: {"signatures": []}})
    assert verdict(house).faults == ()
    faults = verdict(house, copy).faults
    assert len(faults) == 3
    assert all("the registry was rewritten since" in fault for fault in faults)
    done = pathcurate("product", "verify", "--copies", copy, "-w", house.root)
    assert done.returncode == 4


def test_a_registry_without_signatures_says_what_it_is_worth(at: At) -> None:
    house = at("frozen")
    done = pathcurate("product", "verify", "-w", house.root)
    assert done.returncode == 0
    assert "no signed head yet: who can write to the database could have rewritten all of it" in done.stdout
