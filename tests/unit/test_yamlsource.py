"""YAML as people write it: plain data, positions, and messages that point at the fault."""

import itertools
import json
import math
import time
from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from pathcurate import yamlsource
from pathcurate.errors import RecipeError, UsageError
from pathcurate.yamlsource import Document, Problem, load, render, validate


def faults(text: str | bytes) -> list[str]:
    """First lines of all problems: ``line:column: message``."""
    with pytest.raises(UsageError) as caught:
        load(text, "f.yaml", UsageError)
    return [line.removeprefix("f.yaml:") for line in caught.value.message.splitlines() if line.startswith("f.yaml:")]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("0123456", "0123456"), ("-01", "-01"), ("00.5", "00.5"), ("0123e5", "0123e5"), ("12:30", "12:30"),
        ("190:20:30", "190:20:30"), ("no", "no"), ("Yes", "Yes"), ("on", "on"), ("y", "y"), ("2012-01-01", "2012-01-01"),
        ("2012-01-01 10:00:00", "2012-01-01 10:00:00"), ("1_000", "1_000"), ("0b11", "0b11"), ("1.0.0", "1.0.0"),
        ("=", "="), ("0x", "0x"), (".", "."), ("e5", "e5"), ("H&E", "H&E"), ("8140/3", "8140/3"), ("9" * 301, "9" * 301),
        ("true", True), ("FALSE", False), ("null", None), ("~", None), ("", None), ("0", 0), ("-7", -7), ("+7", 7),
        ("0o17", 15), ("0x1F", 31), ("153.0", 153.0), ("1e3", 1000.0), (".5", 0.5), ("-0.0", -0.0), (".inf", math.inf),
        ('"153.0"', "153.0"), ("'true'", "true"), ('""', ""), ("|\n  a\n  b", "a\nb\n"), (">-\n  12\n", "12"),
    ],
)  # fmt: skip
def test_scalars_follow_the_yaml_1_2_core_schema_and_zeros_stay(written: str, value: object) -> None:
    read = load(f"a: {written}\n", "f.yaml", UsageError).data["a"]
    assert (type(read), read) == (type(value), value)


def test_not_a_number_is_a_float() -> None:
    assert math.isnan(load("a: .NaN", "f.yaml", UsageError).data["a"])


def test_keys_are_text_as_written() -> None:
    document = load("1: a\n01: b\nno: c\n1.0: d\n'': e\nnull: f\n", "f.yaml", UsageError)
    assert document.data == {"1": "a", "01": "b", "no": "c", "1.0": "d", "": "e", "null": "f"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nname: 2\na: 3\nname: 4\n", ["3:1: error: key `a` is given twice (first at line 1)",
                                            "4:1: error: key `name` is given twice (first at line 2)"]),
        ("a: {病理号: 1, 病理号: 2}", ["1:13: error: key `病理号` is given twice (first at line 1)"]),
        ("1: a\n'1': b", ["2:1: error: key `1` is given twice (first at line 1)"]),
        ("a: !!python/object/apply:os.system [ls]",
         ["1:4: error: tag `tag:yaml.org,2002:python/object/apply:os.system` is not supported; write a plain value"]),
        ("a: !!str 1", ["1:4: error: tag `tag:yaml.org,2002:str` is not supported; write a plain value"]),
        ("!k a: 1", ["1:1: error: tag `!k` is not supported; write a plain key"]),
        ("a: 1\n---\nb: 2\n", ["2:1: error: a second document starts here; a file holds one"]),
        ("a: 1\n---\n", ["2:1: error: a second document starts here; a file holds one"]),
        ("a:\n\tb: 1", ["2:1: error: a tab cannot stand here; indent with spaces"]),
        ("count: >=2\n", ["1:9: error: text that starts with `>` or `|` must be in quotes"]),
        ("a: @x", ["1:4: error: text that starts with `@` must be in quotes"]),
        ("a: b: c",
         ["1:5: error: a key cannot stand here: check the indentation, or quote text that holds `: `"]),
        ("a: [1, 2\nb: 3\n", ["2:2: error: a `,` or the closing `]` is missing before this"]),
        ("a: {b: 1\n", ["2:1: error: a `,` or the closing `}` is missing before this"]),
        ("a: 1\nb: 'x\nc: 2\n", ["2:4: error: the quotes opened here are not closed"]),
        ('a: "\\d"', ["1:6: error: in double quotes a backslash starts an escape; use single quotes"]),
        ("- a\nb: 1\n", ["2:1: error: this does not fit the lines above: check the indentation and the quotes"]),
        ("a: ]", ["1:4: error: a value is missing before this"]),
        ('a: "\\U00110000"', ["1:7: error: this escape or directive is not valid YAML"]),
        ("%YAML " + "9" * 5000 + ".1\n---\na: 1", ["1:7: error: this escape or directive is not valid YAML"]),
        ("a: *x", ["1:4: error: alias `*x` has no anchor `&x` before it"]),
        ("a: &x [*x]", ["1:8: error: alias `*x` stands inside its own anchor"]),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", ["3:3: error: merge keys (`<<`) are not supported; write the keys out"]),
        ("? [a]\n: b", ["1:3: error: a key must be text, not a list, a mapping or an alias"]),
        ("a: &x b\n*x : c", ["2:1: error: a key must be text, not a list, a mapping or an alias"]),
        ("? \n: a", ["1:2: error: a key is missing before the `:`"]),
        ("a: \x1b[31m", ["1:4: error: character U+001B is not allowed in YAML"]),
        ("a: \ud800", ["1:4: error: character U+D800 is not allowed in YAML"]),
        ('a: "\\0"', ["1:4: error: character U+0000 is not allowed, not even escaped"]),
        ('a: "\\uD800"', ["1:4: error: character U+D800 is not allowed, not even escaped"]),
        ('"\\e": 1', ["1:1: error: character U+001B is not allowed, not even escaped"]),
        (b"a: 1\nb: \xd6\xd0\n", ["2:4: error: the file is not UTF-8 (byte 0xD6)"]),
        ("病: ".encode() + b"\xff", ["1:4: error: the file is not UTF-8 (byte 0xFF)"]),
        ("a: " + "[" * 60, ["1:53: error: nested more than 50 levels deep"]),
    ],
)  # fmt: skip
def test_a_fault_is_named_where_it_stands(text: str | bytes, expected: list[str]) -> None:
    assert faults(text) == expected


def test_the_bytes_of_a_utf_16_file_are_recognised() -> None:
    with pytest.raises(UsageError, match="the file is UTF-16"):
        load("a: 1".encode("utf-16"), "f.yaml", UsageError)


def test_a_byte_order_mark_shifts_nothing() -> None:
    assert load(b"\xef\xbb\xbfa: 1", "f.yaml", UsageError).data == {"a": 1}
    assert faults(b"\xef\xbb\xbfa: !x 1") == faults(b"a: !x 1")


def test_aliases_that_stand_for_billions_end_quickly() -> None:
    levels = "abcdefghij"
    text = "a: &a [" + "x," * 10 + "]\n"
    text += "".join(f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in itertools.pairwise(levels))
    started = time.process_time()
    found = faults(text)
    assert len(found) == 1
    assert found[0].endswith("the aliases together stand for too much")
    assert time.process_time() - started < 5


def test_aliases_that_nest_without_growing_end_too() -> None:
    text = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 60))
    assert faults(text) == ["49:12: error: the aliases together stand for too much"]


def test_a_file_that_is_too_large_is_not_parsed() -> None:
    with pytest.raises(UsageError, match=r"^f\.yaml: larger than 1048576 bytes"):
        load(b"#" * (yamlsource.MAX_BYTES + 1), "f.yaml", UsageError)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.yaml", tmp_path, Path("a\0b")):
        with pytest.raises(RecipeError, match="no such file"):
            load(path, "x.yaml", RecipeError)


def test_a_file_is_read_from_its_path(tmp_path: Path) -> None:
    file = tmp_path / "配置.yaml"
    file.write_bytes("a: 病理\r\nb: 2\r\n".encode())
    document = load(file, "配置.yaml", UsageError)
    assert document.data == {"a": "病理", "b": 2}
    assert document.lines == ("a: 病理", "b: 2", "")


def test_positions_of_values_keys_and_what_is_missing() -> None:
    document = load("a:\n  - {b: 1, 病: 2, c: 3}\nd: &x [5]\ne: *x\n", "f.yaml", UsageError)
    assert document.position(()) == (1, 1)
    assert document.position(("a",)) == (2, 3)
    assert document.position(("a",), key=True) == (1, 1)
    assert document.position(("a", 0)) == (2, 5)
    assert document.position(("a", 0, "c"), key=True) == (2, 18)
    assert document.position(("a", 0, "c")) == (2, 21)
    assert document.position(("a", 0, "absent")) == (2, 5)
    assert document.position(("e",)) == (4, 4)
    assert document.position(("e", 0)) == (3, 8)
    assert document.position(("e",), key=True) == (4, 1)
    assert document.position(("a", "0")) == (2, 3)


def test_the_form_of_a_message() -> None:
    document = load("x:\nx1:\n  a: {system: icd10, codes: [153.0, C34]}\n", "recipes/broken.yaml", UsageError)
    line, column = document.position(("x1", "a", "codes", 0))
    assert render(document, [Problem(line, column, "Input should be a valid string (got 153.0)")]) == (
        "recipes/broken.yaml:3:30: error: Input should be a valid string (got 153.0)\n"
        "       3 |   a: {system: icd10, codes: [153.0, C34]}\n"
        "         |                              ^"
    )


def test_the_caret_stands_under_the_column_behind_wide_characters() -> None:
    document = load('检查: {"e\u0301": 12}', "f.yaml", UsageError)
    found = render(document, [document.problem(("检查", "e\u0301"), "wrong")]).splitlines()
    assert found[1] == '       1 | 检查: {"e\u0301": 12}'
    assert found[2] == "         | \u3000\u3000" + " " * len(': {"e": ') + "^"


def test_problems_come_in_file_order_once_each() -> None:
    document = Document("f", ("a", "b"), None)
    problems = [Problem(2, 1, "z"), Problem(1, 1, "b"), Problem(1, 1, "a"), Problem(2, 1, "z")]
    heads = [line for line in render(document, problems).splitlines() if line.startswith("f:")]
    assert heads == ["f:1:1: error: a", "f:1:1: error: b", "f:2:1: error: z"]


def test_a_long_line_is_cut_around_the_caret() -> None:
    document = load("a: [" + "1, " * 200 + "x, " + "2, " * 200 + "]", "f.yaml", UsageError)
    shown, caret = render(document, [document.problem(("a", 200), "no")]).splitlines()[1:]
    assert len(shown) < 140
    assert shown[caret.index("^")] == "x"


def test_nothing_shown_can_drive_a_terminal_or_tell_a_password() -> None:
    document = Document("f", ("u: postgresql://me:top\u009bsecret@host/db",), None)
    text = render(document, [Problem(1, 4, "bad\n\x1b[2J (got postgresql://me:topsecret@host)")])
    assert "\x1b" not in text
    assert "\u009b" not in text
    assert "secret" not in text
    assert text.count("\n") == 2


class Leaf(BaseModel):
    """A leaf."""

    model_config = ConfigDict(extra="forbid", title="leaf")
    LATER: ClassVar[frozenset[str]] = frozenset({"later"})
    name: str
    sizes: tuple[float, ...] = Field((), min_length=1)


class Other(BaseModel):
    """Another alternative."""

    model_config = ConfigDict(extra="forbid", title="leaf")
    other: int

    @model_validator(mode="after")
    def _check(self) -> "Other":
        if self.other == 13:
            raise PydanticCustomError("fault", "{text}", {"text": "not {13}", "at": ("other",)})
        return self


def _kind(value: object) -> str:
    return "<other>" if isinstance(value, dict) and "other" in value else "<leaf>"


class Root(BaseModel):
    """The model of a file."""

    model_config = ConfigDict(extra="forbid", title="file")
    leaves: list[Annotated[Annotated[Leaf, Tag("<leaf>")] | Annotated[Other, Tag("<other>")], Discriminator(_kind)]]
    names: dict[str, Leaf] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("leaves: [{name: 153.0}]", ["1:17: error: Input should be a valid string (got 153.0)"]),
        ("leaves: [{nam: a}]", ["1:10: error: key `name` is missing in leaf",
                                "1:11: error: unknown key `nam` in leaf; did you mean `name`?"]),
        ("leaves: [{name: a, later: 1}]", ["1:20: error: key `later` is not supported in this version"]),
        ("leaves: [{other: 1, name: a}]", ["1:21: error: key `name` cannot stand beside the others here"]),
        ("leaves: [{other: 13}]", ["1:18: error: not {13}"]),
        ("leaves: [{name: a, sizes: []}]", ["1:27: error: a list must not be empty"]),
        ("leaves: [{name: a, sizes: [x, 1]}]",
         ["1:28: error: Input should be a valid number, unable to parse string as a number (got \"x\")"]),
        ("leaves: {a: 1}", ["1:9: error: Input should be a valid list (got a mapping)"]),
        ("leaves: [7]", ["1:10: error: Input should be a mapping (got 7)"]),
        ("leaves: [{name: }]\nnames:\n", ["1:11: error: no value is given here", "2:1: error: no value is given here"]),
        ("leaves: []\nnames: {病: {name: a, nome: b}}",
         ["2:22: error: unknown key `nome` in leaf; did you mean `name`?"]),
        ("[a]", ["1:1: error: Input should be a mapping (got a list)"]),
        ("zzz: 1", ["1:1: error: key `leaves` is missing in file",
                    "1:1: error: unknown key `zzz` in file; known keys: leaves, names"]),
        ("", ["1:1: error: the file is empty"]),
        ("# only a comment\n", ["1:1: error: the file is empty"]),
    ],
)  # fmt: skip
def test_all_faults_of_a_model_at_once_in_our_words(text: str, expected: list[str]) -> None:
    document = load(text, "f.yaml", RecipeError)
    with pytest.raises(RecipeError) as caught:
        validate(document, Root, RecipeError)
    lines = caught.value.message.splitlines()
    assert [line.removeprefix("f.yaml:") for line in lines if line.startswith("f.yaml:")] == expected
    assert "pydantic" not in caught.value.message
    assert caught.value.hint


def test_a_valid_document_becomes_its_model() -> None:
    document = load("leaves: [&a {name: x}, {other: 2}]\nnames: {y: *a}", "f.yaml", RecipeError)
    expected = {"leaves": [{"name": "x"}, {"other": 2}], "names": {"y": {"name": "x"}}}
    assert validate(document, Root, RecipeError) == Root.model_validate(expected)


def test_suggestions_ignore_case_and_stay_silent_when_far() -> None:
    assert yamlsource.did_you_mean("he", ["HE", "PAS"]) == "; did you mean `HE`?"
    assert yamlsource.did_you_mean("xyz", ["HE", "PAS"]) == ""


def test_json_is_yaml() -> None:
    data = {"a": [1, 2.5, True, None, "病\n\"'"], "b": {"c": {}, "d": []}}
    assert load(json.dumps(data), "f.json", UsageError).data == data


@pytest.mark.parametrize(
    "address",
    ["postgresql://u:pa@Geheim@h/db", "postgresql://u:p a Geheim@h/db", "postgresql://u:Ge'Geheim@h/db",
     "postgres://u@h/db?password=Geheim", "postgresql+psycopg://u@h/db?sslpassword=Geheim&x=1", "s3://u:Geheim@h/b"],
)  # fmt: skip
def test_a_password_in_an_address_is_never_shown(tmp_path: Path, address: str) -> None:
    file = tmp_path / "w.yaml"
    file.write_text(f'a: "{address}"\n', "utf-8")
    document = load(file, "w.yaml", UsageError)
    shown = render(document, [document.problem(("a",), f"`{address}` is not allowed")])
    assert "Geheim" not in shown
    assert "*****" in shown


def test_where_a_password_is_to_be_found_is_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    file.write_text("a: 1\n", "utf-8")
    document = load(file, "w.yaml", UsageError)
    message = "write postgresql://steward:${env:NAME}@host/db"
    assert message in render(document, [document.problem(("a",), message)])
