"""Values that do something where somebody forgot that they are values: in no page, no table for people, on no terminal.

Whoever names a folder, types a report, fills in a scanner's form or writes a product's file may write what is planted here:
markup and scripts, formulas of spreadsheets, what terminals obey, and marks that turn text around. All commands that write a
page, a CSV or a message run over it; then each page is read element by element and opened in a browser, each cell and each
byte of output is looked at.
"""

import csv
import json
import os
import re
import shutil
import stat
import subprocess
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from pathcurate.engines.embedded import Embedded
from tests.archives import Here
from tests.commandline import pathcurate
from tests.makers.aperio import labelled_svs
from tests.makers.labels import paint_symbols

MARK = "RANQX"
"""In every planted value: a page whose title becomes this has run a script of its data."""
_RUN = f"document.title='{MARK}'"
MARKUP = (
    f"\"'></title></style></textarea></script><script>{_RUN}</script><img src=x onerror={_RUN}><svg/onload={_RUN}>"
    f"<a href=javascript:{_RUN}>{MARK}</a>]]>--><!--{{{{7*7}}}}{{% raw %}}${{7*7}}"
)
NAMED = f"'\"><img src=x onerror={_RUN}><svg onload={_RUN}>"
"""The same without a slash, as a file may be called."""
OBEYED = "\x1b[31m\x1b]0;pwned\x07\x9b2J\x08\x7f\x85"
TURNED = "\u202egpj.exe\u2066\u200f"
FORMULAS = ('=cmd|"/C calc"!A0', "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", "\r=1+1", "＝1+1", ' =HYPERLINK("http://x.test")')
LONG = "长<b>" * 5000
_HEADS = (
    "病理号,外院病理号,姓名,性别,年龄,身份证号,住院号,联系电话,送检单位,送检医师,标本名称,临床诊断,肉眼所见,镜下所见,病理诊断,"
    "免疫组化,备注,报告医师,审核医师,接收日期,报告日期,报告类型,报告状态"
)
_BEGINS_FORMULA = re.compile(r"[=+\-@\t\r＝＋－＠]")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")
_SIZE = (300, 260)


@dataclass
class House:
    """A workspace full of hostile values, and what its commands wrote to the terminal."""

    root: Path
    printed: dict[str, tuple[str, str]] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)

    def run(self, *command: str, mode: str = "-v") -> None:
        done = pathcurate(*command, "-w", self.root, mode)
        name = " ".join((*(Path(part).name for part in command), mode))
        self.printed[name] = (done.stdout, done.stderr)
        self.codes[name] = done.returncode

    def files(self, ending: str) -> Iterator[Path]:
        yield from (path for path in sorted(self.root.rglob(f"*{ending}")) if "inputs" not in path.parts)


def _cells(number: int) -> list[str]:
    """A report of case ``number`` in which every text is hostile, each column beginning with another formula."""
    texts = {
        head: f"{FORMULAS[(number + at) % len(FORMULAS)]} {MARKUP} {TURNED}" for at, head in enumerate(_HEADS.split(","))
    }
    known = {
        "病理号": f"HX23-0000{number}", "性别": "女", "年龄": "60岁", "身份证号": "", "住院号": f"=ZYH<b>{number}",
        "接收日期": "2023-03-01", "报告日期": "2023-03-04", "报告类型": "常规", "报告状态": "已审核",
    }  # fmt: skip
    texts["病理诊断"] = f"=1+1 左肺浸润性腺癌{MARKUP}{OBEYED}，患者{MARKUP}；报告医师：{TURNED}{LONG if number == 2 else ''}"
    return [{**texts, **known}[head] for head in _HEADS.split(",")]


def _table(path: Path, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([heads, *rows])


def _inputs(root: Path) -> None:
    inputs = root / "inputs"
    folder = inputs / "slides" / f"={NAMED}{OBEYED}{TURNED}"
    folder.mkdir(parents=True)
    for number in range(1, 7):
        keys = {"AppMag": "40", "MPP": "0.25", "Title": MARKUP, "Barcode": f"=1+1{MARKUP}", "ScanScope ID": f"@{MARKUP}"}
        label = paint_symbols([("data_matrix", f"=HX23-0000{number}<b>{MARK}", 6.0, (300, 380))], lines=("HX23",))
        name = f"HX23-0000{number} {FORMULAS[number % 4].replace('/', '')}{NAMED}{TURNED}.svs"
        (folder / name).write_bytes(labelled_svs(label, seed=number, keys=keys))
    (folder / f"{NAMED}\nlost.svs").write_bytes(b"no slide")
    (folder / f"+{NAMED}.svs").write_bytes(labelled_svs(b"no picture", seed=9, keys={"AppMag": "40", "Filename": MARKUP}))
    _table(inputs / "reports.csv", _HEADS.split(","), [*map(_cells, range(1, 7)), [MARKUP, "\x00", OBEYED] * 3, [TURNED]])
    events = [
        [f"=ZYH<b>{number}", "检验", "=x", f"={MARKUP}", f"+{MARKUP}", f"-1{OBEYED}", "2023-01-01"] for number in range(1, 7)
    ]
    _table(inputs / "events.csv", ["住院号", "类别", "编码体系", "代码", "项目", "结果", "日期"], [*events, [MARKUP] * 7])
    glass = [[f"HX23-0000{number}", "A1", f"=HE{MARKUP}", f"@{number}{MARKUP}"] for number in range(1, 7)]
    _table(inputs / "glass.csv", ["病理号", "蜡块号", "染色", "玻片号"], [*glass, [MARKUP] * 4])
    _table(inputs / "scanner.csv", ["File Path", "Case Number", "Patient ID"], [[f"={NAMED}.svs", MARKUP, OBEYED]])
    permissions = [[f"=ZYH<b>{number}", "知情同意", "research", "slides;reports;events"] for number in range(1, 7)]
    _table(inputs / "consent.csv", ["住院号", "依据", "用途", "数据类型"], [*permissions, [MARKUP, MARKUP, OBEYED, TURNED]])
    shape = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 0]]]},
             "properties": {"classification": {"name": f"={MARKUP}{OBEYED}"}}}  # fmt: skip
    (inputs / "drawn.geojson").write_text(json.dumps([shape]), encoding="utf-8")


_ESCAPED = MARKUP.replace("${7*7}", "") + TURNED
"""What a person may write into a settings file, where a parameter inside other text is refused, and so are controls."""


def _settings(root: Path) -> None:
    said = f"={_ESCAPED}"
    settings = {
        "workspace": 1, "name": "hostile",
        "sites": [{
            "code": "HX01", "name": said, "archives": [{"name": "main", "root": str(root / "inputs" / "slides")}],
            "reports": [{"path": "inputs/reports.csv"}], "events": [{"path": "inputs/events.csv"}],
            "materials": [{"path": "inputs/glass.csv"}], "index": [{"path": "inputs/scanner.csv"}],
            "annotations": [{"path": "inputs/drawn.geojson"}],
        }],
        "permissions": [{"path": "inputs/consent.csv"}],
    }  # fmt: skip
    _yaml(root / "pathcurate.yaml", settings)
    steps = [
        {"id": "scanned", "label": said, "level": "slide", "where": {"status": "ok"}},
        {"id": "adult", "label": f"@{_ESCAPED}", "level": "case", "where": {"age": {"min": 18}}},
    ]
    recipe = {
        "recipe": 1, "name": "hostile", "version": "1.0.0", "title": said, "owner": said, "unit": "slide",
        "include": steps, "split": {"ratios": {"train": 0.5, "test": 0.5}},
        "columns": ["slide_id", "case_id", "patient_id", "site", "sex", "age", "stain", "split"],
        "texts": ["diagnosis", "gross"],
        "concepts": {"cancer": {"any": ["癌", "</script><b>"]}},
        "labels": [{"name": "settled", "level": "case", "has": {"table": "reports", "where": {"status": "final"}}}],
    }  # fmt: skip
    (root / "recipes").mkdir()
    _yaml(root / "recipes" / "hostile.yaml", recipe)
    (root / "products").mkdir()
    both = {"zh": said, "en": said}
    product = {
        "product": 1, "name": "hostile", "title": both, "description": both, "keywords": {"zh": [said], "en": [said]},
        "scenarios": both, "limits": both, "limitations": both, "region": said, "industry": said,
        "holder": {"name": both, "kind": said}, "contact": {"name": said, "phone": said},
        "evidence": {"ethics": {"number": said, "issued_by": said}, "legal_basis": [said]},
    }  # fmt: skip
    _yaml(root / "products" / "hostile.yaml", product)


def _yaml(path: Path, content: object) -> None:
    path.write_text(yaml.safe_dump(content, allow_unicode=False, sort_keys=False), encoding="utf-8")


@contextmanager
def _careless() -> Iterator[None]:
    """Somebody whose files everybody may read and write unless a program says otherwise."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    root = tmp_path_factory.mktemp("house") / "workspace"
    root.mkdir()
    _inputs(root)
    _settings(root)
    house = House(root)
    recipe, release = str(root / "recipes" / "hostile.yaml"), str(root / "releases" / "hostile" / "1.0.0")
    with pytest.MonkeyPatch.context() as patch, _careless():
        patch.setattr(Embedded, "run", Here.run)
        for command in (
            ("scan", "--labels", "--qc", "--report"), ("reports", "import"),
            ("reports", "guess", f"{root}/inputs/reports.csv"),
            ("events", "import"), ("materials", "import"), ("index", "import"), ("permissions", "import"),
            ("annotations", "import"), ("link",), ("link", "patterns", "--site", "HX01"), ("link", "report"),
            ("link", "review", "export"), ("concepts", "build"), ("concepts", "list"), ("findings", "list"),
            ("deid", "apply"), ("deid", "verify"), ("describe",),
            ("recipe", "check", recipe), ("recipe", "explain", recipe, "--sql"), ("run", recipe),
            ("cohort", recipe, "--sample", "3"), ("labels", "review", "export", "hostile"), ("deid", "review", "export"),
            ("manifest", "show", release), ("manifest", "list"),
            ("manifest", "diff", release, "hostile@1.0.0", "--format", "html", "-o", f"{root}/diff.html"),
            ("manifest", "diff", release, "hostile@1.0.0"),
            ("manifest", "export", release, "--to", "csv", "-o", f"{root}/export"),
            ("validate", release), ("validate", str(root)), ("product", "register", release), ("product", "show", "hostile"),
            ("product", "check", "hostile"), ("product", "list"),
            ("product", "catalog", "--html", f"{root}/shop", "--force"),
            ("product", "statement", "hostile", "--amount", "100.00"), ("audit", "report"), ("doctor",),
            ("find", f"={MARKUP}", "--to-review"), ("nothing", MARKUP), ("find", OBEYED, MARKUP, "--to-review"),
        ):  # fmt: skip
            house.run(*command)
        for command in (
            ("link", "report"), ("concepts", "list"), ("findings", "list"), ("describe",), ("cohort", recipe, "--dry-run"),
            ("manifest", "show", release), ("product", "show", "hostile"), ("product", "check", "hostile"),
            ("product", "list"), ("recipe", "explain", recipe), ("validate", str(root)), ("audit", "report"),
        ):  # fmt: skip
            house.run(*command, mode="--json")
    return house


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.scripts: list[str] = []
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._in_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts.append(data)

    def policy(self) -> str:
        found = [given["content"] for tag, given in self.elements if given.get("http-equiv") == "Content-Security-Policy"]
        assert len(found) == 1
        return found[0]


def test_the_values_went_all_the_way(house: House) -> None:
    failed = {name: (code, house.printed[name][1]) for name, code in house.codes.items() if code}
    assert {
        ascii(name): told for name, told in failed.items() if not name.startswith(("nothing", "find ", "validate"))
    } == {}


def test_no_element_of_a_page_is_of_data(house: House) -> None:
    pages = list(house.files(".html"))
    assert len(pages) >= 9, [str(page.relative_to(house.root)) for page in pages]
    marked = 0
    for path in pages:
        text = path.read_text(encoding="utf-8")
        page = Page(text)
        name = path.relative_to(house.root)
        marked += MARK in text
        policy = page.policy()
        assert "default-src 'none'" in policy, name
        assert not re.search(r"script-src[^;]*(unsafe|http|\*|data:)", policy), name
        assert _CONTROLS.sub("", text.replace("\t", " ")) == text.replace("\t", " "), name
        for tag, given in page.elements:
            assert tag not in {"iframe", "object", "embed", "base", "link", "frame", "applet"}, name
            assert tag != "form" or not given.keys() & {"action", "target"}, name
            assert not [key for key in given if key.startswith("on")], (name, tag)
            for key in ("href", "src", "xlink:href", "action", "formaction"):
                if tag not in {"a", "img"}:
                    assert given.get(key, "#").startswith("#"), (name, tag, given)
                assert not given.get(key, "").strip().lower().startswith(("javascript:", "http:", "data:text", "x")), (
                    name,
                    tag,
                )
            assert tag != "img" or given["src"].startswith("data:image/") or (path.parent / given["src"]).is_file(), name
        for script in page.scripts:
            assert MARK not in script, name
        own = [b64encode(sha256(script.encode()).digest()).decode() for script in page.scripts]
        assert all(f"'sha256-{digest}'" in policy for digest in own), name
    assert marked >= 5


def test_no_cell_is_a_formula(house: House) -> None:
    tables = list(house.files(".csv"))
    assert len(tables) >= 5, tables
    hostile = 0
    for path in tables:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.reader(file):
                for cell in row:
                    hostile += cell.startswith("'") and "javascript:" in cell
                    assert not _BEGINS_FORMULA.match(cell) or _NUMBER.fullmatch(cell), (path.relative_to(house.root), cell)
    assert hostile


def test_no_byte_of_output_is_obeyed(house: House) -> None:
    printed = {name: "".join(streams) for name, streams in house.printed.items()}
    assert sum(MARK in text for text in printed.values()) > 5
    for name, text in printed.items():
        assert _CONTROLS.findall(text) == [], name


def test_modes_are_the_same_whatever_the_umask_is(house: House) -> None:
    modes = {path.relative_to(house.root).as_posix(): path.lstat() for path in house.root.rglob("*")}
    made = {
        name: stat.S_IMODE(told.st_mode)
        for name, told in modes.items()
        if not name.startswith(("inputs", "recipes", "products"))
    }
    assert {name for name in made if name.startswith("vault/")}
    private = ("catalog", "vault")
    assert {name: oct(mode) for name, mode in made.items() if name.split("/")[0] in private and mode & 0o077} == {}
    assert {name: oct(mode) for name, mode in made.items() if mode & 0o002 and name != "pathcurate.yaml"} == {}


def test_json_is_json(house: House) -> None:
    documents = {name: json.loads(out) for name, (out, _) in house.printed.items() if name.endswith("--json")}
    # An escape in JSON is the character itself.
    assert TURNED in documents["product show hostile --json"]["title"]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_no_script_of_data_runs_in_a_browser(house: House, tmp_path: Path) -> None:
    """All pages in one window, each in a frame of its own, then whether any has another title than its file gives it."""
    pages = list(house.files(".html"))
    frames = "".join(f'<iframe src="{path.as_uri()}"></iframe>' for path in pages)
    look = f"""<!DOCTYPE html><meta charset="utf-8"><body>{frames}<pre id="seen"></pre><script>
onload = () => {{ setTimeout(() => {{ document.getElementById("seen").textContent =
  JSON.stringify([...document.querySelectorAll("iframe")].map(f => f.contentDocument.title)); }}, 300); }};
</script>"""
    (tmp_path / "look.html").write_text(look, encoding="utf-8")
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
         "--virtual-time-budget=4000",
         f"--user-data-dir={tmp_path}/profile", "--dump-dom", (tmp_path / "look.html").as_uri()],
        capture_output=True, text=True, timeout=120, check=True, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    seen = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert seen
    titles = json.loads(seen[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert len(titles) == len(pages)
    assert all(titles)
    assert MARK not in titles
