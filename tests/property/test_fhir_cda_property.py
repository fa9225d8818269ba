"""FHIR and CDA: no bytes are too much for the parsers, and a report says the same however it is wrapped."""

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pathcurate.mapping import Mapping
from pathcurate.model.finding import Finding
from pathcurate.parsers import cda, fhir
from pathcurate.parsers.fhir import stream
from pathcurate.text.accession import AccessionPatterns
from pathcurate.workspace import DEFAULT_PATTERNS
from tests.makers.cda import document
from tests.makers.fhir import ANSWER, bundle, ndjson, report, resources

PATTERNS = AccessionPatterns(DEFAULT_PATTERNS)
WHOLE = bundle(resources()).encode()
LINES = ndjson(resources()).encode()
DOCUMENT = document().encode()
junk = st.binary(max_size=12) | st.sampled_from(
    [b"{", b"}", b"[", b']},{"resource":{', b'"', b"\\", b"\n", b"\x00", b"<", b"]]>", b"&"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["reference", "value", "coding", "text", "code", "system", "type", "use", "data"]), inner
        )
    ),
    max_leaves=8,
)
members = st.sampled_from(
    ["status", "category", "code", "identifier", "subject", "basedOn", "specimen", "result", "conclusion", "conclusionCode",
     "presentedForm", "media", "issued", "resultsInterpreter", "performer", "text", "contained", "id", "resourceType"]
)  # fmt: skip


def parse(parser: Any, data: bytes) -> tuple[list[dict[str, Any]], list[Finding]]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "a")
        path.write_bytes(data)
        items = list(parser.parse(path, "NB01", PATTERNS, Mapping()))
    return [item for item in items if isinstance(item, dict)], [item for item in items if isinstance(item, Finding)]


@given(st.sampled_from([WHOLE, LINES, DOCUMENT]), st.data())
@settings(max_examples=150, deadline=None)
def test_damage_anywhere_is_no_crash_and_never_silent(whole: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 40)))
    damaged = whole[:start] + data.draw(junk) + whole[end:]
    rows, findings = parse(cda if whole is DOCUMENT else fhir, damaged)
    assert rows or findings
    assert all("王小红" not in finding.message for finding in findings)


@given(st.dictionaries(members, values, max_size=4))
@settings(max_examples=150, deadline=None)
def test_no_resource_is_too_strange(changes: dict[str, Any]) -> None:
    text = ndjson([report(), {**report(id="r2"), **changes}, report(id="r3")])
    rows, _ = parse(fhir, text.encode("utf-8", "surrogatepass"))
    assert [row["source_row"] for row in rows if row["source_row"] != 2] == [1, 3]
    assert all(text.encode() for row in rows for text in row.values() if isinstance(text, str))


@given(
    st.permutations(range(len(resources()))),
    st.integers(1, 3),
    st.sampled_from(["utf-8", "utf-16", "gb18030"]),
    st.booleans(),
)
@example([6, 1, 2, 3, 4, 5, 0, *range(7, len(resources()))], 3, "utf-8", False)  # a character is cut
@settings(max_examples=40, deadline=None)
def test_order_indent_and_size_of_what_is_read_do_not_matter(
    order: list[int], size: int, encoding: str, has_lines: bool
) -> None:
    made = [resources()[index] for index in order]
    text = ndjson(made) if has_lines else json.dumps(json.loads(bundle(made)), indent=size, ensure_ascii=False)
    before = stream._BLOCK
    stream._BLOCK = 7**size
    try:
        (row,), findings = parse(fhir, text.encode(encoding))
    finally:
        stream._BLOCK = before
    assert row == {**ANSWER, "source_row": order.index(0) + 1}
    assert [finding.rule for finding in findings] == ["reports.attachment"]


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_answered(data: bytes) -> None:
    for parser in (fhir, cda):
        assert parser.detects(data) in (True, False)
        rows, _ = parse(parser, data)
        assert rows == []
