"""The catalogue: what is on offer as pages and as JSON, whatever the values are, and its search in a real browser."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.catalogentries import DICTIONARY_PATH, entry_of, version_of
from pathcurate.errors import InputOutputError
from pathcurate.htmlreport.catalog import catalog_pages
from pathcurate.htmlreport.template import shown
from pathcurate.model.catalogentry import (
    CatalogCertificate,
    CatalogColumn,
    CatalogEntry,
    CatalogTable,
    CatalogVersion,
)
from pathcurate.model.manifest import MANIFEST_NAME
from pathcurate.model.productfile import PRODUCT_FILE, Bilingual, Evidence, Paper, Policy, ProductFile
from pathcurate.releases import Release, read_release
from tests.built import PRODUCT, build_release, copy_release, rewrite_manifest
from tests.unit.descriptions import HOSTILE_WORDS

VOID = {"meta", "input"}
CERTIFICATE = CatalogCertificate("示例数据局", "示登2026-7", date(2026, 3, 1), date(2029, 2, 28))
FILE = ProductFile.model_validate(yaml.safe_load(PRODUCT))
INDEX = "index.html"


class Page(HTMLParser):
    """Elements in order, text outside of scripts and styles, the script, and the policy."""

    def __init__(self, content: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.feed(content.decode())
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts.append(data)
        elif not self._open or self._open[-1] != "style":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def links(self) -> list[str | None]:
        return [attrs["href"] for attrs in self.all("a")]

    @property
    def policy(self) -> str:
        found = [attrs["content"] for attrs in self.all("meta") if "http-equiv" in attrs]
        assert found[0] is not None
        return found[0]


def version(number: str = "1.0.0", state: str = "offered", published: date | None = None) -> CatalogVersion:
    return CatalogVersion(number, state, "已上架", "on offer", f"sha256:{'0' * 64}", published)


def entry(product: str = "lungs", *, file: ProductFile | None = FILE, number: str = "1.0.0", **changes: Any) -> CatalogEntry:
    column = CatalogColumn("stain", "string", None, "染色", "Canonical stain name.", "规范化的染色名称。", "none")
    table = CatalogTable("slides", "切片表", "one slide", "一张切片。", 1234, (column,))
    counts = {"cases": 6, "patients": 5, "slides": 1234}
    made = CatalogEntry(
        product, version(number), "From the recipe", "dataset", counts, (table,), has_permissions=True, file=file,
        evidence=file.evidence if file is not None else Evidence(),
    )  # fmt: skip
    return replace(made, **changes)


def titled(zh: str, en: str, *, keywords: Mapping[str, tuple[str, ...]] | None = None, **changes: Any) -> ProductFile:
    update = {"title": Bilingual.model_construct(zh=zh, en=en), **changes}
    return FILE.model_copy(update=update | ({"keywords": keywords} if keywords is not None else {}))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return read_release(build_release(tmp_path_factory.mktemp("catalog") / "workspace"))


# --- What is read from a release ---------------------------------------------------------------------------------------


def test_an_entry_says_what_the_release_says(release: Release) -> None:
    old = CatalogVersion("0.9.0", "superseded", "已替代", "", "sha256:1")
    own = version_of(release, "offered")
    made = entry_of(release, "offered", certificate=CERTIFICATE, versions=[old, own], apply="ask us")
    assert (made.product, made.version, made.own.state, made.own.state_zh) == ("small", "1.0.0", "offered", "已上架")
    assert made.own.release_digest == release.digest
    assert made.own.published == date(2026, 1, 2)
    assert made.counts == {"slides": 12, "cases": 6, "patients": 6}
    assert (made.title_in("zh"), made.title_in("en")) == ("六名患者的十二张切片", "Twelve slides of six patients")
    assert (made.keywords("zh"), made.keywords("en")) == (("测试",), ("test",))
    assert (made.level, made.k) == (release.manifest["deid"]["gbt42460_level"], release.manifest["deid"]["k_min"])
    (table,) = made.tables
    assert (table.name, table.rows, len(table.columns)) == ("slides", 12, 12)
    assert {column.name: column.label_zh for column in table.columns}["stain"] == "染色"
    assert [one.version for one in made.versions] == ["1.0.0", "0.9.0"]
    assert made.evidence.ethics is not None
    assert (made.certificate, made.apply, made.has_permissions) == (CERTIFICATE, "ask us", True)


def test_evidence_of_today_takes_the_place_of_the_files(release: Release) -> None:
    renewed = Evidence(ethics=Paper(number="renewed", valid_until=date(2200, 1, 1)))
    made = entry_of(release, "offered", evidence=renewed)
    page = Page(catalog_pages([made], "x")["products/small-1.0.0.html"])
    assert "renewed · valid until 2200-01-01" in page.text
    assert "示例伦审1" not in page.text


def test_a_release_without_documents_has_an_entry(release: Release, tmp_path: Path) -> None:
    copy = copy_release(release.directory, tmp_path / "old")
    (copy / DICTIONARY_PATH).unlink()
    (copy / PRODUCT_FILE).unlink()
    manifest = json.loads((copy / MANIFEST_NAME).read_bytes())
    del manifest["deid"]
    rewrite_manifest(copy, json.dumps(manifest))
    made = entry_of(read_release(copy), "suspended")
    assert (made.file, made.level, made.k) == (None, None, None)
    assert made.tables == (CatalogTable("slides", "slides", "", "", 12),)
    page = Page(catalog_pages([made], "x")["products/small-1.0.0.html"])
    assert "尚无产品说明" in page.text
    assert "本版本未附字段说明" in page.text


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("croissant.json"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text("{"),
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.write_text("[1]"),
        lambda path: path.write_text('[{"table": "slides"}]'),
        lambda path: path.write_bytes(b"\xff"),
        _link,
    ],
)
def test_a_damaged_dictionary_is_told(release: Release, tmp_path: Path, damage: Callable[[Path], object]) -> None:
    copy = copy_release(release.directory, tmp_path / "damaged")
    damage(copy / DICTIONARY_PATH)
    with pytest.raises(InputOutputError, match="dictionary"):
        entry_of(replace(release, directory=copy), "offered")


def test_a_damaged_product_file_is_told(release: Release, tmp_path: Path) -> None:
    copy = copy_release(release.directory, tmp_path / "damaged")
    (copy / PRODUCT_FILE).write_text("product: 1\nname: ../x\n")
    with pytest.raises(InputOutputError, match=r"product\.yaml"):
        entry_of(replace(release, directory=copy), "offered")


@pytest.mark.parametrize(
    ("key", "value"), [("version", f"1.0.0-{'a' * 80}"), ("version", "1.0.0\n"), ("published", "2026-02-31")]
)
def test_no_page_is_named_after_what_no_file_can_be(release: Release, key: str, value: str) -> None:
    with pytest.raises(InputOutputError, match="version"):
        entry_of(replace(release, manifest={**release.manifest, key: value}), "offered")


def test_an_unknown_state_is_refused(release: Release) -> None:
    with pytest.raises(KeyError):
        entry_of(release, "sold")


@pytest.mark.parametrize(
    ("product", "number"), [("../x", "1.0.0"), ("", "1.0.0"), ("x", "1/../../y"), ("x", ""), ("x", "1 .0")]
)
def test_an_entry_cannot_lead_out_of_the_folder(product: str, number: str) -> None:
    with pytest.raises(ValueError, match=r"no (product|release)"):
        entry(product, number=number)


# --- Pages -------------------------------------------------------------------------------------------------------------


def test_every_entry_has_a_page_and_both_languages() -> None:
    history = (version("1.1.0"), version(), version("0.9.0", "withdrawn"))
    said: dict[str, Any] = {"versions": history, "certificate": CERTIFICATE, "level": 3, "k": 5}
    said["apply"] = "pathcurate product apply lungs"
    both = [entry(number=number, **said) for number in ("1.0.0", "1.1.0")]
    pages = catalog_pages(both, "我们的目录")
    assert sorted(pages) == ["catalog.json", INDEX, "products/lungs-1.0.0.html", "products/lungs-1.1.0.html"]
    index, product = Page(pages[INDEX]), Page(pages["products/lungs-1.0.0.html"])
    assert {"products/lungs-1.0.0.html", "products/lungs-1.0.0.html#lang=zh", "catalog.json"} <= set(index.links)
    assert "lungs-1.1.0.html" in product.links
    assert "lungs-1.0.0.html" not in product.links
    assert not any(link and "0.9.0" in link for link in product.links)  # it has no page
    for page in (index, product):
        assert {attrs.get("lang") for _, attrs in page.elements} >= {"en", "zh"}
        for words in ("示例市病理诊断中心", "Pathology Centre of Example City", "1.50 CNY per slide", "1.50 CNY/张",
                      "as files", "文件交付", "已上架", "on offer", "示登2026-7", "我们的目录", "1\u202f234",
                      "Twelve slides of six patients", "六名患者的十二张切片"):  # fmt: skip
            assert words in page.text, words
    for words in ("规范化的染色名称。", "Canonical stain name.", "DUO_0000042", "示例伦审1", "k = 5", "level 3", "3 级",
                  "pathcurate product apply lungs", "重新识别个人", "data-steward@pathology.example",
                  "有效期至 2029-02-28"):  # fmt: skip
        assert words in product.text, words


def test_the_list_is_the_same_whatever_the_order() -> None:
    entries = [entry("b"), entry("a"), entry("a", number="1.10.0"), entry("a", number="1.9.0")]
    entries.append(entry("old", own=version(published=date(2020, 1, 1))))
    pages = catalog_pages(entries, "x")
    assert pages == catalog_pages(reversed(entries), "x")
    names = [one["page"] for one in json.loads(pages["catalog.json"])["products"]]
    order = ["old-1.0.0", "a-1.0.0", "a-1.9.0", "a-1.10.0", "b-1.0.0"]
    assert names == [f"products/{name}.html" for name in order]


def test_a_version_may_not_be_there_twice() -> None:
    with pytest.raises(ValueError, match="the same version"):
        catalog_pages([entry(), entry()], "x")


def test_json_says_what_the_pages_say(release: Release) -> None:
    made = entry_of(release, "offered", certificate=CERTIFICATE, versions=[version_of(release, "offered")])
    content = json.loads(catalog_pages([made, entry("bare", file=None)], "目录")["catalog.json"])
    assert content["title"] == "目录"
    small = next(one for one in content["products"] if one["product"] == "small")
    assert small["release_digest"] == release.digest
    assert small["state"] == {"id": "offered", "zh": "已上架", "en": "on offer"}
    assert small["policy"]["environment"] == "file"
    assert small["price"] == {"amount": "1.50", "currency": "CNY", "unit": "slide"}
    assert small["certificate"]["valid_until"] == "2029-02-28"
    assert small["ethics"] == {"number": "示例伦审1", "valid_until": "2126-01-01"}
    assert [column["name"] for column in small["tables"][0]["columns"]][:2] == ["slide_id", "case_id"]
    bare = next(one for one in content["products"] if one["product"] == "bare")
    assert (bare["policy"], bare["holder"], bare["title"]["zh"]) == (None, None, "From the recipe")


def test_an_empty_catalogue_says_what_to_do() -> None:
    pages = catalog_pages([], "空")
    page = Page(pages[INDEX])
    assert sorted(pages) == ["catalog.json", INDEX]
    assert "pathcurate product offer" in page.text
    assert "暂无上架产品" in page.text
    assert page.scripts == []
    assert json.loads(pages["catalog.json"])["products"] == []


def test_missing_permissions_are_a_warning() -> None:
    path = "products/lungs-1.0.0.html"
    assert "未配置授权清单" in Page(catalog_pages([entry(has_permissions=False)], "x")[path]).text
    assert "未配置授权清单" not in Page(catalog_pages([entry()], "x")[path]).text


def test_the_one_script_is_let_in_by_its_digest_alone() -> None:
    pages = catalog_pages([entry()], "x")
    index = Page(pages[INDEX])
    (script,) = index.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = dict(part.strip().split(" ", 1) for part in index.policy.split(";"))
    assert policy["script-src"] == f"'sha256-{digest}'"
    assert policy["default-src"] == "'none'"
    assert policy["base-uri"] == policy["form-action"] == "'none'"
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function\(|fetch|XMLHttp|WebSocket|import|localStorage",
        script,
    )
    product = Page(pages["products/lungs-1.0.0.html"])
    assert product.scripts == []
    assert "script-src" not in product.policy
    assert "default-src 'none'" in product.policy


# --- Hostile values ----------------------------------------------------------------------------------------------------


def hostile(text: str, page: str | None = "javascript:alert(1)") -> CatalogEntry:
    """An entry in which everything that is text is this one, past what the forms of files would refuse."""
    words, paper = Bilingual.model_construct(zh=text, en=text), Paper.model_construct(number=text)
    assert FILE.holder is not None
    assert FILE.contact is not None
    file = FILE.model_copy(update={
        "title": words, "description": words, "scenarios": words, "limits": words, "limitations": words,
        "keywords": {"zh": (text,), "en": (text,)}, "region": text, "industry": text, "landing_page": page,
        "identifier": text, "holder": FILE.holder.model_copy(update={"name": words, "url": text, "kind": text}),
        "contact": FILE.contact.model_copy(update={"name": text, "email": text, "url": text}),
        "policy": Policy.model_construct(duo=(text,), diseases=(text,), attribution=text),
    })  # fmt: skip
    column = CatalogColumn(text, text, text, text, text, text, text)
    return entry(
        file=file, title=text, tables=(CatalogTable(text, text, text, text, 1, (column,)),), apply=text,
        evidence=Evidence.model_construct(ethics=paper), certificate=CatalogCertificate(text, text),
        versions=(CatalogVersion(text, text, text, text, text),), own=CatalogVersion("1.0.0", text, text, text, text),
    )  # fmt: skip


def _shape(content: bytes) -> list[tuple[str, frozenset[str]]]:
    return [(tag, frozenset(attrs)) for tag, attrs in Page(content).elements]


@settings(max_examples=25, deadline=None)
@given(st.text(min_size=1, max_size=60))
def test_no_value_is_markup(text: str) -> None:
    pages, plain = catalog_pages([hostile(text)], text), catalog_pages([hostile("plain")], "plain")
    for path in (INDEX, "products/lungs-1.0.0.html"):
        assert _shape(pages[path]) == _shape(plain[path])
        assert Page(pages[path]).links == Page(plain[path]).links


@pytest.mark.parametrize("text", [HOSTILE_WORDS, "\u202egnp.exe", "' onmouseover='x", "&lt;script&gt;", "</style><script>"])
def test_hostile_values_are_shown_as_they_are(text: str) -> None:
    pages, plain = catalog_pages([hostile(text)], text), catalog_pages([hostile("plain")], "plain")
    for path in (INDEX, "products/lungs-1.0.0.html"):
        page = Page(pages[path])
        assert _shape(pages[path]) == _shape(plain[path])
        assert re.sub(r"\r\n?", "\n", shown(text)) in re.sub(r"\r\n?", "\n", page.text)
        assert not re.search("[\u200f\u202a-\u202e\u2066-\u2069\x00]", pages[path].decode())
    assert json.loads(pages["catalog.json"])["title"] == text


@pytest.mark.parametrize(
    ("page", "is_link"),
    [
        ("https://hospital.example/data?a=1&b=2", True), ("javascript:alert(1)", False), ("JAVASCRIPT:x", False),
        ("data:text/html,x", False), ("https://a.example/\u202egnp", False), ("//hospital.example/", False),
        (" https://x.example/", False), ("urn:hospital:1", False), (None, False),
    ],
)  # fmt: skip
def test_only_addresses_of_the_web_are_links(page: str | None, is_link: bool) -> None:
    made = Page(catalog_pages([hostile("plain", page)], "x")["products/lungs-1.0.0.html"])
    outward = [link for link in made.links if link and not link.startswith("../index.html")]
    assert outward == ([page] if is_link else [])
    assert page is None or shown(page) in made.text


# --- In a browser ------------------------------------------------------------------------------------------------------

_LOOK = """<!DOCTYPE html><meta charset="utf-8"><body><pre id="seen"></pre><script>
const seen = [];
const look = (url, width, typed, place) => new Promise(resolve => {
  const frame = document.createElement("iframe");
  frame.style.width = width + "px"; frame.style.height = "800px"; frame.style.border = "0";
  frame.onload = () => {
    const page = frame.contentDocument, root = page.documentElement;
    const said = {};
    if (typed !== null) {
      const q = page.getElementById("q");
      q.value = typed;
      q.dispatchEvent(new frame.contentWindow.Event("input", {bubbles: true}));
    }
    said.shown = [...page.querySelectorAll(".card")].filter(one => one.getClientRects().length)
      .map(one => one.querySelector("code").textContent);
    said.found = page.querySelector(".found")?.textContent ?? null;
    said.none = (page.getElementById("none")?.getClientRects().length ?? 0) > 0;
    const visible = name => [...page.querySelectorAll(name)].some(one => one.getClientRects().length);
    said.languages = [".en", ".zh"].filter(visible);
    said.cut = [...page.querySelectorAll("main *")].filter(one => one.getBoundingClientRect().right > root.clientWidth + 1)
      .map(one => one.outerHTML.slice(0, 80));
    said.asked = frame.contentWindow.performance.getEntriesByType("resource").map(one => one.name);
    said.values = ["q", "keyword", "holder", "environment"].map(id => page.getElementById(id)?.value ?? null);
    setTimeout(() => { said.hash = frame.contentWindow.location.hash; seen[place] = said; resolve(); }, 400);
  };
  frame.src = url; document.body.append(frame);
});
(async () => {
  await Promise.all(LOOKS.map(([url, width, typed], place) => look(url, width, typed, place)));
  document.getElementById("seen").textContent = JSON.stringify(seen);
})();
</script>"""
_ALL = ["hostile", "lung", "stomach"]
_SEARCHES: list[tuple[str, str | None, list[str]]] = [
    ("", None, _ALL),
    ("#q=胸科", None, ["hostile", "lung"]),
    ("#q=ＬＵＮＧ　１２", None, ["lung"]),
    ("#q=resections+胃", None, ["stomach"]),
    ("#q=tumour 切除", None, []),
    ("#q=%E0%A4%A", None, []),
    ("#environment=tre", None, ["hostile", "stomach"]),
    ("#keyword=胃", None, ["stomach"]),
    ("#keyword=none&holder=%3Cscript%3E", None, _ALL),
    ("#holder=第二医院&q=lung", None, []),
    ("", "C16.9", ["stomach"]),
    ("", "&<script>", []),
    ("#q=lung", "  ", _ALL),
    ("#q=(12)胸科", None, []),
]
"""What is in the address, what is typed, and which products are shown then."""
_PAGES = ("products/lung-1.0.0.html", "products/lung-1.0.0.html#lang=zh", "products/hostile-1.0.0.html", "index.html",
          "index.html#lang=zh&q=lung", "empty.html", "many.html#q=no.+999")  # fmt: skip
"""Pages that are looked at on a telephone."""
_LOOKS = [
    *((f"{INDEX}{fragment}", 1200, typed) for fragment, typed, _ in _SEARCHES),
    *((page, 360, None) for page in _PAGES),
]


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed")
    folder = tmp_path_factory.mktemp("looks")
    holder = FILE.holder.model_copy(update={"name": Bilingual(zh="第二医院", en="Second Hospital")}) if FILE.holder else None
    entries = [
        entry("lung", file=titled("胸科肿瘤切片", "Slides of LUNG tumours (12)", keywords={"zh": ("肺",), "en": ("lung",)})),
        entry("stomach", file=titled("胃切除标本", "Gastric resections", keywords={"zh": ("胃",), "en": ("stomach",)},
                                     holder=holder, policy=Policy(environment="tre", diseases=("ICD-10:C16.9",)))),
        replace(hostile(HOSTILE_WORDS), product="hostile"),
    ]  # fmt: skip
    files = dict(catalog_pages(entries, f"目录 {HOSTILE_WORDS} {'W' * 300}"))
    files |= {"many.html": thousand_pages()[INDEX], "empty.html": catalog_pages([], "x")[INDEX]}
    (folder / "products").mkdir()
    for path, content in files.items():
        (folder / path).write_bytes(content)
    (folder / "look.html").write_text(_LOOK.replace("LOOKS", json.dumps(_LOOKS)), encoding="utf-8")
    run = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--lang=en-US",
         f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom",
         f"file://{folder}/look.html"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert [line for line in run.stderr.splitlines() if "CONSOLE" in line] == []
    found = re.search(r'<pre id="seen">(\[.*?\])</pre>', run.stdout, re.DOTALL)
    assert found is not None
    seen: list[dict[str, Any]] = json.loads(unescape(found[1]))
    assert len(seen) == len(_LOOKS)
    return seen


@pytest.mark.parametrize("place", range(len(_SEARCHES)))
def test_the_search_finds_what_is_there(looks: list[dict[str, Any]], place: int) -> None:
    said, expected = looks[place], _SEARCHES[place][2]
    assert (said["shown"], said["found"], said["none"]) == (expected, str(len(expected)), not expected)


def test_a_search_stays_in_the_address(looks: list[dict[str, Any]]) -> None:
    typed = {typed: looks[place]["hash"] for place, (_, typed, _) in enumerate(_SEARCHES) if typed is not None}
    assert typed == {"C16.9": "#q=C16.9", "&<script>": "#q=%26%3Cscript%3E", "  ": ""}
    assert looks[9]["values"] == ["lung", "", "第二医院", ""]


def test_one_language_is_shown_with_and_without_a_script(looks: list[dict[str, Any]]) -> None:
    languages = {page: looks[len(_SEARCHES) + place]["languages"] for place, page in enumerate(_PAGES)}
    assert languages == {page: [".zh"] if "lang=zh" in page else [".en"] for page in _PAGES}


def test_no_page_is_cut_off_or_asks_for_anything(looks: list[dict[str, Any]]) -> None:
    for (page, width, _), said in zip(_LOOKS, looks, strict=True):
        assert (said["cut"], said["asked"]) == ([], []), (page, width)


def test_one_of_a_thousand_is_found(looks: list[dict[str, Any]]) -> None:
    assert looks[-1]["shown"] == ["p0999"]


# --- Many --------------------------------------------------------------------------------------------------------------


@cache
def thousand_pages() -> Mapping[str, bytes]:
    """Of products of which little is said: what counts here is how many they are."""
    said = {"product": 1, "keywords": {"zh": ["病理"], "en": ["pathology"]}}
    numbered = ((f"p{number:04}", {"zh": f"第{number}号", "en": f"no. {number}"}) for number in range(1000))
    files = (ProductFile.model_validate({**said, "name": name, "title": title}) for name, title in numbered)
    return catalog_pages([entry(file.name, file=file, tables=()) for file in files], "千")


def test_a_thousand_products_are_one_list_of_links_that_lead_somewhere() -> None:
    pages = thousand_pages()
    index = Page(pages[INDEX])
    assert len(pages) == 1002
    assert sum(attrs.get("class") == "card" for attrs in index.all("li")) == 1000
    assert {str(link).partition("#")[0] for link in index.links} == set(pages) - {INDEX}
    assert len(json.loads(pages["catalog.json"])["products"]) == 1000
