"""HL7 v2 messages with reports (ORU^R01, MDM^T02): one row for each OBR group, from files of any number of messages."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pathcurate.errors import InputOutputError, UsageError
from pathcurate.mapping import Mapping
from pathcurate.model.finding import Finding, Severity
from pathcurate.parsers.hl7.message import Message, read_message
from pathcurate.parsers.hl7.report import GroupReader, Report, read_places
from pathcurate.parsers.hl7.stream import ENVELOPE, HEAD, NOTHING, Piece, pieces
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.encodings import decode
from pathcurate.text.reportrow import ReportRows

NAME = "hl7"
_REPORTS = frozenset({"ORU", "MDM", "OUL"})
_BEGINS = {b"FHS": b"FTS", b"BHS": b"BTS"}
_WHITE = b"\r\n\t \0\x0b"
_LONGEST_HEADER = 4096
# MSH-18, table 0211, without spaces and dashes.
_CHARACTER_SETS = {
    **dict.fromkeys(
        ("GB180302000", "GB18030", "GB180302005", "GB180302022", "GBK", "GB2312", "CP936", "GB23121980"), "gb18030"
    ),
    **dict.fromkeys(("UNICODEUTF8", "UTF8", "UNICODE"), "utf-8"),
    **{f"8859/{part}": f"iso8859-{part}" for part in (*range(1, 12), 13, 14, 15, 16)},
    **dict.fromkeys(("BIG5", "CNS116431992"), "big5"),
}


def detects(head: bytes) -> bool:
    """Whether a file begins with a message, or with the head of a file or batch of messages."""
    text = head.decode("utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "latin-1", errors="ignore")
    return HEAD.match(text.removeprefix("ï»¿")) is not None


def parse(path: Path, site: str, patterns: AccessionPatterns, mapping: Mapping) -> Iterator[dict[str, Any] | Finding]:
    """Rows of the ``reports`` table without ``report_id``, ``is_current`` and ``source_file``, and findings.

    Each OBR with what belongs to it is a report; a second one with the same number is a supplement. Texts are sorted by
    OBX-3 (LOINC, or a known head in Chinese or English), else by the heads within them. Pictures and documents are left
    out and counted. A message that is damaged, or has no accession number, becomes a finding and no row.

    Args:
        path: the file; messages may be framed as MLLP sends them or stand in batches.
        site: code of the site it came from.
        patterns: the site's accession patterns; of the places where a number may stand, the first that they know counts.
        mapping: ``columns`` names places in place of heads, ``OBR-3``, ``PID-5.2`` or ``OBX:CODE`` (the result with this
            code or name in OBX-3), and overrides those that are shipped; ``encoding`` is used for all messages.

    Raises:
        InputOutputError: the file cannot be read.
        UsageError: there is no message in it, or the mapping names what is no place.
    """
    reader = _FileReader(path.name, site, patterns, mapping)
    try:
        with path.open("rb") as file:
            for piece in pieces(file):
                yield from reader.read(piece)
    except OSError as error:
        raise InputOutputError(
            f"{path.name} cannot be read ({type(error).__name__})", "Check the path in pathcurate.yaml and its permissions."
        ) from None
    if not reader.number:
        raise UsageError(f"{path.name} holds no HL7 message", "Export it again; messages begin with MSH.")
    yield from reader.findings()


class _FileReader:
    """Reads the messages of one file, and counts what they are."""

    def __init__(self, source: str, site: str, patterns: AccessionPatterns, mapping: Mapping) -> None:
        self.number = 0
        """Messages so far."""
        self._source = source
        self._site = site
        self._patterns = patterns
        self._encoding = mapping.encoding
        self._places = read_places(mapping, source)
        self._rows = ReportRows(site, patterns, mapping, source)
        self._others = 0
        self._attachments = 0
        self._silent: list[int] = []
        # Messages since the begin of a batch, None outside of one.
        self._in_batch: int | None = None
        self._open: set[bytes] = set()

    def read(self, piece: Piece) -> Iterator[dict[str, Any] | Finding]:
        """Rows and findings of a message, and of the heads and ends of batches behind it."""
        if piece.is_message:
            self.number += 1
            self._in_batch = None if self._in_batch is None else self._in_batch + 1
        if piece.data is None:
            yield self._finding("reports.message_damaged", Severity.ERROR, "is too long for a report and was not imported")
            return
        envelope = ENVELOPE.search(piece.data)
        data = piece.data[: envelope.start()] if envelope else piece.data
        if piece.is_message:
            yield from self._message(data, is_ended=envelope is not None or not piece.is_last or _is_ended(data))
        elif data.strip(NOTHING):
            yield self._about_file(
                "reports.message_damaged", Severity.ERROR, "has text before its first message, which was not imported", 1
            )
        for match in ENVELOPE.finditer(piece.data, envelope.start() if envelope else len(piece.data)):
            yield from self._envelope(match[1])

    def _message(self, data: bytes, *, is_ended: bool) -> Iterator[dict[str, Any] | Finding]:
        """The reports of a message, or why there are none."""
        is_framed = data.startswith(b"\x0b")
        content, block_end, _ = data.partition(b"\x1c")
        message = self._decoded(content.lstrip(NOTHING).rstrip(_WHITE))
        fault = message if isinstance(message, str) else message.cut() if not is_ended else None
        if is_framed and not block_end:
            fault = fault or "is not closed by the end of its block"
        if isinstance(message, str) or fault:
            yield self._finding("reports.message_damaged", Severity.ERROR, f"{fault} and was not imported")
            return
        if not is_ended:
            what = (
                "does not end with the end of a segment: what follows may be lost; compare it with the laboratory's system"
            )
            yield self._finding("reports.message_unended", Severity.WARNING, what)
        if message.header(9)[0].strip().upper() not in _REPORTS and (any(message.header(9)) or not message.has_results):
            self._others += 1
        elif not message.groups:
            yield self._finding("reports.message_damaged", Severity.ERROR, "has no report (OBR or TXA) and was not imported")
        else:
            yield from self._reports(message)

    def _decoded(self, data: bytes) -> Message | str:
        data = data.replace(b"\0", b"")
        claimed = _claimed(data)
        try:
            text = data.decode(self._encoding) if self._encoding else decode(data, claimed)
        except UnicodeDecodeError:
            text = None
        return read_message(text) if text is not None else "cannot be decoded (it is cut, or of no encoding that is known)"

    def _reports(self, message: Message) -> Iterator[dict[str, Any] | Finding]:
        read = [GroupReader(message, group, self._patterns, self._places).report() for group in message.groups]
        seen: set[str] = set()
        lost = 0
        for report in read:
            accession = self._patterns.normalise(report.texts["accession"]) if len(read) > 1 else ""
            if not report.says_something and any(other is not report and other.says_something for other in read):
                # The order of a panel stands before those of its parts.
                continue
            if accession in seen and not report.texts.get("report_type"):
                report.texts["report_type"] = "supplementary"
            seen.add(accession)
            row = self._row(report)
            lost += row is None
            if row is not None:
                yield row
        if lost:
            what = "has no usable accession number and was not imported"
            yield self._finding("reports.no_accession", Severity.ERROR, what, lost)

    def _row(self, report: Report) -> dict[str, Any] | None:
        says_something = report.says_something
        row = self._rows.row(report.texts, self.number)
        if row is None:
            return None
        if not says_something and row["status"] == "final":
            self._silent.append(self.number)
        self._attachments += report.attachments
        return {**row, "attachment_count": report.attachments}

    def _envelope(self, line: bytes) -> Iterator[Finding]:
        """Heads (FHS, BHS) and ends (FTS, BTS) of files and batches: an end says how many messages there were."""
        name, count = line[:3], line.split(line[3:4])[1:2]
        if name in _BEGINS:
            self._open.add(_BEGINS[name])
            self._in_batch = 0 if name == b"BHS" else self._in_batch
            return
        self._open.discard(name)
        sent = int(count[0]) if name == b"BTS" and count and re.fullmatch(rb"[0-9]{1,9}", count[0].strip()) else None
        if sent is not None and self._in_batch is not None and sent != self._in_batch:
            what = f"has {self._in_batch} messages in a batch that says it has {sent}; ask for it again"
            yield self._about_file("reports.batch_incomplete", Severity.WARNING, what, abs(sent - self._in_batch))
        self._in_batch = None if name == b"BTS" else self._in_batch

    def findings(self) -> Iterator[Finding]:
        """What was counted over the whole file."""
        if self._open:
            what = "has no end of its file or batch: messages may be missing; ask for it again"
            yield self._about_file("reports.batch_incomplete", Severity.WARNING, what, 1)
        if self._others:
            what = f"has {self._others} messages that are no reports and were left out"
            yield self._about_file("reports.other_report", Severity.INFO, what, self._others)
        if self._attachments:
            what = f"has {self._attachments} pictures or documents in its results, which were left out"
            yield self._about_file("reports.attachment", Severity.INFO, what, self._attachments)
        if self._silent:
            what = f"has {len(self._silent)} final reports without any text, the first in message {self._silent[0]}"
            yield self._about_file("reports.no_text", Severity.WARNING, what, len(self._silent))
        yield from self._rows.findings()

    def _finding(self, rule: str, severity: Severity, what: str, count: int = 1) -> Finding:
        return Finding(
            rule, severity, f"message {self.number} of {self._source} {what}",
            stage="reports", site=self._site, table="reports", subject=f"{self._source} message {self.number}", count=count,
        )  # fmt: skip

    def _about_file(self, rule: str, severity: Severity, what: str, count: int) -> Finding:
        return Finding(
            rule, severity, f"{self._source} {what}",
            stage="reports", site=self._site, table="reports", subject=self._source, count=count,
        )  # fmt: skip


def _is_ended(data: bytes) -> bool:
    return data.rstrip(b"\0")[-1:] in {b"\r", b"\n", b"\x1c"}


def _claimed(data: bytes) -> str | None:
    """Python's name of the character set that a message says it is in (MSH-18)."""
    header = re.split(rb"[\r\n]", data[:_LONGEST_HEADER], maxsplit=1)[0]
    fields = header.split(header[3:4])
    name = fields[17].decode("ascii", errors="ignore").split("~")[0] if len(header) > 3 and len(fields) > 17 else ""
    return _CHARACTER_SETS.get(re.sub(r"[\s_-]", "", name).upper())
