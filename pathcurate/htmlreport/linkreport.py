"""The page about how good the links are: rates, evidence, orphans, precision, drift and coverage, as counts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pathcurate.htmlreport.template import grouped, render, share
from pathcurate.model.linkquality import (
    FALL,
    LEAST_RECAPTURED,
    LEAST_REVIEWED,
    Drift,
    Lag,
    LinkQuality,
    Precision,
    Recall,
    Run,
    Share,
    SiteLinks,
)

_MOST_ROWS: Final = 20
_MOST_YEARS: Final = 12
_ODD_YEAR: Final = 5
"""A year whose link rate lies more percentage points below its site's own stands out, if it has enough slides."""
_LEAST_OF_YEAR: Final = 20
_TIERS: Final = {
    "exact": "两源一致", "barcode": "条码", "metadata": "文件头", "index": "扫描索引", "file_name": "文件名",
    "patient_date": "患者与日期", "probable": "概率匹配", "reviewed": "人工确认", "conflict": "冲突", "none": "未关联",
}  # fmt: skip
_COLOURS: Final = {
    "exact": ("var(--accent)", 1), "barcode": ("var(--accent)", 0.8), "metadata": ("var(--accent)", 0.66),
    "index": ("var(--accent)", 0.53), "file_name": ("var(--accent)", 0.4), "patient_date": ("var(--accent)", 0.28),
    "probable": ("var(--accent)", 0.18), "reviewed": ("#2f9e6e", 1), "conflict": ("var(--alarm)", 1),
    "none": ("var(--rule)", 1),
}  # fmt: skip
_SOURCES: Final = {
    "barcode": "条码", "label": "标签文字", "metadata": "文件头", "index": "扫描索引", "file_name": "文件名",
    "folder": "文件夹",
}  # fmt: skip
_FLAGS: Final = {
    "patient_agrees": "患者相符", "scanned_after_receipt": "扫描不早于收样", "organ_agrees": "器官相符",
    "stain_plausible": "染色合理", "block_named": "蜡块见于报告",
}  # fmt: skip
_TYPES: Final = {
    "primary": "常规", "amended": "修正", "consultation": "会诊", "cytology": "细胞学", "frozen": "冰冻",
    "supplementary": "补充", "withdrawn": "已撤回",
}  # fmt: skip
_RULES: Final = {
    "numbers_disagree": "号码不一致", "case_two_patients": "一例两患者", "number_two_people": "一号两人",
    "no_number": "无号码", "no_known_number": "号码不在报告中", "several_cases_of_patient": "患者有多例",
    "patient_disagrees": "患者不符", "rejected_by_review": "人工否定",
}  # fmt: skip
_UNKNOWN: Final = ("not known", "未知")

Words = tuple[str, str]
"""The same in English and in Chinese."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a stacked bar; lengths are in 1/1000 of the bar."""

    colour: str
    opacity: float
    start: float
    length: float
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table: its name, its texts, a bar before them if it has one, and whether it stands out."""

    name: Words
    cells: tuple[str, ...]
    bar: tuple[Segment, ...] | None = None
    stands_out: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: its heading, what has to be said of it, the heads of its number columns, and its rows."""

    title: Words
    heads: tuple[Words, ...]
    lines: tuple[Line, ...]
    note: Words = ("", "")
    has_bars: bool = False


@dataclass(frozen=True, slots=True)
class YearCell:
    """The link rate of one year of one site; no text where it has no slides."""

    text: str
    title: str
    stands_out: bool


@dataclass(frozen=True, slots=True)
class Whisker:
    """The precision of one tier with its interval; places are in 1/1000 of the axis, None where nobody has looked."""

    line: Line
    low: float | None
    middle: float | None
    high: float | None


def link_report_page(found: LinkQuality) -> str:
    """The page; the same quality gives the same bytes."""
    least = min((item.low for item in found.precision if item.low is not None), default=1.0)
    axis = min(90, int(least * 10) * 10)
    years = _years(found.sites)
    return render(
        "linkreport.html.j2",
        title=f"How well the slides of {found.name} are linked",
        has_permissions=True,  # there is nothing about a patient here that would need one
        found=found,
        conflicts=found.tiers["conflict"],
        fallen=[(_site(found, item.site), _drift_texts(item)) for item in found.drift if item.has_fallen],
        not_reviewed=[tier for tier in _not_reviewed(found) if found.tiers.get(tier)],
        fall=FALL,
        legend=[(tier, zh, *_COLOURS[tier]) for tier, zh in _TIERS.items() if found.tiers[tier]],
        sites=_site_grid(found),
        year_heads=[("before", "更早"), *((year, "") for year in years), ("no year", "未知")],
        year_lines=[(_site(found, site.site), _year_cells(site, years)) for site in found.sites if site.slides.whole],
        odd_year=_ODD_YEAR,
        least_of_year=_LEAST_OF_YEAR,
        whiskers=[_whisker(item, axis) for item in found.precision],
        axis=axis,
        least_reviewed=LEAST_REVIEWED,
        flags=[_words(flag, _FLAGS) for flag in _FLAGS],
        flag_lines=list(_flag_lines(found)),
        grids=[grid for grid in _grids(found) if grid.lines],
        rates=[grid for grid in _rates(found) if grid.lines],
        glass=[grid for grid in _glass(found) if grid.lines],
    )


def _not_reviewed(found: LinkQuality) -> list[str]:
    return [item.tier for item in found.precision if item.site is None and item.precision is None]


def _site(found: LinkQuality, code: str) -> Words:
    return code, found.site_names.get(code, "")


# --- Bars --------------------------------------------------------------------------------------------------------


def _stacked(parts: Sequence[tuple[str, float, int, str]]) -> tuple[Segment, ...]:
    """Segments of colour, opacity, count and title, that together fill the bar."""
    whole = sum(count for _, _, count, _ in parts)
    segments, reached = [], 0
    for colour, opacity, count, title in parts:
        if count:
            start, length = 1000 * reached / whole, 1000 * count / whole
            text = f"{title}: {grouped(count)} ({share(count, whole)})"
            segments.append(Segment(colour, opacity, round(start, 1), round(length, 1), text))
        reached += count
    return tuple(segments)


def _tier_bar(tiers: Mapping[str, int]) -> tuple[Segment, ...]:
    return _stacked([(*_COLOURS[tier], tiers.get(tier, 0), tier) for tier in _TIERS])


def _share_bar(item: Share) -> tuple[Segment, ...]:
    rest = item.whole - item.part
    return _stacked([("var(--accent)", 1, item.part, "yes"), ("var(--rule)", 0.5, rest, "no")])


def _counts(item: Share) -> tuple[str, ...]:
    return grouped(item.whole), grouped(item.part), share(item.part, item.whole)


# --- Sites and years ---------------------------------------------------------------------------------------------


def _site_grid(found: LinkQuality) -> Grid:
    lines = tuple(
        Line(_site(found, item.site), _counts(item.slides), _tier_bar(item.tiers))
        for item in found.sites if item.slides.whole
    )  # fmt: skip
    if len(lines) > 1:
        lines = (*lines, Line(("all", "合计"), _counts(found.slides), _tier_bar(found.tiers)))
    heads = (("Slides", "切片"), ("Linked", "已关联"), ("Rate", "关联率"))
    return Grid(("Sites", "机构"), heads, lines, has_bars=True)


def _years(sites: Iterable[SiteLinks]) -> list[str]:
    """The columns of the table of years: the latest ones, then those without a year."""
    named = sorted({year.name for site in sites for year in site.years if year.name is not None}, key=int)
    return named[-_MOST_YEARS:]


def _year_cells(site: SiteLinks, years: Sequence[str]) -> list[YearCell]:
    """Rates of one site: before the shown years, in each of them, and without a year."""
    by_name = {year.name: year for year in site.years}
    rest = [year for name, year in by_name.items() if name is not None and name not in years]
    before = Share("before", sum(year.whole for year in rest), sum(year.part for year in rest))
    shown = [before, *(by_name.get(name, Share(name, 0, 0)) for name in years), by_name.get(None, Share(None, 0, 0))]
    return [_year_cell(item, site.slides) for item in shown]


def _year_cell(item: Share, site: Share) -> YearCell:
    if item.share is None or site.share is None:
        return YearCell("", "", stands_out=False)
    stands_out = item.whole >= _LEAST_OF_YEAR and 100 * (site.share - item.share) > _ODD_YEAR
    # Rounded down: what is not all is never shown as all.
    return YearCell(str(int(100 * item.share)), f"{grouped(item.part)} / {grouped(item.whole)}", stands_out)


# --- Precision ---------------------------------------------------------------------------------------------------


def _whisker(item: Precision, axis: int) -> Whisker:
    name = _words(item.tier, _TIERS) if item.site is None else ("", f"{item.tier.replace('_', ' ')} · {item.site}")
    judged = item.right + item.wrong
    if item.precision is None or item.low is None or item.high is None:
        text = "not reviewed" if not item.unsure else "nothing decided"
        return Whisker(Line(name, ("0", "–", text, grouped(item.unsure))), None, None, None)
    interval = f"{share(item.right, judged)} ({100 * item.low:.1f}–{100 * item.high:.1f})"
    line = Line(name, (grouped(judged), grouped(item.wrong), interval, grouped(item.unsure)))
    places = (1000 * (100 * at - axis) / (100 - axis) for at in (item.low, item.precision, item.high))
    return Whisker(line, *(round(max(0.0, place), 1) for place in places))


# --- Tables ------------------------------------------------------------------------------------------------------


def _words(name: str, words: Mapping[str, str]) -> Words:
    return name.replace("_", " "), words.get(name, "")


def _grids(found: LinkQuality) -> Iterable[Grid]:
    """The tables that are nothing but numbers and bars, in the order of the page."""
    yield _source_grid(found)
    yield _rule_grid(found, ("Conflicts, by rule", "冲突原因"), lambda site: site.conflicts)
    yield _rule_grid(found, ("Slides without a case, by reason", "未关联原因"), lambda site: site.unlinked)
    yield _other_numbers(found)
    yield _per_case(found)
    yield _lag_grid(found.lags, found)
    yield _recall_grid(found.recall, found)
    yield _drift_grid(found.drift, found)
    yield _series_grid(found)


def _source_grid(found: LinkQuality) -> Grid:
    linked = found.slides.part
    lines = tuple(
        Line(_words(item.source, _SOURCES), (
            grouped(item.numbers), share(item.known, item.numbers), share(item.linked, item.numbers), grouped(item.linked),
            share(item.linked, linked), grouped(item.alone),
        ))
        for item in found.sources if item.numbers or item.linked
    )  # fmt: skip
    return Grid(
        ("Sources of numbers", "号码来源"),
        (("Numbers given", "号码数"), ("In the reports", "报告中有"), ("Led to the link", "成为关联"),
         ("Slides linked", "关联切片"), ("Of all linked", "占全部关联"), ("By it alone", "仅此来源")),
        lines,
        ("A number that the reports have and that led to no link was overruled, or stands in a conflict.",
         "报告中有但未成为关联的号码，或被其他来源否定，或处于冲突。"),
    )  # fmt: skip


def _flag_lines(found: LinkQuality) -> Iterable[tuple[Words, list[tuple[tuple[Segment, ...], str]]]]:
    """For each tier, by flag: a bar of what agrees, what does not and what is not known, and what does not as text."""
    for tier in dict.fromkeys(item.tier for item in found.flags if item.true + item.false):
        cells = []
        for item in (item for item in found.flags if item.tier == tier):
            bar = _stacked([("var(--accent)", 1, item.true, "yes"), ("var(--alarm)", 1, item.false, "no"),
                            ("var(--rule)", 0.5, item.unknown, "not known")])  # fmt: skip
            text = f"{grouped(item.false)} ({share(item.false, item.true + item.false)})"
            cells.append((bar, text if item.true + item.false else "–"))
        yield _words(tier, _TIERS), cells


def _rule_grid(found: LinkQuality, title: Words, of: Callable[[SiteLinks], Mapping[str, int]]) -> Grid:
    rules = sorted({rule for site in found.sites for rule in of(site)})
    lines = tuple(
        Line(_site(found, site.site), (*(grouped(of(site).get(rule, 0)) for rule in rules),
             share(sum(of(site).values()), site.slides.whole)))
        for site in found.sites if of(site)
    )  # fmt: skip
    return Grid(title, (*(_words(rule, _RULES) for rule in rules), ("Of all slides", "占全部切片")), lines)


def _other_numbers(found: LinkQuality) -> Grid:
    lines = []
    for site in found.sites:
        one, more = site.other_numbers.get(1, 0), sum(slides for count, slides in site.other_numbers.items() if count > 1)
        if one + more:
            cells = (grouped(one), grouped(more), share(one + more, site.slides.whole))
            lines.append(Line(_site(found, site.site), cells))
    return Grid(
        ("Slides that bear other numbers too", "另有其他号码的切片"),
        (("One other", "另一个"), ("Two or more", "两个及以上"), ("Of all slides", "占全部切片")), tuple(lines),
        ("Beside the number of their case; of a slide without a case, all numbers that might name one.",
         "除所属病例号码之外；未关联切片则为其全部候选号码。"),
    )  # fmt: skip


_PER_CASE: Final = ((0, 0), (1, 1), (2, 5), (6, 10), (11, 20), (21, None))


def _per_case(found: LinkQuality) -> Grid:
    lines = []
    for site in found.sites:
        if site.cases.whole:
            cases = site.slides_per_case
            counts = (
                sum(count for slides, count in cases.items() if low <= slides and (high is None or slides <= high))
                for low, high in _PER_CASE
            )
            slides = sum(number * count for number, count in cases.items())
            mean = f"{slides / site.cases.part:.1f}" if site.cases.part else "–"
            lines.append(Line(_site(found, site.site), (*(grouped(count) for count in counts), mean)))
    heads = (("No slide", "无切片"), ("1", ""), ("2–5", ""), ("6–10", ""), ("11–20", ""), ("21 +", ""), ("Mean", "平均"))
    return Grid(("Cases by number of slides", "每例切片数"), heads, tuple(lines), (
        "The mean is over cases that have slides.", "平均值仅计有切片的病例。"))  # fmt: skip


def _lag_grid(lags: Iterable[Lag], found: LinkQuality) -> Grid:
    lines = tuple(
        Line(_site(found, lag.site), (
            grouped(lag.known), *(grouped(days) for days in lag.quartiles), grouped(lag.before),
            share(lag.before, lag.known), grouped(lag.unknown),
        ))
        for lag in lags if lag.quartiles
    )  # fmt: skip
    return Grid(
        ("Days from receipt to scan", "收样至扫描天数"),
        (("Slides", "切片"), ("A quarter within", "四分之一"), ("Half within", "一半"), ("Three quarters", "四分之三"),
         ("Before receipt", "早于收样"), ("Share", "比例"), ("Not known", "未知")), lines,
    )  # fmt: skip


def _recall_grid(recalls: Iterable[Recall], found: LinkQuality) -> Grid:
    lines = []
    for item in recalls:
        if item.read or item.named:
            if item.recall is None or item.low is None or item.there_are is None:
                estimate: tuple[str, ...] = ("–", "too few in both", "–")
            else:
                estimate = (grouped(round(item.there_are)), _below(item.recall), _below(item.low))
            counts = (grouped(item.read), grouped(item.named), grouped(item.both))
            lines.append(Line(_site(found, item.site), (*counts, *estimate)))
    heads = (("Read or given", "读取或索引"), ("Named", "文件名"), ("Both", "两者"), ("There are", "估计总数"),
             ("Found", "查全率"), ("At least", "下限"))  # fmt: skip
    title = ("How many slides with a case the numbers find", "号码查全率（捕获再捕获）")
    return Grid(title, heads, tuple(lines), _RECALL_NOTE)


_RECALL_NOTE: Final = (
    (
        "Estimated by capture and recapture (Lincoln, Petersen; Chapman) from two sources: barcode, label, header "
        "or index, and the names of file and folder. It holds if the two are independent. Files that were named after the "
        "barcode make it too good; the last column is its 95 % limit if they are. Links by patient and date, and of "
        f"reviewers, come on top. Fewer than {LEAST_RECAPTURED} slides in both give no estimate."
    ),
    (
        "以两类来源（条码、标签、文件头或索引；文件名与文件夹）作捕获再捕获估计，前提是两者相互独立；"
        "若文件按条码命名，则估计偏高。"
    ),
)


def _below(part: float) -> str:
    """A share in percent, rounded down, since an estimate is never all."""
    return f"{int(1000 * part) / 10:.1f}\u202f%"


def _drift_texts(item: Drift) -> tuple[str, ...]:
    earlier = [run for run in (item.before, item.first) if run is not None]
    return tuple(f"{share(run.slides.part, run.slides.whole)} ({run.at[:10]})" for run in earlier)


def _drift_grid(drifts: Sequence[Drift], found: LinkQuality) -> Grid:
    lines = []
    for item in drifts:
        if item.before is not None or item.first is not None:
            cells = (
                _rate(item.now), _rate(item.before.slides if item.before else None), _points(item.before, item.now),
                _rate(item.first.slides if item.first else None), _points(item.first, item.now), _moved_conflicts(item),
                _moved_tiers(item),
            )  # fmt: skip
            lines.append(Line(_site(found, item.site), cells, stands_out=item.has_fallen))
    before = max((item.before.at[:10] for item in drifts if item.before), default="")
    first = max((item.first.at[:10] for item in drifts if item.first), default="")
    return Grid(
        ("Since earlier runs", "较以往关联"),
        (("Rate now", "现关联率"), (f"Before {before}", "上次"), ("Points", "百分点"), (f"First {first}", "首次"),
         ("Points", "百分点"), ("Conflicts", "冲突"), ("Tiers, points", "各级变化")), tuple(lines),
        (f"A rate that fell by more than {FALL} points stands out. Runs that changed nothing are left out.",
         f"关联率下降超过 {FALL} 个百分点者突出显示。结果相同的运行不计。"),
    )  # fmt: skip


def _rate(item: Share | None) -> str:
    return share(item.part, item.whole) if item else "–"


def _points(earlier: Run | None, now: Share) -> str:
    if earlier is None or earlier.slides.share is None or now.share is None:
        return "–"
    return _signed(100 * (now.share - earlier.slides.share))


def _signed(points: float) -> str:
    return f"{points:+.1f}".replace("-", "−") if abs(points) >= 0.05 else "±0"


def _moved_tiers(item: Drift) -> str:
    if item.before is None or not (item.before.slides.whole and item.now.whole):
        return "–"
    moves = []
    for tier in _TIERS:
        points = 100 * (item.tiers.get(tier, 0) / item.now.whole - item.before.tiers.get(tier, 0) / item.before.slides.whole)
        if abs(points) >= 0.5:
            moves.append(f"{tier.replace('_', ' ')} {_signed(points)}")
    return ", ".join(moves) or "–"


def _moved_conflicts(item: Drift) -> str:
    now = grouped(item.tiers.get("conflict", 0))
    return f"{grouped(item.before.tiers.get('conflict', 0))} → {now}" if item.before else now


def _series_grid(found: LinkQuality) -> Grid:
    lines = tuple(
        Line(_site(found, site.site), (
            grouped(site.series.whole), grouped(site.series.part), grouped(site.series_of_person),
            grouped(site.series.whole - site.series.part - site.series_of_person),
        ))
        for site in found.sites if site.series.whole
    )  # fmt: skip
    heads = (("Series", "序列"), ("Of a case", "属于病例"), ("Of a person only", "仅知患者"), ("Of nobody", "无归属"))
    return Grid(("Radiology series", "影像序列"), heads, lines)


# --- Shares ------------------------------------------------------------------------------------------------------


def _share_grid(title: Words, heads: tuple[Words, Words], shares: Sequence[Share], name: Callable[[str], Words]) -> Grid:
    lines = tuple(
        Line(_UNKNOWN if item.name is None else name(item.name), _counts(item), _share_bar(item))
        for item in shares if item.whole
    )  # fmt: skip
    if len(lines) > _MOST_ROWS:
        rest = [item for item in shares if item.whole][_MOST_ROWS - 1 :]
        more = Share(None, sum(item.whole for item in rest), sum(item.part for item in rest))
        lines = (*lines[: _MOST_ROWS - 1], Line((f"{len(rest)} more", "其余"), _counts(more), _share_bar(more)))
    return Grid(title, (*heads, ("Rate", "比例")), lines, has_bars=True)


def _plain(name: str) -> Words:
    return name, ""


def _rates(found: LinkQuality) -> Iterable[Grid]:
    slides = (("Slides", "切片"), ("Linked", "已关联"))
    yield _share_grid(("Scanners", "扫描仪型号"), slides, found.scanners, _plain)
    yield _share_grid(("File formats", "文件格式"), slides, found.formats, _plain)
    cases = (("Cases", "病例"), ("With a slide", "有切片"))
    yield _share_grid(("Cases by site", "各机构病例"), cases, [site.cases for site in found.sites],
                      lambda code: _site(found, code))  # fmt: skip
    yield _share_grid(("Cases by year of receipt", "各年病例"), cases, _latest(found.cases_by_year), _plain)
    yield _share_grid(("Cases by kind", "各类病例"), cases, found.cases_by_type, lambda kind: _words(kind, _TYPES))


def _glass(found: LinkQuality) -> Iterable[Grid]:
    heads = (("Glass", "玻片"), ("Scanned", "已扫描"))
    titles = (("site", ("By site", "按机构")), ("year", ("By year", "按年")), ("organ", ("By organ", "按器官")),
              ("stain", ("By stain", "按染色")))  # fmt: skip
    for by, title in titles:
        shares = _latest(found.glass[by]) if by == "year" else found.glass[by]
        yield _share_grid(title, heads, shares, (lambda code: _site(found, code)) if by == "site" else _plain)
    in_list = [site.glass for site in found.sites]
    known = (("Slides", "切片"), ("In the list", "在清单中"))
    yield _share_grid(("Slides whose glass the laboratory system lists", "玻片在清单中的切片"), known, in_list,
                      lambda code: _site(found, code))  # fmt: skip


def _latest(years: Sequence[Share]) -> list[Share]:
    """The latest year first, which is what a reader looks for; those without a year last."""
    named = [year for year in years if year.name is not None]
    return [*reversed(named), *(year for year in years if year.name is None)]
