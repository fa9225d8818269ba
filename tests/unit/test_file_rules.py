"""The rule language of files: what is known, what is not, and what a site says otherwise."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.copies.explained import explain_files
from pathcurate.errors import UsageError
from pathcurate.filerules import format_names, load_rules, title_of
from pathcurate.model.filerule import FileRule, FileRules, folded
from pathcurate.model.filescrub import Deed
from pathcurate.scrubbers.files import FORMATS

Write = Callable[[str, str | bytes], Path]


def test_every_format_of_which_copies_are_made_has_rules_and_titles() -> None:
    assert set(FORMATS) <= set(format_names())
    for name in format_names():
        assert set(title_of(name)) == {"en", "zh"}


def test_what_is_not_named_is_unknown() -> None:
    rules = load_rules()["svs"]
    assert rules.find("key", "Patients Favourite Colour") is None
    assert rules.find("no such table", "AppMag") is None


def test_names_compare_without_case_width_and_spaces() -> None:
    rules = load_rules()["svs"]
    assert rules.find("key", "  appmag") == rules.find("key", "AppMag") == rules.find("key", "ＡppMag")


def test_a_sites_own_rule_wins_and_changes_the_digest(write: Write) -> None:
    shipped = load_rules()
    own = load_rules(write("own.yaml", "files: 1\nformats:\n  svs:\n    tables:\n      key:\n        keep: [Ward Colour]\n"))
    rule = own["svs"].find("key", "ward  colour")
    assert rule is not None
    assert rule.deed is Deed.KEEP
    assert rule.is_of_site
    assert own["svs"].digest != shipped["svs"].digest
    assert {name: one.digest for name, one in own.items() if name != "svs"} == {
        name: one.digest for name, one in shipped.items() if name != "svs"
    }
    assert any("[the site's own rule]" in line for line in explain_files(own))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("files: 2\nformats: {}\n", "files"),
        ("files: 1\nformats: {svz: {}}\n", "did you mean `svs`?"),
        ("files: 1\nformats: {svs: {tables: {kee: {}}}}\n", "no table `kee`; did you mean `key`?"),
        ("files: 1\nformats: {svs: {tables: {key: {keep: [A], remove: [a]}}}}\n", "stands under `keep` and `remove`"),
        ("files: 1\nformats: {svs: {tables: {key: {burn: [A]}}}}\n", "burn"),
        ("files: 1\nformats: {dicom: {options: {no_such: true}}}\n", "no option `no_such`"),
    ],
)
def test_a_fault_is_shown_at_its_place(write: Write, text: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        load_rules(write("own.yaml", text))
    assert words in str(raised.value)


def test_the_longest_beginning_counts() -> None:
    table = {
        folded(name): FileRule(name, deed)
        for name, deed in (("*", Deed.REMOVE), ("Custom*", Deed.EMPTY), ("CustomField.Keep", Deed.KEEP))
    }
    rules = FileRules("svs", "", {"key": table})
    found = [rules.find("key", name) for name in ("Other", "customfield.x", "CUSTOMFIELD.KEEP")]
    assert [rule.deed for rule in found if rule] == [Deed.REMOVE, Deed.EMPTY, Deed.KEEP]


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_name_is_looked_up(name: str) -> None:
    rules = load_cached()
    rule = rules.find("key", name)
    assert rule is None or folded(rule.name).rstrip("*") in folded(name)


def load_cached(kept: dict[str, FileRules] = {}) -> FileRules:  # noqa: B006 -- a cache
    return kept.setdefault("svs", load_rules()["svs"])


def test_rules_are_told_in_words_in_both_languages() -> None:
    english, chinese = explain_files(load_rules()), explain_files(load_rules(), "zh")
    assert len(english) == len(chinese)
    assert any("the slide is put aside" in line for line in english)
    assert any("该切片将被隔离" in line for line in chinese)
