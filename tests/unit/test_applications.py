"""Applications: every question is answered, the same application has the same digest, and what is hostile is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pyrage import x25519

from pathcurate.applications import application_digest, blank_application, contract_id, load_application, read_application
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.model.application import Application, Use
from tests.contracted import application
from tests.products import key

SIGNER, IDENTITY = key(), x25519.Identity.generate()
FILE = Path("application.yaml")


def said(**parts: Any) -> dict[str, Any]:
    return application(signer=SIGNER, identity=IDENTITY, **parts)


def load(value: dict[str, Any]) -> Application:
    return load_application(FILE, json.dumps(value).encode())


def test_each_question_must_be_answered() -> None:
    for name in (name for name, field in Use.model_fields.items() if field.is_required()):
        value = said()
        del value["use"][name]
        with pytest.raises(UsageError, match=name):
            load(value)
    for name in ("recipient", "applicant", "project", "environment", "period", "keys"):
        value = said()
        del value[name]
        with pytest.raises(UsageError, match=name):
            load(value)


def _replaced(path: str, new: Any) -> dict[str, Any]:
    value = said()
    *above, last = path.split(".")
    part = value
    for name in above:
        part = part[name]
    part[last] = new
    return value


POINT_OF_ORDER_ONE = "MCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
WRONG: list[tuple[str, Any]] = [
    ("recipient", "Lab"), ("recipient", "../lab"), ("recipient", "l"), ("recipient", "lab-two"), ("recipient", "lab\n"),
    ("application", 2), ("use.purpose", "DUO_0000043"), ("use.purpose", "research"),
    ("use.commercial", "perhaps"), ("use.commercial", None), ("use.diseases", ["lung"]), ("use.extra", True),
    ("keys.signing", "AAAA"), ("keys.signing", POINT_OF_ORDER_ONE), ("keys.encryption", "age1x"),
    ("keys.encryption", f"{IDENTITY.to_public()}\n"), ("keys.encryption", str(IDENTITY)),
    ("applicant.country", "China"), ("applicant.name", "a\u2028b"), ("applicant.name", "\x1b[2J"), ("applicant.name", " "),
    ("applicant.uscc", "123"), ("applicant.kind", "friend"), ("period.last", "2026-01-01"), ("period.first", "2026-02-30"),
    ("environment", "usb"), ("terms", ["DUO_0000004"]), ("project.title", "x" * 501), ("project.summary", ""),
]  # fmt: skip


@pytest.mark.parametrize(("path", "new"), WRONG, ids=range(len(WRONG)))
def test_what_is_of_another_form_is_refused_with_its_place(path: str, new: Any) -> None:
    with pytest.raises(UsageError, match=r"application\.yaml"):
        load(_replaced(path, new))


def test_a_private_key_that_was_entered_by_mistake_is_not_repeated_in_full() -> None:
    with pytest.raises(UsageError) as told:
        load(_replaced("keys.encryption", str(IDENTITY)))
    assert str(IDENTITY) not in str(told.value)


def test_the_same_application_is_the_same_however_it_is_laid_out() -> None:
    value = said()
    first = load(value)
    text = "# a comment\n" + yaml.safe_dump(dict(reversed(value.items())), allow_unicode=True)
    second = load_application(FILE, text.encode())
    assert application_digest(first) == application_digest(second)
    assert contract_id("thorax", "sha256:" + "0" * 64, first) == contract_id("thorax", "sha256:" + "0" * 64, second)


changes = st.sampled_from(
    [("use.commercial", True), ("use.genetic", True), ("use.purpose", "DUO_0000042"), ("period.last", "2026-12-30"),
     ("applicant.name", "other"), ("project.summary", "other"), ("environment", "tre"), ("recipient", "lab2"),
     ("keys.encryption", str(x25519.Identity.generate().to_public()))]
)  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(changes)
def test_whatever_is_changed_makes_another_contract(change: tuple[str, Any]) -> None:
    digest = "sha256:" + "0" * 64
    assert contract_id("thorax", digest, load(_replaced(*change))) != contract_id("thorax", digest, load(said()))


def test_another_release_makes_another_contract() -> None:
    one, two = (contract_id("thorax", "sha256:" + digit * 64, load(said())) for digit in "01")
    assert one != two
    assert one.rpartition("-")[0] == two.rpartition("-")[0] == "thorax-lab"


def test_a_blank_application_asks_each_question_and_is_no_application() -> None:
    text = blank_application()
    with pytest.raises(UsageError) as told:
        load_application(FILE, text.encode())
    for name in Use.model_fields:
        assert f"\n  {name}:" in text
    for part in Application.model_fields:
        assert f"\n{part}:" in text or f"\n# {part}:" in text
    assert "no value is given here" in str(told.value)


def test_a_blank_application_that_is_filled_in_is_one() -> None:
    """With its comments, and each answer written behind its colon."""
    value = said(use={"purpose": "DUO_0000042"})
    flat = {**value["applicant"], **value["project"], **value["use"], **value["keys"], "environment": "file"}
    lines = []
    for line in blank_application().splitlines():
        name, colon, rest = line.partition(":")
        is_open = colon and not rest.partition("#")[0].strip() and name.strip() in flat
        if name.strip() == "contact":
            lines.append('  contact: {name: A, email: "a@lab.example"}')
        elif is_open:
            lines.append(f"{name}: {json.dumps(flat[name.strip()])} #{rest.partition('#')[2]}")
        else:
            lines.append(line)
    filled = load_application(FILE, "\n".join(lines).encode())
    assert filled.use == load(value).use
    assert filled.keys == load(value).keys


def test_a_file_that_cannot_be_read_or_is_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError):
        read_application(tmp_path / "none.yaml")
    with pytest.raises(InputOutputError):
        read_application(tmp_path)
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(UsageError, match="larger than"):
        read_application(large)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"- a", b"\xff\xfe", b"application: 1", b"a: &a [*a]", b"a: !!python/object:os.system x"]
)
def test_what_is_no_application_is_refused(content: bytes) -> None:
    with pytest.raises(UsageError):
        load_application(FILE, content)
