"""What people say of a product: addresses that can be read, years in order, and a file that is read once."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pathcurate.errors import UsageError
from pathcurate.model.productfile import Iri, ProductFile, Years
from pathcurate.productfile import load_product_file

ADDRESS: TypeAdapter[str] = TypeAdapter(Iri)


@pytest.mark.parametrize(
    "iri",
    [
        "https://[bad", "http://[::1", "https://[zz]/", "https:///foo", "https://", "https://?q", "https://#a", "https://:80/",
        "https://@/x", "https://u@/x", "https://[a@b/", "https://a]b/", "https://a:b/", "https://a:99999/", "https://a@b@c/",
        "https://1.2.3.999/", "ftp://a.example/", "javascript:alert(1)", "//a.example/", "urn:x", "",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(iri: str) -> None:
    with pytest.raises(ValidationError):
        ADDRESS.validate_python(iri)


@pytest.mark.parametrize(
    "iri",
    [
        "https://hospital.example", "http://hospital.example:8080/数据?a=1#b@c", "https://医院.example/", "https://[::1]:80/a",
        "https://reader:pass@hospital.example/", "https://hospital.example/@desk", "urn:oid:1.2.3", "urn:x-y:[a",
    ],
)  # fmt: skip
def test_an_address_stays_as_it_was_written(iri: str) -> None:
    assert ADDRESS.validate_python(iri) == iri


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab[]@:/?#.%\u2100é19٣", max_size=12) | st.text(max_size=12))
def test_whatever_is_taken_has_a_host_that_others_can_read(rest: str) -> None:
    try:
        iri = ADDRESS.validate_python(f"https://{rest}")
    except ValidationError:
        return
    parts = urlsplit(iri)
    assert parts.hostname
    assert parts.port is None or parts.port >= 0


def of_years(**covers: Any) -> Years | None:
    return ProductFile.model_validate({"product": 1, "name": "x", "covers": covers}).covers


@pytest.mark.parametrize(
    "covers", [{"first": 2020, "last": 2019}, {"first": 2019}, {"first": 19, "last": 2019}, {"first": 2019, "last": 20_190}]
)
def test_years_that_are_none_are_refused(covers: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="covers"):
        of_years(**covers)


def test_one_year_is_first_and_last() -> None:
    years = of_years(first=2023, last=2023)
    assert years is not None
    assert (years.first, years.last) == (2023, 2023)


def test_a_file_that_was_read_is_not_read_again(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("product: 1\nname: later\n")
    assert load_product_file(file).name == "later"
    assert load_product_file(file, b"product: 1\nname: earlier\n").name == "earlier"
    for content in (b"product: 1\nname: earlier\nprice: cheap\n", b"\xff\xfe", b"name: [\n", b""):
        with pytest.raises(UsageError, match=r"x\.yaml"):
            load_product_file(file, content)
