"""Whatever is in the file: data comes back as it was, positions lie inside the file, and only our error is raised."""

import contextlib
import re
from typing import Any

import yaml
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pathcurate.errors import RecipeError
from pathcurate.yamlsource import Document, Step, load

# YAML 1.1, which the dumper writes, leaves some text unquoted that is a number in YAML 1.2 (1e5, 0o17, +.5).
_NUMBER_IN_1_2_ONLY = re.compile(r"[-+]?[0-9]*\.?[0-9]*([eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+")
_text = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff\ufffe\uffff")).filter(
    lambda text: not _NUMBER_IN_1_2_ONLY.fullmatch(text)
)
_scalars = (
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | _text
    | st.sampled_from(
        ["no", "0123", "12:30", "2012-01-01", "<<", "=", "a: b", "- x", "#", "病理 \u3000", "\n", "\t", "é\n\n b"]
    )
)  # fmt: skip
_data = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text.filter(bool), inner, max_size=4),
    max_leaves=20,
)


def paths(data: Any, path: tuple[Step, ...] = ()) -> list[tuple[Step, ...]]:
    """Every path into the data."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(inner for step, value in items for inner in paths(value, (*path, step)))]


def assert_positions_lie_inside(document: Document) -> None:
    for path in paths(document.data):
        for key in (False, True):
            line, column = document.position(path, key=key)
            assert 1 <= line <= len(document.lines)
            assert 1 <= column <= len(document.lines[line - 1]) + 1


@given(_data, st.booleans() | st.none(), st.booleans(), st.integers(2, 9), st.sampled_from([20, 80, 1000]))
@settings(max_examples=100, deadline=None)
def test_what_is_dumped_is_read_back(data: Any, flow: bool | None, ascii_only: bool, indent: int, width: int) -> None:
    text = yaml.safe_dump(
        data,
        default_flow_style=flow,
        allow_unicode=not ascii_only,
        indent=indent,
        width=width,
        sort_keys=False,
    )
    # PyYAML folds some quoted texts so that its own loader reads them back with another backslash.
    assume(repr(yaml.safe_load(text)) == repr(data))
    document = load(text.encode(), "f.yaml", RecipeError)
    assert repr(document.data) == repr(data)
    assert_positions_lie_inside(document)


@given(st.lists(_text.filter(lambda text: bool(text) and text.isalnum() and text.isascii()), min_size=1, unique=True))
@settings(max_examples=50, deadline=None)
def test_a_key_stands_where_its_position_says(names: list[str]) -> None:
    document = load("\n".join(f"  {name}: 'v'" for name in names), "f.yaml", RecipeError)
    for number, name in enumerate(names, start=1):
        assert document.position((name,), key=True) == (number, 3)
        line, column = document.position((name,))
        assert document.lines[line - 1][column - 1 :] == "'v'"


# fmt: off
_pieces = [*"ab0:-?[]{},&*!|>'\"%@`#~ \t\n\r\\.<=", "\n  ", ": ", "- ", "&a ", "*a", "---\n", "...\n", "<<", "\\x",
           "\\U0011ffff", "!!str ", "%YAML 1.1\n", "%TAG ! x\n", "\x85", "\u2028", "\ufeff", "病", "\ud800", "\x00"]
# fmt: on
_yamlish = st.lists(st.sampled_from(_pieces)).map("".join)


@given(st.text() | _yamlish)
@example("\ufeff\ufeff")
@example("%YAML 1." + "9" * 5000 + "\n--- a")
@example("? ")
@example("[" * 3000)
@example("- " * 3000)
@example("{a: " * 200)
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_or_refused_with_our_error(text: str) -> None:
    try:
        document = load(text, "f.yaml", RecipeError)
    except RecipeError as error:
        shown = re.match(r"f\.yaml:(\d+):(\d+): error: ", error.message)
        assert shown is not None
        assert int(shown[1]) <= len(re.split("\r\n|[\n\r\x85\u2028\u2029]", text))
    else:
        assert_positions_lie_inside(document)


@given(st.binary() | _yamlish.map(lambda text: text.encode("utf-8", errors="surrogatepass")))
@example(b"\xff\xfe")
@example(b"\xef\xbb\xbf\xff")
@example("病理号: 1".encode("gb18030"))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_read_or_refused_with_our_error(data: bytes) -> None:
    with contextlib.suppress(RecipeError):
        assert_positions_lie_inside(load(data, "f.yaml", RecipeError))
