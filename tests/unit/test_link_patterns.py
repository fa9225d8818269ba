"""Patterns that are proposed for a site: of made-up sites with every way of writing a number on a slide."""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pathcurate.cli.linkpatterns import patterns_command
from pathcurate.engines.embedded import Embedded
from pathcurate.link.patterns import PatternReport, SourceShapes, look_at_patterns
from pathcurate.model.material import SCANNER_INDEX
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.tables import Catalog, from_rows
from pathcurate.text.accession import AccessionPatterns
from pathcurate.workspace import DEFAULT_PATTERNS, Accession

TODAY = AccessionPatterns(DEFAULT_PATTERNS)
Row = dict[str, Any]
Case = tuple[str, int, int]
"""Prefix, year of two digits, number."""
Writer = Callable[[Case, random.Random], str]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with Embedded(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as engine:
        yield engine


def reports(numbers: Sequence[str], site: str = "NB01") -> list[Row]:
    return [
        {"report_id": f"{site} {at}", "site": site, "accession": TODAY.normalise(raw), "accession_raw": raw,
         "report_type": "primary", "status": "final"}
        for at, raw in enumerate(numbers)
    ]  # fmt: skip


def slides(paths: Sequence[str | bytes], site: str = "NB01", **more: Any) -> list[Row]:
    return [
        {"slide_id": f"{site} {at}", "site": site, "archive": "a", "status": "ok",
         "relpath": path if isinstance(path, bytes) else path.encode(),
         **{name: values[at] for name, values in more.items()}}
        for at, path in enumerate(paths)
    ]  # fmt: skip


def look(
    engine: Embedded,
    root: Path,
    *,
    reports: Sequence[Row] = (),
    slides: Sequence[Row] = (),
    index: Sequence[Row] = (),
    limit: int = 20,
) -> PatternReport:
    catalog = Catalog(root)
    for table, rows in ((REPORTS, reports), (SLIDES, slides), (SCANNER_INDEX, index)):
        for part in (rows[: len(rows) // 3], rows[len(rows) // 3 :]):
            catalog.upsert(table, from_rows(table, part))
    return look_at_patterns(engine, catalog, "NB01", DEFAULT_PATTERNS, limit)


def cases(count: int = 150, prefixes: str = "SFB", seed: int = 1) -> list[Case]:
    chance = random.Random(seed)
    return [(chance.choice(prefixes), chance.randrange(19, 25), chance.randrange(100, 60_000)) for _ in range(count)]


def source(report: PatternReport, name: str) -> SourceShapes:
    return next(one for one in report.sources if one.source == name)


def dashed(case: Case, _: random.Random) -> str:
    return f"{case[0]}{case[1]}-{case[2]:05}"


def dashed_long(case: Case, _: random.Random) -> str:
    return f"{case[0]}20{case[1]}-{case[2]:05}"


SITES: dict[str, tuple[Writer, Writer]] = {
    "number before the year": (lambda c, _: f"{c[0]}{c[2]:05}/{c[1]}", lambda c, _: f"{c[0]}{c[2]:05}_{c[1]}_A1_HE"),
    "spaces": (dashed, lambda c, _: f"{c[0]}{c[1]} {c[2]:05} HE"),
    "zeros left out": (dashed, lambda c, _: f"{c[0]}{c[1]}_{c[2]}"),
    "the slide's number joined on": (dashed_long, lambda c, r: f"{c[0]}20{c[1]}{c[2]:05}{r.randrange(1, 30):02}"),
    "the letter in the middle": (
        lambda c, _: f"{c[1]}{c[0]}{c[2]:05}",
        lambda c, r: f"{c[1]}{c[0]}{c[2]:05}-{r.randrange(9)} HE",
    ),
    "Chinese before the number": (lambda c, _: f"病理20{c[1]}{c[2]:05}", lambda c, _: f"20{c[1]}_{c[2]:05} 左乳"),
    "a number alone": (lambda c, _: f"{700_000 + c[2]}", lambda c, _: f"{700_000 + c[2]}_1_HE"),
    "letters joined on": (dashed, lambda c, r: f"{c[0]}{c[1]}{c[2]:05}HE{r.randrange(9)}"),
    "a name before it": (dashed, lambda c, r: f"{r.choice(['王小红', '李四', '赵钱孙李'])} {c[0]}{c[1]}_{c[2]:05}"),
    "in quotes and brackets": (lambda c, _: f"[{c[0]}'{c[1]}]({c[2]:05})", lambda c, _: f"[{c[0]}'{c[1]}]({c[2]:05}) HE"),
    "no prefix on slides": (dashed, lambda c, _: f"20{c[1]}{c[2]:05}01"),
}


@pytest.mark.parametrize("name", SITES)
def test_a_proposal_reads_slides_and_laboratory_alike(engine: Embedded, tmp_path: Path, name: str) -> None:
    laboratory, slide = SITES[name]
    chance = random.Random(2)
    # Without a prefix on slides, two of a number with different prefixes could not be told apart.
    known = list(dict.fromkeys(cases(prefixes="S" if name == "no prefix on slides" else "SFB")))
    pairs = [(laboratory(case, chance), slide(case, chance)) for case in known]
    # One slide in ten is of a case that the laboratory does not know.
    texts = [text for at, (_, text) in enumerate(pairs) if at % 10]
    texts += [slide((case[0], case[1], 99_999 - at), chance) for at, case in enumerate(known[:15])]
    report = look(
        engine, tmp_path, reports=reports([raw for raw, _ in pairs]), slides=slides([f"2023/{text}.svs" for text in texts])
    )
    then = AccessionPatterns(report.patterns)
    # Digits without a dash may have a second reading behind the first.
    wrong = [text for raw, text in pairs if [key.key for key in then.find(text)][:1] != [then.normalise(raw)]]
    assert wrong == []
    assert report.found_today < 0.1
    # Half of the texts looked at are the folder's, which is one value and counts with the rest.
    assert 0.8 < report.found_then <= 1
    assert report.lost == 0
    assert report.drops_prefix == (name == "no prefix on slides")
    assert all(proposal.chance is None or proposal.chance < 0.2 for proposal in report.proposals)
    # The workspace takes them.
    assert Accession.model_validate({"patterns": report.patterns}).patterns == report.patterns


def uuid(_: Case, chance: random.Random) -> str:
    return "-".join(f"{chance.getrandbits(4 * width):0{width}x}" for width in (8, 4, 4, 4, 12))


@pytest.mark.parametrize(
    "slide",
    [
        uuid,
        lambda c, r: f"20{c[1]}{r.randrange(1, 13):02}{r.randrange(1, 29):02}_{r.randrange(240_000):06}",
        lambda c, r: f"20{c[1]}-{r.randrange(1, 13):02}-{r.randrange(1, 29):02}",
        lambda c, r: f"{c[1]}{r.randrange(1, 13):02}{r.randrange(1, 29):02}{r.randrange(100_000):05}",
        lambda _, r: f"slide_{r.randrange(60_000):05}",
        lambda _, r: f"{r.randrange(10**8):08}",
        lambda _, r: f"IMG_{r.randrange(10**5)}",
        lambda _, r: "".join(r.choices("赵钱孙李周吴郑王", k=3)),
        lambda c, r: f"{c[0]}{c[1]}_{r.randrange(60_000, 99_999)}",
    ],
)
def test_nothing_is_proposed_where_no_number_stands(engine: Embedded, tmp_path: Path, slide: Writer) -> None:
    chance = random.Random(3)
    known = cases(600)
    report = look(
        engine, tmp_path, reports=reports([dashed(case, chance) for case in known]),
        slides=slides([f"{slide(case, chance)}.svs" for case in known]),
    )  # fmt: skip
    assert (report.proposals, report.patterns) == ((), ())
    assert report.found_then == report.found_today < 0.02


def test_what_today_reads_needs_no_proposal(engine: Embedded, tmp_path: Path) -> None:
    known = cases()
    texts = [f"{case[0]}{case[1]}-{case[2]:05}-A1-HE.svs" for case in known]
    report = look(
        engine, tmp_path, reports=reports([dashed(case, random.Random(1)) for case in known]), slides=slides(texts)
    )
    assert report.patterns == ()
    (shape,) = source(report, "file_name").shapes
    assert (shape.shape, shape.read, shape.found) == ("A99-99999-<A>9-<HE>", 1.0, 1.0)
    assert source(report, "lis").shapes[0].found is None


def test_a_dense_laboratory_is_said_to_prove_little(engine: Embedded, tmp_path: Path) -> None:
    chance = random.Random(4)
    numbers = [f"{year}{number:05}" for year in range(19, 24) for number in range(0, 3000, 2)]
    texts = [f"IMG_20{chance.randrange(19, 24)}_{chance.randrange(0, 3200):05}.svs" for _ in range(400)]
    report = look(engine, tmp_path, reports=reports(numbers), slides=slides(texts))
    assert all(proposal.chance is None or proposal.chance > 0.35 for proposal in report.proposals)


def test_without_prefix_only_if_no_two_numbers_become_one(engine: Embedded, tmp_path: Path) -> None:
    known = [("SF"[at % 2], 23, at // 2) for at in range(400)]
    texts = [f"2023{case[2]:05}01.svs" for case in known]
    report = look(
        engine, tmp_path, reports=reports([dashed(case, random.Random(1)) for case in known]), slides=slides(texts)
    )
    assert report.patterns == ()
    assert not report.drops_prefix


def test_a_proposal_may_lose_nothing_that_is_found(engine: Embedded, tmp_path: Path) -> None:
    known = list(dict.fromkeys(cases(400, prefixes="S")))
    raw = reports([dashed(case, random.Random(1)) for case in known])
    texts = [
        f"{case[0]}{case[1]}-{case[2]:05}-A1.svs" if at % 4 else f"20{case[1]}{case[2]:05}01.svs"
        for at, case in enumerate(known)
    ]
    report = look(engine, tmp_path, reports=raw, slides=slides(texts))
    reader = AccessionPatterns(report.patterns)
    assert report.found_then > report.found_today
    assert report.lost == 0
    assert all(reader.find(text) for text in texts)


def test_every_source_is_shown(engine: Embedded, tmp_path: Path) -> None:
    count = 30
    rows = slides(
        [f"2023/case {at:03}/S23_{at:05}.ome.tif" for at in range(count)],
        barcode=[f"B{at:05}" for at in range(count)], label_text=[f"S23-{at:05}\n左乳" for at in range(count)],
        metadata_texts=[[f"t{at}", "GT450"] for at in range(count)],
    )  # fmt: skip
    gone = {**rows[0], "slide_id": "gone", "relpath": b"x/gone_once.svs", "status": "gone"}
    other = slides([f"OTHER{at}/{at}.svs" for at in range(30)], site="NB02")
    index = [
        {"entry_id": f"e{at}", "site": "NB01", "barcode": f"{at:08}", "accession_raw": f"23/{at:04}"}
        for at in range(count)
    ]  # fmt: skip
    raw = reports([f"S23-{at:05}" for at in range(count)])
    report = look(engine, tmp_path, reports=raw, slides=[*rows, gone, *other], index=index)
    shown = {one.source: [(shape.shape, shape.values, shape.slides) for shape in one.shapes] for one in report.sources}
    assert shown == {
        "barcode": [("<B>99999", 30, 30)], "label": [("<S>99-99999?汉汉", 30, 30)],
        "metadata": [("<T>99", 20, 20), ("A9", 10, 10)], "file_name": [("<S>99_99999.<OME>", 30, 30)],
        "folder": [("AAAA 999", 30, 30)], "index_barcode": [("99999999", 30, 30)], "index_number": [("99/9999", 30, 30)],
        "lis": [("<S>99-99999", 30, 30)],
    }  # fmt: skip
    rest = {one.source: (one.other_shapes, one.other_values, one.other_slides) for one in report.sources if one.other_shapes}
    # GT450 and 2023 are one value each.
    assert rest == {"metadata": (1, 1, 30), "folder": (1, 1, 30)}


def test_rare_shapes_and_few_letters_are_not_shown(engine: Embedded, tmp_path: Path) -> None:
    texts = ["WANG-1.svs", "LI-2.svs", "LI-22.svs", "LI-333.svs", "LI-4444.svs"]
    texts += (
        [f"CHEN_{at:02}.svs" for at in range(50)]
        + [f"XH_{at:02}.svs" for at in range(19)]
        + [f"王小红{at}.svs" for at in range(5)]
    )
    report = look(engine, tmp_path, slides=slides(texts))
    file_names = source(report, "file_name")
    assert [shape.shape for shape in file_names.shapes] == ["AAAA_99", "AA_99", "汉汉汉9"]
    assert (file_names.other_shapes, file_names.other_values) == (5, 5)


def test_no_value_leaves(engine: Embedded, tmp_path: Path) -> None:
    chance = random.Random(5)
    people = ["ZHANGSAN", "王小红", "Ивáнов", "李四光"]
    known = cases(400)
    texts = [f"{chance.choice(people)}_{case[0]}{case[1]}_{case[2]:05}_{chance.choice(people)}" for case in known]
    rows = slides(
        [f"{chance.choice(people)} 住院/{text}.svs" for text in texts],
        barcode=texts,
        label_text=texts,
        metadata_texts=[[t] for t in texts],
    )
    report = look(engine, tmp_path, reports=reports([dashed(case, chance) for case in known]), slides=rows)
    told = json.dumps(asdict(report), ensure_ascii=False).upper()
    assert report.patterns
    for canary in ("ZHANG", "王", "红", "李", "ИВ", "В", "住院", *(f"{case[2]:05}" for case in known)):
        assert canary not in told


def test_the_same_whatever_the_order_of_rows(engine: Embedded, tmp_path: Path) -> None:
    known = cases(500)
    chance = random.Random(6)
    raw = reports([dashed(case, chance) for case in known])
    rows = slides(
        [f"20{case[1]}/{case[0]}{case[1]} {case[2]:05}.svs" for case in known],
        barcode=[dashed(case, chance) for case in known],
    )
    first = look(engine, tmp_path / "a", reports=raw, slides=rows)
    chance.shuffle(raw)
    chance.shuffle(rows)
    assert look(engine, tmp_path / "b", reports=raw, slides=rows) == first


def test_nothing_known(engine: Embedded, tmp_path: Path) -> None:
    report = look(engine, tmp_path)
    assert (report.numbers, report.patterns, report.found_today) == (0, (), 0)
    report = look(engine, tmp_path, slides=slides([b"\xff\xfe\x00/\xd7\xf3\xc8\xe9 1.svs", ".svs", "a", "/x//y.svs"]))
    assert source(report, "file_name").other_values == 4
    assert report.patterns == ()


def test_names_that_windows_wrote_count(engine: Embedded, tmp_path: Path) -> None:
    paths = [f"会诊/左乳{at:05}.svs".encode("gb18030") for at in range(30)]
    assert source(look(engine, tmp_path, slides=slides(paths)), "file_name").shapes[0].shape == "汉汉99999"


# ---- the command ----


def run(root: Path, *arguments: str) -> Any:
    return CliRunner().invoke(patterns_command, ["-w", str(root), *arguments], standalone_mode=False)


def make_workspace(root: Path) -> None:
    (root / "pathcurate.yaml").write_text(
        "workspace: 1\nname: x\nsites:\n  - {code: NB01, archives: [/nowhere/a], materials: [{path: /nowhere/b}]}\n", "utf-8"
    )
    known = cases(120)
    catalog = Catalog(root / "catalog")
    catalog.upsert(REPORTS, from_rows(REPORTS, reports([dashed(case, random.Random(1)) for case in known])))
    catalog.upsert(SLIDES, from_rows(SLIDES, slides([f"'{case[0]}'{case[1]}_{case[2]:05}.svs" for case in known])))


def test_the_command_prints_yaml_to_paste(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    told = run(tmp_path, "--site", "NB01", "--limit", "3").stdout
    lines = told.splitlines()
    assert "run `pathcurate reports import`, `pathcurate materials import` and `pathcurate link` again:" in told
    (document,) = [json.loads(run(tmp_path, "--site", "NB01", "--json").stdout)]
    text = "\n".join(lines[lines.index("    accession:") :])
    file = tmp_path / "pathcurate.yaml"
    file.write_text(
        file.read_text("utf-8").replace(
            "  - {code: NB01, archives: [/nowhere/a], materials: [{path: /nowhere/b}]}",
            f"  - code: NB01\n    archives: [/nowhere/a]\n{text}",
        )
    )
    again = json.loads(run(tmp_path, "--site", "NB01", "--json").stdout)
    assert again["found_today"] == document["found_then"] == 1.0
    assert again["patterns"] == []
    assert "No pattern was found that would read more." in run(tmp_path, "--site", "NB01").stdout


def test_the_command_knows_no_other_site(tmp_path: Path) -> None:
    make_workspace(tmp_path)
    assert "no site" in str(run(tmp_path, "--site", "NB02").exception)
