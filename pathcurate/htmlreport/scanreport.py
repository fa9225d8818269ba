"""The page about what a scan found in the archives: numbers and bars, without a path, a barcode or a serial number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pathcurate.htmlreport.template import render

_MOST_ROWS: Final = 15
_STATUS_NAMES: Final = {
    "ok": "可用", "unsupported": "不支持的格式", "not_a_slide": "不是切片", "truncated": "文件不完整", "corrupt": "文件损坏",
    "companion_missing": "缺少配套文件", "unreadable": "无法读取", "lfs_pointer": "仅有指针", "decode_failed": "无法解码",
    "reader_crashed": "读取程序崩溃", "timeout": "超时", "offline": "离线", "moved": "已移动", "gone": "已消失",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tally:
    """How many slides have a value, and how many bytes they are; the name is None for slides without one."""

    name: str | None
    slides: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Slides that are not usable for one cause; numbers in the cause are replaced, so that like goes with like."""

    status: str
    cause: str
    slides: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Growth:
    """What the last scan of a site brought.

    Attributes:
        site: the site.
        at: when it ended.
        since: when the scan before ended, None if there was none.
        new: slides that were not known before.
        changed: known slides whose files had changed.
        moved: slides found under another path.
        gone: slides that were no longer there.
        slides: more slides than before, or fewer.
        size_bytes: more bytes than before, or fewer.
    """

    site: str
    at: str
    since: str | None
    new: int
    changed: int
    moved: int
    gone: int
    slides: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Overview:
    """What the archives hold, as plain data. Slides that are gone are counted in ``gone`` and nowhere else.

    Attributes:
        at: when it was made, ISO 8601 in UTC.
        name: of the workspace.
        slides: slides in whatever state.
        size_bytes: bytes of their files.
        files: their files.
        gone: known slides that are no longer there.
        sites: slides by site.
        archives: by archive root.
        formats: by file format.
        vendors: by vendor.
        scanners: by scanner model.
        years: by year of scanning, the earliest first.
        statuses: by state.
        checks: by how deep they were checked.
        barcodes: by where their barcode was read.
        label_texts: by where their label's text was read.
        quality: by verdict of quality control; no name where none was made.
        failures: what is not usable, by cause, the most frequent first.
        tiles_checked: tiles whose place was held against the size of the file.
        tiles_bad: of these, tiles outside it.
        tiles_decoded: tiles that were decoded as a sample.
        labels_read: slides whose label image was looked at.
        duplicates: slides with the pixels of an earlier one.
        with_mpp: slides whose microns per pixel are known.
        offline: slides whose bytes are on tape or in cold storage.
        growth: what the last scan of each site brought.
    """

    at: str
    name: str
    slides: int
    size_bytes: int
    files: int
    gone: int
    sites: tuple[Tally, ...]
    archives: tuple[Tally, ...]
    formats: tuple[Tally, ...]
    vendors: tuple[Tally, ...]
    scanners: tuple[Tally, ...]
    years: tuple[Tally, ...]
    statuses: tuple[Tally, ...]
    checks: tuple[Tally, ...]
    barcodes: tuple[Tally, ...]
    label_texts: tuple[Tally, ...]
    quality: tuple[Tally, ...]
    failures: tuple[Failure, ...]
    tiles_checked: int
    tiles_bad: int
    tiles_decoded: int
    labels_read: int
    duplicates: int
    with_mpp: int
    offline: int
    growth: tuple[Growth, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A table with bars.

    Attributes:
        title: its heading.
        title_zh: its heading in Chinese.
        tallies: its rows; what is beyond the first rows is one row.
        missing: what slides without a value are called.
        missing_zh: the same in Chinese.
        notes: what each name means in Chinese; empty where it says nothing more.
    """

    title: str
    title_zh: str
    tallies: tuple[Tally, ...]
    missing: str
    missing_zh: str
    notes: tuple[str, ...]

    @property
    def most(self) -> int:
        """The longest bar's slides."""
        return max((tally.slides for tally in self.tallies), default=0)


def overview_page(found: Overview) -> str:
    """The page; the same overview gives the same bytes."""
    sections = [
        _section("Sites", "机构", found.sites),
        _section("Archives", "存储根目录", found.archives),
        _section("Formats", "文件格式", found.formats),
        _section("Vendors", "厂商", found.vendors),
        _section("Scanners", "扫描仪型号", found.scanners),
    ]
    checks = [
        _section("Depth", "检查深度", found.checks, ("not read", "未读取")),
        _section("Barcode read from", "条码来源", found.barcodes, ("none read", "未读取到")),
        _section("Label text read from", "标签文字来源", found.label_texts, ("none read", "未读取到")),
        _section("Image quality", "图像质量", found.quality, ("not looked at", "未检查")),
    ]
    ok = sum(tally.slides for tally in found.statuses if tally.name == "ok")
    return render(
        "scanreport.html.j2",
        title=f"Slide archive of {found.name}",
        has_permissions=True,  # there is nothing about a patient here that would need one
        found=found,
        ok=ok,
        states=_section("States", "状态", found.statuses, notes=_STATUS_NAMES),
        sections=[section for section in sections if section.tallies],
        checks=[section for section in checks if any(tally.name is not None for tally in section.tallies)],
        failures=found.failures[:_MOST_ROWS],
        other_failures=_sum("", [Tally("", item.slides, item.size_bytes) for item in found.failures[_MOST_ROWS:]]),
        columns=_columns(found.years),
        unknown_year=sum(tally.slides for tally in found.years if tally.name is None),
        size=byte_size,
        signed=signed,
    )


def _section(
    title: str,
    title_zh: str,
    tallies: Sequence[Tally],
    missing: tuple[str, str] = ("not known", "未知"),
    notes: Mapping[str, str] = MappingProxyType({}),
) -> Section:
    shown = tuple(tallies)
    if len(shown) > _MOST_ROWS:
        rest = shown[_MOST_ROWS - 1 :]
        shown = (*shown[: _MOST_ROWS - 1], _sum(f"{len(rest)} more 其余", rest))
    words = tuple(notes.get((tally.name or "").partition(":")[0], "") for tally in shown)
    return Section(title, title_zh, shown, *missing, words)


def _sum(name: str, tallies: Sequence[Tally]) -> Tally:
    return Tally(name, sum(tally.slides for tally in tallies), sum(tally.size_bytes for tally in tallies))


# --- Years -------------------------------------------------------------------------------------------------------

# Lengths are in the figure's own units, which are CSS pixels at full size.
_FIGURE_WIDTH: Final = 640
_FLOOR: Final = 150
_CEILING: Final = 26
_MOST_LABELS: Final = 16


@dataclass(frozen=True, slots=True)
class Column:
    """A bar of the figure of years."""

    x: float
    y: float
    width: float
    height: float
    middle: float
    label: str
    slides: int
    has_label: bool


def _columns(years: Sequence[Tally]) -> tuple[Column, ...]:
    """A bar for each year from the first to the last, so that a year without slides is seen as one."""
    known = {int(tally.name): tally.slides for tally in years if tally.name is not None}
    if not known:
        return ()
    # Clocks that were never set put slides into 1970 or 2099; the gap to the rest would leave no room for the bars.
    first, last = min(known), max(known)
    shown = list(range(first, last + 1)) if last - first < 60 else sorted(known)
    step = _FIGURE_WIDTH / len(shown)
    most = max(known.values())
    every = -(-len(shown) // _MOST_LABELS)
    columns = []
    for place, year in enumerate(shown):
        slides = known.get(year, 0)
        height = max(round((_FLOOR - _CEILING) * slides / most, 1), 1.5 if slides else 0)
        width = min(step * 0.72, 64)
        middle = round((place + 0.5) * step, 1)
        has_label = (len(shown) - 1 - place) % every == 0
        left = round(middle - width / 2, 1)
        columns.append(Column(left, _FLOOR - height, round(width, 1), height, middle, str(year), slides, has_label))
    return tuple(columns)


# --- Numbers -----------------------------------------------------------------------------------------------------

_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def byte_size(count: int) -> str:
    """Bytes in a unit that leaves one to three digits before the point (IEC 80000-13, decimal prefixes)."""
    value, unit = float(count), 0
    while abs(value) >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    digits = 0 if unit == 0 or abs(value) >= 99.95 else 1
    return f"{value:.{digits}f}\u202f{_UNITS[unit]}"


def signed(number: int, text: str) -> str:
    """The text of an amount with its sign, so that more and fewer are told apart."""
    return text if number < 0 else f"+{text}" if number > 0 else "±0"
