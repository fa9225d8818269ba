"""``trust.yaml`` is edited as text: what people wrote stays, and what it says then is what was meant, or nothing changes."""

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.errors import PathcurateError, UsageError, VaultError
from pathcurate.model.trust import Trust, TrustedSigner
from pathcurate.trustfile import add_signer, load_trust, retire_signer, trust_path
from tests.unit.test_signing import LI, WANG, ZHAO, signer_of, trusted

Write = Callable[[str, str | bytes], Path]
DAY = date(2026, 6, 1)

LI_ENTRY = trusted("Li Hua", LI)
WANG_ENTRY = trusted("王强", WANG, "compliance", "steward", until="2027-12-31")


def said(*signers: TrustedSigner, indent: str = "  ", head: str = "trust: 1\nsigners:\n", end: str = "") -> str:
    """A file as a person could write it."""
    blocks = [
        f"{indent}- public: {one.public}   # {one.name}\n{indent}  name: {one.name}\n"
        f"{indent}  since: {one.since}  # first day\n{indent}  roles: [{', '.join(one.roles)}]\n{indent}  scheme: ed25519\n"
        for one in signers
    ]
    return head + "".join(blocks) + end


def lines_kept(before: str, after: str) -> bool:
    """Whether every line of before stands in after, in order."""
    rest = iter(after.splitlines())
    return all(line in rest for line in before.splitlines())


# --- A new file ------------------------------------------------------------------------------------------------------


def test_the_first_key_makes_the_file(tmp_path: Path) -> None:
    file = trust_path(tmp_path)
    assert file.name == "trust.yaml"
    with pytest.raises(UsageError, match="nobody's signature counts yet"):
        load_trust(file)
    first = add_signer(file, LI_ENTRY)
    text = file.read_text()
    second = add_signer(file, WANG_ENTRY)
    assert load_trust(file) == second
    assert (first.signers, second.signers) == ((LI_ENTRY,), (LI_ENTRY, WANG_ENTRY))
    assert file.read_text().startswith(text)
    assert text.startswith("# Whose signatures count")
    assert file.stat().st_mode & 0o777 == 0o644
    assert second.needs("sign") == {"steward": 1, "compliance": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["trust.yaml"], "nothing temporary stays"


def test_the_thresholds_that_the_head_shows_are_the_defaults(tmp_path: Path) -> None:
    add_signer(trust_path(tmp_path), LI_ENTRY)
    text = trust_path(tmp_path).read_text()
    shown = re.sub(r"^# (thresholds:|  (?:sign|receipt):)", r"\1", text, flags=re.MULTILINE)
    assert shown != text
    trust_path(tmp_path).write_text(shown)
    there = load_trust(trust_path(tmp_path))
    assert there.thresholds == {command: Trust(trust=1).needs(command) for command in ("sign", "receipt")}


_NAMES = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" "), min_size=1, max_size=40).filter(
    lambda name: name == name.strip()
)


@settings(max_examples=40)
@given(st.lists(_NAMES, min_size=1, max_size=3))
def test_any_name_comes_back(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    file = trust_path(tmp_path_factory.mktemp("w"))
    for number, name in enumerate(names, start=1):
        add_signer(file, trusted(name, signer_of(number)))
    assert [one.name for one in load_trust(file).signers] == names


@pytest.mark.parametrize(
    "name", ["no", "null", "12", "~", "- x", "a: b", "# c", '"', "'", "\\", "{a}", "[b]", "*a", "&a", "!t", "%"]
)
def test_a_name_is_text_whatever_yaml_makes_of_it(tmp_path: Path, name: str) -> None:
    file = trust_path(tmp_path)
    add_signer(file, trusted(name, LI))
    retire_signer(file, name, DAY)
    assert load_trust(file).signers == (trusted(name, LI, retired=str(DAY)),)


# --- Somebody's own file ---------------------------------------------------------------------------------------------

FORMS = {
    "as we write it": said(LI_ENTRY),
    "no indentation": said(LI_ENTRY, indent=""),
    "deep": said(LI_ENTRY, indent="      "),
    "comments at the end": said(LI_ENTRY, end="\n# the end\n\n"),
    "no line end": said(LI_ENTRY).removesuffix("\n"),
    "CRLF": said(LI_ENTRY).replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + said(LI_ENTRY),
    "thresholds": said(LI_ENTRY, head="# ours\ntrust: 1\nthresholds: {sign: {steward: 2}}   # two\n\nsigners:  # us\n"),
    "one line": f"trust: 1\nsigners:\n- {{name: Li Hua, roles: [steward], scheme: ed25519, since: 2026-01-01, "
                f"public: {LI_ENTRY.public}}}\n",
    "quoted day": said(LI_ENTRY).replace("since: 2026-01-01", 'since: "2026-01-01"'),
    "quoted day in one line": f'trust: 1\nsigners:\n- {{public: {LI_ENTRY.public}, since: "2026-01-01", '
                              "name: Li Hua, roles: [steward], scheme: ed25519}  # me\n",
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_what_people_wrote_stays_when_a_key_is_added(write: Write, form: str) -> None:
    before = FORMS[form]
    file = write("trust.yaml", before.encode())
    had = load_trust(file)
    after = add_signer(file, WANG_ENTRY)
    assert after.signers == (LI_ENTRY, WANG_ENTRY)
    assert after.thresholds == had.thresholds
    assert file.read_bytes().startswith(before.encode())
    assert ("\r\n" in before) == (b"\r\n" in file.read_bytes())
    assert file.read_bytes().count(b"\n") - file.read_bytes().count(b"\r\n") in {0, file.read_bytes().count(b"\n")}


@pytest.mark.parametrize("form", FORMS)
def test_what_people_wrote_stays_when_a_key_is_retired(write: Write, form: str) -> None:
    before = FORMS[form]
    file = write("trust.yaml", before.encode())
    after = retire_signer(file, "li hua", DAY)
    assert after.signers == (trusted("Li Hua", LI, retired="2026-06-01"),)
    text = file.read_bytes().decode()
    assert text.replace(", retired: 2026-06-01", "").replace("retired: 2026-06-01", "").split() == before.split()
    assert ("\r\n" in before) == ("\r\n" in text)
    again = file.read_bytes()
    assert retire_signer(file, "Li Hua", DAY) == after
    assert file.read_bytes() == again
    assert retire_signer(file, LI_ENTRY.keyid[:8], date(2026, 5, 1)).signers[0].retired == date(2026, 5, 1)
    assert file.read_bytes() == again.replace(b"retired: 2026-06-01", b"retired: 2026-05-01")


def test_only_the_entry_that_is_meant_is_touched(write: Write) -> None:
    text = said(LI_ENTRY, trusted("Zhao", ZHAO), trusted("Li Hua the younger", WANG), end="# end\n")
    file = write("trust.yaml", text)
    retire_signer(file, "Zhao", DAY)
    assert [one.retired for one in load_trust(file).signers] == [None, DAY, None]
    assert lines_kept(text, file.read_text())
    assert file.read_text().count("retired") == 1


def test_a_file_without_signers_gets_its_first(write: Write) -> None:
    for text in ("trust: 1\n", "trust: 1", "trust: 1\nthresholds: {submit: {steward: 1}}\n# end"):
        file = write("trust.yaml", text)
        assert add_signer(file, LI_ENTRY).signers == (LI_ENTRY,)
        assert file.read_text().startswith(text)


# --- What cannot be edited -------------------------------------------------------------------------------------------

CLOSED = {
    "signers in the middle": said(LI_ENTRY).replace("trust: 1\n", "") + "trust: 1\n",
    "a list in one line": f"trust: 1\nsigners: [{{name: Li Hua, roles: [steward], scheme: ed25519, since: 2026-01-01, "
                          f"public: {LI_ENTRY.public}}}]\n",
    "an end of the document": said(LI_ENTRY, end="...\n"),
    "an empty list": "trust: 1\nsigners: []\n",
}  # fmt: skip


@pytest.mark.parametrize("form", CLOSED)
def test_what_cannot_be_appended_to_is_left_and_the_block_is_shown(write: Write, form: str) -> None:
    file = write("trust.yaml", CLOSED[form])
    load_trust(file)
    with pytest.raises(UsageError, match="nothing was changed") as caught:
        add_signer(file, WANG_ENTRY)
    assert file.read_text() == CLOSED[form]
    block = caught.value.hint.partition(":\n")[2]
    pasted = write("pasted.yaml", f"trust: 1\nsigners:\n{block}\n")
    assert load_trust(pasted).signers == (WANG_ENTRY,)


def test_a_retirement_that_would_retire_another_too_is_left(write: Write) -> None:
    text = said(LI_ENTRY).replace("2026-01-01", "&first 2026-01-01") + (
        f"  - {{name: Zhao, roles: [steward], scheme: ed25519, public: {trusted('Zhao', ZHAO).public}, since: *first}}\n"
    )
    file = write("trust.yaml", text)
    with pytest.raises(UsageError, match="nothing was changed") as caught:
        retire_signer(file, "Zhao", DAY)
    assert "retired: 2026-06-01" in caught.value.hint
    assert file.read_text() == text


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("Wu", "no such signer"),
        ("li hau", "did you mean `Li Hua`"),
        ("Zhao", "several keys are meant"),
        (LI_ENTRY.keyid[:7], "no such signer"),
        ("", "no such signer"),
    ],
)
def test_one_key_must_be_meant(write: Write, wanted: str, message: str) -> None:
    text = said(LI_ENTRY, trusted("Zhao", ZHAO), trusted("ZHAO", WANG))
    file = write("trust.yaml", text)
    with pytest.raises(UsageError, match=message):
        retire_signer(file, wanted, DAY)
    assert file.read_text() == text


def test_of_a_persons_keys_the_one_in_use_is_meant(write: Write) -> None:
    file = write("trust.yaml", said(trusted("Zhao", ZHAO), trusted("ZHAO", WANG)))
    retire_signer(file, trusted("Zhao", ZHAO).keyid.upper(), DAY)
    assert [one.retired for one in retire_signer(file, "zhao", date(2026, 7, 1)).signers] == [DAY, date(2026, 7, 1)]


def test_a_day_is_never_moved_so_that_more_counts(write: Write) -> None:
    file = write("trust.yaml", said(LI_ENTRY))
    with pytest.raises(UsageError, match="counts from 2026-01-01 on"):
        retire_signer(file, "Li Hua", date(2025, 12, 31))
    retire_signer(file, "Li Hua", DAY)
    with pytest.raises(UsageError, match="is retired since 2026-06-01"):
        retire_signer(file, "Li Hua", date(2026, 6, 2))


def test_a_key_is_entered_once(write: Write) -> None:
    text = said(LI_ENTRY)
    file = write("trust.yaml", text)
    with pytest.raises(UsageError, match="has this key already, as one of Li Hua"):
        add_signer(file, trusted("Somebody else", LI))
    assert file.read_text() == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("trust: 2\nsigners: []\n", "reads 1"),
        ("trust: true\n", "reads 1"),
        ("signers: []\n", "`trust` is missing"),
        ("trust: 1\nthreshold: {}\n", "did you mean `thresholds`"),
        ("trust: 1\nthresholds: {sing: {steward: 1}}\n", "sign"),
        ("trust: 1\nthresholds: {sign: {steward: 0}}\n", "greater than or equal to 1"),
        ("trust: 1\nthresholds: {sign: {steward: true}}\n", "integer"),
        ("trust: 1\nthresholds: {sign: {}}\n", "must not be empty"),
        (said(LI_ENTRY, LI_ENTRY), r"trust\.yaml:8:\d+: error: this is the key of signer 1 too"),
        (
            said(LI_ENTRY).replace("ed25519", "ed25519\n    until: 2025-01-01"),
            r"trust\.yaml:\d+:\d+: error: `until` is before",
        ),
        (said(LI_ENTRY).replace("roles: [steward]", "roles: []"), "must not be empty"),
        (b"\xff\xfet\0", "UTF-16"),
        (b"trust: \xff", "not UTF-8"),
    ],
)
def test_every_fault_is_told_at_its_place(write: Write, text: str | bytes, message: str) -> None:
    file = write("trust.yaml", text)
    for call in (lambda: load_trust(file), lambda: add_signer(file, WANG_ENTRY), lambda: retire_signer(file, "Li Hua", DAY)):
        with pytest.raises(PathcurateError, match=message) as caught:
            call()
        assert caught.value.exit_code == 2


def test_a_file_that_everybody_may_write_to_is_refused(write: Write) -> None:
    file = write("trust.yaml", said(LI_ENTRY))
    file.chmod(0o666)
    for call in (lambda: load_trust(file), lambda: add_signer(file, WANG_ENTRY), lambda: retire_signer(file, "Li Hua", DAY)):
        with pytest.raises(VaultError, match="every user of this machine"):
            call()


def test_a_link_stays_a_link(write: Write, tmp_path: Path) -> None:
    real = write("shared/trust.yaml", said(LI_ENTRY))
    (tmp_path / "trust.yaml").symlink_to(real)
    add_signer(tmp_path / "trust.yaml", WANG_ENTRY)
    assert (tmp_path / "trust.yaml").is_symlink()
    assert load_trust(real).signers == (LI_ENTRY, WANG_ENTRY)
