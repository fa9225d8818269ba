"""The page of a release: everything it should say, in both languages, whatever the values are, and in a real browser."""

import json
import re
import shutil
import subprocess
import sys
import types
import zlib
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from pathcurate.checksums import CHECKSUMS_NAME, write_checksums
from pathcurate.htmlreport.release import release_page
from pathcurate.htmlreport.releaseloading import programs
from pathcurate.htmlreport.releasewords import evaluation_zh, file_size, step_zh
from pathcurate.htmlreport.template import grouped, shown
from pathcurate.model.attrition import ShownTrait
from pathcurate.model.column import Column, Identifying, Type
from pathcurate.model.deidentified import SLIDES_DEID
from pathcurate.model.description import DescribedColumn, DescribedTable, Description, Spread
from pathcurate.model.evaluation import Diversity
from tests.built import build_release
from tests.unit.descriptions import (
    HOSTILE_WORDS,
    bare_description,
    hostile_description,
    orthopaedic_description,
    slide_description,
    with_files,
)

VOID = {"meta", "input", "br", "img", "link"}
CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Page(HTMLParser):
    """Elements in order, the ids, and texts by the classes that they stand in."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.page = page
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[tuple[str, str]] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append((tag, dict(attrs).get("class") or ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        inside = {name for tag, classes in self._open for name in (tag, *classes.split())}
        language = "zh" if "zh" in inside else "en" if "en" in inside else ""
        if not inside & {"style", "title", "desc"}:
            self.texts.append((language, data))

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def handle_pi(self, data: str) -> None:
        raise AssertionError("an instruction")

    def text(self, language: str) -> str:
        """What somebody sees who has chosen this language."""
        return " ".join(text for of, text in self.texts if of in ("", language))

    @property
    def skeleton(self) -> list[tuple[str, dict[str, str | None]]]:
        """The elements but for those of figures, where lines of text add some."""
        return [element for element in self.elements if element[0] not in {"text", "rect", "line", "polygon", "svg"}]


def picture(size: int, number: int) -> bytes:
    """A PNG of so many bytes; what it shows is noise."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    side = int((size / 3) ** 0.5)
    noise = bytes((number * 7 + n * n * 31 + n // 251) % 251 for n in range(3 * side))
    pixels = zlib.compress(b"".join(b"\0" + noise for _ in range(side)), 0)
    header = side.to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def wide_description(pictures: int = 24, size: int = 25_000) -> Description:
    """60 columns, one of them with 300 values, patients by trait, hidden counts, and pictures."""
    good = slide_description()
    many = {f"IHC:{'Marker' * (n % 4)}-{n}": 5000 - 7 * n for n in range(300)}
    ranges = {f"{n / 10:g} … {(n + 1) / 10:g}": (n + 3) * 100 for n in range(12)}
    spreads = {
        "stain": Spread(many, 1234), "site": Spread({"NB01": 20_000, "NB02": None, "ZJ": None}),
        "mpp": Spread(ranges), "scan_year": Spread({str(year): 900 for year in range(2008, 2026)}),
        "format": Spread({"svs": 20_480}), "is_control": Spread({"false": 20_000, "true": 480}),
        "sex": Spread({"female": 10_000, "male": 9_000}, None),
    }  # fmt: skip
    columns = [*SLIDES_DEID.columns]
    columns += [
        Column(f"label_{n:02d}", Type.STRING, "Label of the slide. " * 3, Identifying.SENSITIVE, values=("yes", "no"))
        for n in range(60 - len(columns))
    ]
    described = tuple(
        DescribedColumn(
            column, f"{column.name} 列", "含义说明。" * 8, 7 if number % 3 else 0, None, spreads.get(column.name)
        )
        for number, column in enumerate(columns)
    )
    slides = good.tables[0]
    table = replace(slides.table, columns=tuple(columns), key=("slide_id",))
    traits = (
        ShownTrait("sex", (("female", "female"), ("male", "")), (-1, 1), ((900, 700), (500, 300))),
        ShownTrait("year", (("2008", "2012"), ("2013", "2013")), (-1, 1), ((900, 700), (500, 300))),
    )
    return replace(
        good, tables=(DescribedTable(table, slides.row_zh, slides.rows, slides.parts, slides.digest, described),),
        attrition=replace(good.attrition, traits=traits),
        thumbnails={f"S-{n:016d}": picture(size, n) for n in range(pictures)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def slides() -> Page:
    return Page(release_page(slide_description()))


@pytest.fixture(scope="module")
def wide() -> Page:
    return Page(release_page(wide_description()))


@pytest.fixture(scope="module")
def hostile() -> Page:
    return Page(release_page(hostile_description()))


# --- Hostile values ----------------------------------------------------------------------------------------------------


def test_no_element_and_no_attribute_comes_from_data(hostile: Page) -> None:
    plain = Page(release_page(hostile_description("harmless words")))
    assert hostile.skeleton == plain.skeleton
    hostile.page.encode()
    known = {(tag, name) for tag, attributes in plain.elements for name in attributes}
    assert {(tag, name) for tag, attributes in hostile.elements for name in attributes} <= known


def test_hostile_words_are_read_as_they_are(hostile: Page) -> None:
    words = shown(HOSTILE_WORDS)
    text = hostile.text("en")
    assert text.count(words) > 50
    assert "49" not in {part for _, part in hostile.texts}
    assert not re.search("[\u200e\u200f\u202a-\u202e\u2066-\u2069\x00\x07\x85\ufeff]", hostile.page)


def test_programs_stay_programs_whatever_tables_and_files_are_called(tmp_path: Path) -> None:
    good = slide_description()
    name = "x'\"; DROP TABLE y; import os\n\\"
    table = replace(good.tables[1], table=replace(good.tables[1].table, name=name),
                    parts=(replace(good.tables[1].parts[0], path=f"data/{name}.parquet"),))  # fmt: skip
    found = {program.tool: program.code for program in programs(replace(good, tables=(good.tables[0], table)))}
    for tool in ("pandas", "PyTorch", "Hugging Face datasets"):
        compile(found[tool], tool, "exec")
        assert "\nimport os" not in found[tool]
    with duckdb.connect() as connection:
        assert [str(said.type).rpartition(".")[2] for said in connection.extract_statements(found["DuckDB"])] == [
            "CREATE", "CREATE", "SELECT", "SELECT",
        ]  # fmt: skip


def test_only_pictures_are_embedded() -> None:
    files = {"S-A": b"<svg onload=alert(1)>", "S-B": b"\xff\xd8\xff\xe0", "S-C": picture(300, 1), "S-D": b""}
    found = Page(release_page(replace(bare_description(), thumbnails=files)))
    one, other = [attributes["src"] or "" for tag, attributes in found.elements if tag == "img"]
    assert one.startswith("data:image/jpeg;base64,/9j")
    assert other.startswith("data:image/png;base64,iVBOR")
    assert "2 more are in the release" in found.text("en")


# --- The page itself ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [slide_description, orthopaedic_description, bare_description])
def test_a_page_forbids_scripts_and_the_network(make: Any) -> None:
    found = Page(release_page(make()))
    assert ("meta", {"http-equiv": "Content-Security-Policy", "content": CSP}) in found.elements
    assert found.page.index("Content-Security-Policy") < found.page.index("<style")
    names = {name for _, attributes in found.elements for name in attributes}
    assert not {name for name in names if name.startswith("on")} | names & {"style", "action", "srcset", "formaction"}
    assert not re.search(r"url\(|@import|<script|<link|<iframe|<form", found.page)
    links = [attributes["href"] or "" for _, attributes in found.elements if "href" in attributes]
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert links
    assert {link[1:] for link in links} <= set(ids)
    assert {link[:1] for link in links} == {"#"}


def test_every_text_is_there_in_both_languages(slides: Page, wide: Page) -> None:
    for found in (slides, wide):
        for tag, attributes in found.elements:
            if attributes.get("class") in {"en", "zh"} and tag == "span":
                assert attributes["lang"] == attributes["class"]
        classes = [attributes.get("class") for tag, attributes in found.elements if tag == "span"]
        assert classes.count("en") == classes.count("zh") > 100
        of_chinese = [text for language, text in found.texts if language == "zh" and " " in text.strip()]
        assert [text for text in of_chinese if not re.search("[\u4e00-\u9fff]", text)] == []
    of_english = [text for language, text in Page(release_page(bare_description())).texts if language == "en"]
    assert [text for text in of_english if re.search("[\u4e00-\u9fff]", text) and "去标识化" not in text] == []


def test_the_switch_needs_no_script(slides: Page) -> None:
    choices = [attributes for tag, attributes in slides.elements if tag == "input"]
    assert [(choice["id"], choice["name"], "checked" in choice) for choice in choices] == [
        ("en", "language", True), ("zh", "language", False),
    ]  # fmt: skip
    labels = [attributes["for"] for tag, attributes in slides.elements if tag == "label"]
    assert labels == ["en", "zh"]
    assert "#en:checked ~ main .zh, #zh:checked ~ main .en { display: none; }" in slides.page


def test_what_people_say_is_on_it(slides: Page) -> None:
    en, zh = slides.text("en"), slides.text("zh")
    for text in (
        "Thoracic tumour slides", "Training of diagnostic models.", "Nobody may be identified from it.",
        "One centre and two scanners.", "Pathology Centre of Example City", "data-steward@pathology.example",
        "1.50 CNY per slide", "in a trusted research environment", "disease specific research (DUO_0000007)",
        "to send it across the border", "2026-KY-017", "every quarter", "important data: no", "2019–2025", "41.2\u202fTB",
    ):  # fmt: skip
        assert text in en, text
    for text in (
        "胸科肿瘤数字病理切片数据集",
        "辅助诊断模型训练。",
        "示例市病理诊断中心",
        "1.50 CNY/张",
        "受控环境",
        "涉及重要数据：否",
    ):
        assert text in zh, text


def test_what_is_counted_is_on_it(wide: Page) -> None:
    description = wide_description(pictures=0)
    en = wide.text("en")
    for table in description.tables:
        for column in table.columns:
            assert column.column.name in en
            assert column.column.meaning in en
            assert column.meaning_zh in wide.text("zh")
    for value, count in next(c.spread for c in description.tables[0].columns if c.column.name == "stain").counts.items():
        assert value in en
        assert grouped(count) in en
    assert "hidden" in en
    assert "不显示" in wide.text("zh")
    assert "Patients of the cohort" in en
    assert "The same value or range in every row:" in en
    for number in (*description.counts.values(), *description.split.values()):
        assert grouped(number) in en


def test_who_was_there_before_the_last_step_is_not_the_cohort() -> None:
    good = wide_description(pictures=0)
    traits = tuple(replace(trait, after=(-1, 0)) for trait in good.attrition.traits)
    text = Page(release_page(replace(good, attrition=replace(good.attrition, traits=traits)))).text("en")
    assert "Patients of the cohort" not in text


def test_a_hidden_count_has_no_bar_and_a_known_one_its_share() -> None:
    bars = re.findall(r'<th scope="row">(NB01|NB02)</th><td class="bar">(.*?)</td><td class="number">(.*?)</td>',
                      release_page(wide_description(pictures=0)))  # fmt: skip
    (first, of_first, _), (second, of_second, count) = bars
    assert (first, second) == ("NB01", "NB02")
    assert 'width="100.0"' in of_first
    assert 'width="0"' in of_second
    assert "hidden" in count


def test_a_page_with_pictures_and_60_columns_stays_small() -> None:
    page = release_page(wide_description(size=80_000))
    assert len(page.encode()) < 1_500_000
    found = Page(page)
    pictures = [attributes for tag, attributes in found.elements if tag == "img"]
    assert 5 <= len(pictures) < 24
    assert f"{24 - len(pictures)} more are in the release" in found.text("en")
    assert all("S-" in (attributes["alt"] or "") for attributes in pictures)


def test_what_nobody_says_is_not_made_up() -> None:
    page = release_page(bare_description())
    found = Page(page)
    text = found.text("en")
    for sentence in ("Nobody has described this product", "This release holds no pictures.", "The recipe asks for none.",
                     "No permission list was configured", "No column has values that may be counted."):  # fmt: skip
        assert sentence in text, sentence
    assert "None" not in text.replace("Nonetheless", "")
    assert "Terms of use" not in text


def test_a_missing_permission_list_is_said_first_and_only_then(slides: Page) -> None:
    warned = release_page(replace(slide_description(), has_permissions=False))
    assert warned.index("No permission list was configured") < warned.index('class="counts"')
    assert "未配置授权清单" in warned
    assert "No permission list was configured" not in slides.page


def test_versions_say_what_changed(slides: Page) -> None:
    en, zh = slides.text("en"), slides.text("zh")
    assert "What changed since 1.1.0" in en
    assert "4,112 slides" in en
    assert "新增" in zh
    assert "table text_spans was added" in en
    for version in ("1.0.0", "1.1.0"):
        assert version in en


def test_label_quality_is_told_and_small_numbers_are_not() -> None:
    classes = [
        {"label": "grade", "value": "G3", "reviewed": 120, "wrong": "<10", "unsure": "withheld", "error": None, "low": None,
         "high": None, "instead": {}},
        {"label": "grade", "value": "G2", "reviewed": 100, "wrong": 12, "unsure": 0, "error": 0.12, "low": 0.07,
         "high": 0.2, "instead": {}},
    ]  # fmt: skip
    quality = {"cohort": "c", "recipe_sha256": "sha256:0", "classes": classes}
    text = Page(release_page(replace(bare_description(), labels_quality=quality))).text("en")
    assert "12 % (7 % – 20 %)" in text
    assert "<10" not in text


def test_each_sentence_of_the_evaluation_has_a_chinese_one() -> None:
    evaluation = slide_description().evaluation
    for sharing in ("public", "internal"):
        full = replace(
            evaluation, sharing=sharing, moved=("scan_datetime",), incomplete_reports=3, has_texts=True,
            figures=replace(evaluation.figures, alone=4, diversity=(Diversity("icd10", 1, 12),)),
        )  # fmt: skip
        english, chinese = list(full.words()), list(evaluation_zh(full))
        assert len(english) == len(chinese)
        for one, other in zip(english, chinese, strict=True):
            numbers = r"\d+(?:\.\d+)?"
            assert set(re.findall(numbers, other)) <= set(re.findall(numbers, one))


def test_words_for_steps_and_sizes() -> None:
    assert step_zh("age is shown in bands of 10 years") == "年龄以 10 年为一段"
    assert step_zh("scan date is shown as year and quarter only") == "扫描日期只显示年、季度"
    assert step_zh("grade is left out") == "不显示grade"
    assert step_zh("something else") == "something else"
    assert [file_size(size).replace("\u202f", " ") for size in (0, 999, 1000, 999_499, 41_234_567_890_123)] == [
        "0 B", "999 B", "1 kB", "999 kB", "41.2 TB",
    ]  # fmt: skip


def test_the_same_description_gives_the_same_bytes(slides: Page) -> None:
    assert release_page(slide_description()) == slides.page


# --- Its programs ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directories of releases: one that the stage built, one with part files and a split, one with several tables."""
    root = tmp_path_factory.mktemp("releases")
    build_release(root / "workspace").rename(root / "small")
    for name, make in (("slides", slide_description), ("hips", orthopaedic_description)):
        directory = root / name
        description = with_files(make(), directory)
        (directory / "report.html").write_text(release_page(description), encoding="utf-8")
        (directory / CHECKSUMS_NAME).write_bytes(write_checksums(directory))
    return root


def codes(directory: Path) -> list[str]:
    """The programs on a page, as a reader copies them."""
    page = (directory / "report.html").read_text(encoding="utf-8")
    return [unescape(code) for code in re.findall(r"<pre><code>(.*?)</code></pre>", page, re.DOTALL)]


@pytest.mark.parametrize(
    ("name", "unit", "rows"), [("small", "slides", 12), ("slides", "slides", 12), ("hips", "events", 6)]
)
def test_the_programs_run(built: Path, name: str, unit: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built / name)
    for_pandas, for_duckdb, for_hugging_face, for_pytorch, *_ = codes(built / name)
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    monkeypatch.setitem(sys.modules, "torch.utils", types.ModuleType("torch.utils"))
    monkeypatch.setitem(sys.modules, "torch.utils.data", _torch())
    monkeypatch.setitem(sys.modules, "datasets", _datasets())

    seen: dict[str, Any] = {"print": lambda text: None}
    exec(for_pandas, seen)  # noqa: S102 -- our own program
    assert isinstance(seen[unit], pd.DataFrame)
    assert len(seen[unit]) == rows
    train = seen["train"]
    with duckdb.connect() as connection:
        asked = connection.extract_statements(for_duckdb)
        answers = {statement.query.strip(): connection.execute(statement).fetchall() for statement in asked}
    of_torch: dict[str, Any] = {}
    exec(for_pytorch, of_torch)  # noqa: S102
    assert len(of_torch["rows"]) == len(of_torch["batch"]) == len(train) > 0
    of_datasets: dict[str, Any] = {}
    exec(for_hugging_face, of_datasets)  # noqa: S102
    assert len(of_datasets[unit]) == rows
    assert set(train["split"]) == {row["split"] for row in of_torch["batch"]} == {"train"}
    (sides,) = [dict(answer) for query, answer in answers.items() if "GROUP BY split" in query]
    assert sides["train"] == len(train) == len(of_datasets["train"])


def _torch() -> types.ModuleType:
    """Stands for PyTorch, which is too large for a test: a loader that asks for the rows one after the other."""
    module: Any = types.ModuleType("torch.utils.data")
    module.Dataset = object

    def loader(rows: Any, batch_size: int, *, shuffle: bool, collate_fn: Any) -> Any:
        assert shuffle
        return [collate_fn(rows[number] for number in range(min(batch_size, len(rows))))]

    module.DataLoader = loader
    return module  # type: ignore[no-any-return]


def _datasets() -> types.ModuleType:
    """Stands for Hugging Face's package: the rows of the files that it is given."""
    module: Any = types.ModuleType("datasets")

    class Rows(list[Any]):
        def filter(self, test: Any) -> "Rows":
            return Rows(row for row in self if test(row))

    def load_dataset(kind: str, *, data_files: str, split: str) -> Rows:
        assert (kind, split) == ("parquet", "train")
        files = sorted(Path().glob(data_files))
        assert files
        return Rows(row for file in files for row in duckdb.read_parquet(str(file)).fetchdf().to_dict("records"))

    module.load_dataset = load_dataset
    return module  # type: ignore[no-any-return]


def test_a_reader_verifies_it_without_us(built: Path) -> None:
    check = codes(built / "slides")[4]
    script = f"set -e\n{check}"
    run = subprocess.run(["bash", "-c", script], cwd=built / "slides", capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert re.fullmatch(r"[0-9a-f]{64}  manifest-sha256\.txt\n", run.stdout)
    damaged = shutil.copytree(built / "slides", built / "damaged")
    with (damaged / "data" / "texts.parquet").open("r+b") as file:
        file.write(b"X")
    run = subprocess.run(["bash", "-c", script], cwd=damaged, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "data/texts.parquet" in run.stdout


# --- In a browser ------------------------------------------------------------------------------------------------------

_LOOK = """<!DOCTYPE html><meta charset="utf-8"><body><pre id="seen"></pre><script>
const seen = [];
const look = (name, width, language) => new Promise(resolve => {
  const frame = document.createElement("iframe");
  frame.style.width = width + "px"; frame.style.height = "800px"; frame.style.border = "0";
  frame.onload = () => {
    const page = frame.contentDocument, root = page.documentElement;
    page.getElementById(language).checked = true;
    const cut = [...page.querySelectorAll("main *")].filter(one => !one.closest(".wide, figure, svg")
      && one.getBoundingClientRect().right > root.clientWidth + 1).map(one => one.outerHTML.slice(0, 80));
    const hidden = [...page.querySelectorAll(language == "en" ? ".zh" : ".en")].every(one => !one.getClientRects().length);
    seen.push({name, width, language, scrolls: root.scrollWidth > root.clientWidth, cut: cut.slice(0, 3), hidden,
               asked: frame.contentWindow.performance.getEntriesByType("resource").map(one => one.name)});
    frame.remove(); resolve();
  };
  frame.src = name; document.body.append(frame);
});
(async () => {
  for (const [name, width, language] of LOOKS) await look(name, width, language);
  document.getElementById("seen").textContent = JSON.stringify(seen);
  document.title = "done";
})();
</script>"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_no_page_scrolls_sideways_or_asks_for_anything(slides: Page, wide: Page, hostile: Page, tmp_path: Path) -> None:
    pages = {"slides.html": slides, "wide.html": wide, "hostile.html": hostile}
    asked = [
        ("slides.html", 1200, "zh"), ("slides.html", 360, "en"), ("wide.html", 360, "zh"), ("wide.html", 1200, "en"),
        ("hostile.html", 360, "en"),
    ]  # fmt: skip
    for name, page in pages.items():
        (tmp_path / name).write_text(page.page, encoding="utf-8")
    (tmp_path / "look.html").write_text(_LOOK.replace("LOOKS", json.dumps(asked)), encoding="utf-8")
    run = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
         f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom",
         f"file://{tmp_path}/look.html"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert [line for line in run.stderr.splitlines() if "CONSOLE" in line] == []
    found = re.search(r'<pre id="seen">(\[.*?\])</pre>', run.stdout, re.DOTALL)
    assert found is not None
    looks = json.loads(unescape(found[1]))
    assert len(looks) == len(asked)
    for look in looks:
        assert (look["scrolls"], look["cut"], look["hidden"], look["asked"]) == (False, [], True, []), look
