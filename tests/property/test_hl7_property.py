"""HL7 v2: whatever text is sent comes back, whatever bytes come do no harm, and neither order nor blocks matter."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.errors import UsageError
from pathcurate.mapping import Mapping
from pathcurate.model.finding import Finding
from pathcurate.parsers import hl7
from pathcurate.parsers.hl7 import stream
from pathcurate.text.accession import AccessionPatterns
from pathcurate.workspace import DEFAULT_PATTERNS
from tests.makers.hl7 import USUAL, Separators, message, result

PATTERNS = AccessionPatterns(DEFAULT_PATTERNS)
SIGNS = [USUAL, Separators("#", "*", "+", "!", "%"), Separators("|", "^", "~", "/", "&")]
# Letters, signs that need an escape, and Han characters of GB18030's two and four bytes whose second byte is a separator.
LETTERS = st.sampled_from([*"abcXTFSRE09.，。（+）% |^&~\\#*!/", "癌", "䶮", "㛃", "𬭎", "淋", "誠", "乗", "\n"])
TEXTS = st.text(LETTERS, min_size=1, max_size=80).filter(lambda text: len(text.strip(" \n\\./-—。")) > 1)


def parse(data: bytes) -> tuple[list[dict[str, Any]], list[Finding]]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "a.hl7"
        path.write_bytes(data)
        items = list(hl7.parse(path, "NB01", PATTERNS, Mapping()))
    return [item for item in items if isinstance(item, dict)], [item for item in items if isinstance(item, Finding)]


@given(text=TEXTS, signs=st.sampled_from(SIGNS), encoding=st.sampled_from(["utf-8", "gb18030"]))
@settings(max_examples=150, deadline=None)
def test_a_text_that_is_escaped_comes_back(text: str, signs: Separators, encoding: str) -> None:
    extra = result(signs, 9, "22638-1", signs.escaped(text))
    (row,), findings = parse(message(signs, extra=(extra,)).encode(encoding))
    assert findings == []
    assert row["comment"] == text.strip()


@given(
    data=st.binary(max_size=400),
    head=st.sampled_from([b"", b"MSH|^~\\&|", b"\x0bMSH|^~\\&|A|B\rPID|1\r", b"MSH|^~\\&\rOBR|1||S23-001\rOBX|1|TX|"]),
)
@settings(max_examples=200, deadline=None)
def test_bytes_of_any_kind_do_no_harm(data: bytes, head: bytes) -> None:
    try:
        rows, findings = parse(head + data)
    except UsageError:
        return
    assert all(row["site"] == "NB01" for row in rows)
    assert all(finding.rule.startswith("reports.") for finding in findings)
    hl7.detects(data)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_flaw_costs_no_more_than_its_message(data: st.DataObject) -> None:
    messages = [message(f3=f"S23-{number:05}").encode("gb18030") for number in range(1, 5)]
    struck = data.draw(st.integers(0, 3))
    place = data.draw(st.integers(12, len(messages[struck]) - 1))
    byte = data.draw(st.sampled_from([b"\x00", b"|", b"\\", b"^", b"\x81", b"\xff", b"a", b" "]))
    messages[struck] = messages[struck][:place] + byte + messages[struck][place:]
    rows, _ = parse(b"".join(messages))
    sound = {f"S23-{number}" for number in range(1, 5)} - {f"S23-{struck + 1}"}
    assert sound <= {row["accession"] for row in rows}


@given(order=st.permutations(range(4)), block=st.integers(1, 300))
@settings(max_examples=30, deadline=None)
def test_neither_order_nor_blocks_matter(order: list[int], block: int) -> None:
    messages = [message(f3=f"S23-{number:05}").encode("gb18030") for number in order]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "_BLOCK", block)
        rows, findings = parse(b"".join(messages))
    assert findings == []
    assert [row["accession"] for row in rows] == [f"S23-{number}" for number in order]
    assert len({str({**row, "accession": "", "accession_raw": "", "source_row": 0}) for row in rows}) == 1
