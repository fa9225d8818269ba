"""Code lists: forms of codes, what a list matches, files that recipes name, and lists against an archive."""

import csv
import hashlib
import io
from pathlib import Path

import pytest

from pathcurate.codelists import (
    Omitted,
    check,
    code_system,
    exact_codes,
    fits,
    is_code,
    matches,
    nearest_code,
    prefix_codes,
    prefix_without,
)
from pathcurate.errors import RecipeError
from pathcurate.model.column import Identifying
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.event import CODE_SYSTEMS
from pathcurate.model.recipe import CODE_SYSTEMS as LIST_SYSTEMS
from pathcurate.model.recipe import Codelist
from pathcurate.recipefile import listfiles, load_recipe

GOOD = {
    "icd10": ("C34", "C34.1", "M87.0", "S72.001A", "U07.1", "A17.0+"),
    "icd10-cn": ("C34", "C34.100", "M16.900x001", "M16.900X001", "C73.x00", "I10.x00x002"),
    "icd9cm3": ("81", "81.5", "81.51"),
    "icd9cm3-cn": ("81.51", "81.5100", "81.5100x001"),
    "icdo3-topography": ("C50", "C50.4"),
    "icdo3-morphology": ("8140/3", "9699/1"),
    "snomed": ("22298006", "73211009"),
    "loinc": ("2857-1", "10334-1"),
    "atc": ("L", "L01", "L01X", "L01XC", "L01XC03"),
    "local": ("H-12.3", "PSA", "ab 12/3456"),
}
BAD = {
    "icd10": ("c34", "C341", "C34.", "C34-C37", "C", "C3", "153.0", "C34.12345", "C34 1", "", "Ｃ34"),
    "icd10-cn": ("M16.9000", "m16", "M16.900y001"),
    "icd9cm3": ("8151", "81.510", "815"),
    "icd9cm3-cn": ("81.51000",),
    "icdo3-topography": ("8140/3", "C50.44", "D50"),
    "icdo3-morphology": ("8140", "81403", "M8140/3", "8140/4", "7140/3"),
    "snomed": ("22298007", "12", "022298006"),
    "loinc": ("2857", "123456-1"),
    "atc": ("L0", "K01", "L01XC3"),
    "local": ("12345", "1234 5678 9012 3456 7890 123456"),
}


@pytest.mark.parametrize("system", LIST_SYSTEMS)
def test_each_system_has_its_form(system: str) -> None:
    assert [code for code in GOOD[system] if not is_code(system, code)] == []
    assert [code for code in BAD[system] if is_code(system, code)] == []


@pytest.mark.parametrize(
    ("system", "text", "meant"),
    [
        ("icd10", "c34", "C34"), ("icd10", "Ｃ３４．１", "C34.1"), ("icd10", "C341", "C34.1"), ("icd10", "C34.", "C34"),
        ("icd10", "C34 .1", "C34.1"), ("icd10", "C34-C37", None), ("icd10", "肺癌", None),
        ("icd10-cn", "Ｃ73。Ｘ00", "C73.X00"), ("icd9cm3-cn", "815100", "81.5100"),
        ("icdo3-morphology", "M-8140/3", "8140/3"), ("icdo3-morphology", "81403", "8140/3"),
        ("icdo3-topography", "c504", "C50.4"),
    ],
)  # fmt: skip
def test_what_was_probably_meant(system: str, text: str, meant: str | None) -> None:
    assert nearest_code(system, text) == meant


def test_each_system_fits_its_columns_only() -> None:
    columns = {column.name for table in DEID_TABLES.values() for column in table.columns}
    fitting = {system: {name for name in columns if fits(system, name)} for system in LIST_SYSTEMS}
    assert fitting == {
        "icd10": {"icd10", "code"}, "icd10-cn": {"icd10", "code"}, "icd9cm3": {"code"}, "icd9cm3-cn": {"code"},
        "icdo3-topography": {"icdo3_topography", "code"}, "icdo3-morphology": {"icdo3_morphology", "code"},
        "snomed": set(), "loinc": {"code"}, "atc": {"code"}, "local": {"code"},
    }  # fmt: skip
    assert {code_system(system) for system in LIST_SYSTEMS if fits(system, "code")} <= set(CODE_SYSTEMS)
    sensitive = {DEID_TABLES["reports"][name].identifying for name in ("icd10", "icdo3_morphology", "icdo3_topography")}
    assert sensitive == {Identifying.SENSITIVE}


def listed(system: str, *codes: str, match: str = "exact", without: tuple[str, ...] | None = None) -> Codelist:
    return Codelist.model_validate({"system": system, "codes": codes, "match": match, "without": without or None})


def test_exact_means_this_code_however_the_chinese_x_is_written() -> None:
    codelist = listed("icd10-cn", "M16.900x001", "C34.1", without=("C34.1",))
    assert exact_codes(codelist) == ("M16.900x001", "M16.900X001")
    assert (prefix_codes(codelist), prefix_without(codelist)) == ((), ())
    for code, is_on in (("M16.900X001", True), ("M16.900x001", True), ("M16.900", False), ("C34.1", False), (None, False)):
        assert matches(codelist, code) is is_on
    assert exact_codes(listed("local", "Xa")) == ("Xa",)


def test_descendants_begin_alike_dots_aside() -> None:
    codelist = listed("icd10-cn", "M16", "M16.9", "M87.0", "A17.0+", match="descendants", without=("M16.900x002", "M16.1"))
    assert exact_codes(codelist) == ()
    assert prefix_codes(codelist) == ("A170", "M16", "M870")
    assert prefix_without(codelist) == ("M161", "M16900X002")
    on = {"M16", "M16.9", "M16.900x001", "m16.000", "M87.000", "A17.000+", "A17.0"}
    off = {"M16.100", "M16.900X002", "M16.900x0021", "M17", "M87", "M1", "A17", "M87.1", ""}
    assert {code for code in on | off if matches(codelist, code)} == on


# --- Files ---------------------------------------------------------------------------------------------------------------

RECIPE = "recipe: 1\nname: r\nversion: 1.0.0\ntitle: t\nunit: case\ncolumns: [case_id]\n"


def read(folder: Path, content: bytes, more: str = "", system: str = "icd10") -> Codelist:
    (folder / "l.csv").write_bytes(content)
    (folder / "r.yaml").write_text(f"{RECIPE}codelists: {{a: {{system: {system}, file: l.csv{more}}}}}\n")
    source = load_recipe(folder / "r.yaml")
    assert source.files["l.csv"] == hashlib.sha256(content).hexdigest()
    assert source.recipe.codelists is not None
    return source.recipe.codelists["a"]


def refused(folder: Path, content: bytes, more: str = "", system: str = "icd10") -> str:
    with pytest.raises(RecipeError) as caught:
        read(folder, content, more, system)
    lines = [line for line in caught.value.message.splitlines() if ": error: " in line]
    assert len(lines) == 1
    return lines[0].removeprefix(f"{folder}/r.yaml:").replace(" error:", "")


@pytest.mark.parametrize(
    "content",
    [
        "code,name\nC34,肺癌\nC37.0,\n".encode(),
        "\ufeffname;code\r\n\"a;b\";C34\r\n\r\n;C37.0 \r\n".encode(),
        "名称\tcode\n肺癌\t C34\n胸腺\tC37.0\n肺癌\tC34\n".encode("gb18030"),
        b"code\nC34\n\n  \nC37.0",
        b'"code"\n"C34"\n"C37.0"\n',
        "code|x\nC34|\"a\nb\"\nC37.0|\n".encode("utf-16"),
        b"code,name\nC34,a,too,many\n\"C37.0\",b\n",
    ],
)  # fmt: skip
def test_files_as_people_write_them(tmp_path: Path, content: bytes) -> None:
    codelist = read(tmp_path, content)
    assert (codelist.codes, codelist.file, codelist.column) == (("C34", "C37.0"), None, None)
    assert codelist.sha256 == hashlib.sha256(content).hexdigest()


def test_the_digest_says_which_file_was_meant(tmp_path: Path) -> None:
    content = b"code\nC34\n"
    digest = hashlib.sha256(content).hexdigest()
    assert read(tmp_path, content, f', sha256: "{digest[:8]}"').codes == ("C34",)
    assert read(tmp_path, content, f', sha256: "{digest}"').codes == ("C34",)
    message = refused(tmp_path, content, ', sha256: "00000000"')
    assert message == f"7:53: the file has another digest: {digest}; if it was meant to change, put that here"
    assert "should match pattern '^[0-9a-f]{8,64}$'" in refused(tmp_path, content, ', sha256: "12345"')


SECRET = "Wang Xiaoming 0012345678"


@pytest.mark.parametrize(
    ("content", "more", "message"),
    [
        (f"codes,name\n{SECRET},x\n".encode(), "", "no column `code` in its first row; did you mean `codes`?"),
        (f"code,{SECRET},code\nC34,x,C34\n".encode(), "", "the file has several columns `code`"),
        (f"code\n{SECRET}\n".encode(), "", "line 2 of the file: column `code` has no ICD-10 code such as C34 or C34.1"),
        (f"code,n\nC34,1\nc35,2\n{SECRET},3\nx\n1\n2\n".encode(), "", "lines 3, 4, 5 and others of the file"),
        (f"n,code\n{SECRET}\n".encode(), "", "line 2 of the file: column `code` has no ICD-10 code"),
        (f'code\n"{SECRET}\n'.encode(), "", "cannot be read: check its quotes"),
        (f'code\n"C34"{SECRET}\n'.encode(), "", "cannot be read: check its quotes"),
        (b"code\n\n \n", "", "the file has no code in column `code`"),
        (b"", "", "the file has no column `code` in its first row"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\xff", "", "the file is no text in UTF-8 or GB18030"),
        (b"code\nC34\n", ", column: icd", "7:53: the file has no column `icd` in its first row"),
    ],
)
def test_files_that_are_none_and_no_word_of_what_is_in_them(tmp_path: Path, content: bytes, more: str, message: str) -> None:
    said = refused(tmp_path, content, more)
    assert message in said
    assert not any(word in said for word in SECRET.split())


def test_files_have_their_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listfiles, "MOST_CODES", 2)
    assert read(tmp_path, b"code\nC34\nC35\nC34\n").codes == ("C34", "C35")
    assert "more than 2 codes" in refused(tmp_path, b"code\nC34\nC35\nC36\n")
    monkeypatch.setattr(listfiles, "MOST_BYTES", 12)
    assert "larger than 12 bytes" in refused(tmp_path, b"code\nC34\nC35\n")


def test_fifty_thousand_codes_are_no_matter(tmp_path: Path) -> None:
    codes = [f"{letter}{number:02}.{rest}" for letter in "ABCDE" for number in range(100) for rest in range(100)]
    text = io.StringIO()
    csv.writer(text).writerows([["code"], *([code] for code in codes)])
    codelist = read(tmp_path, text.getvalue().encode(), ", match: descendants")
    assert codelist.codes == tuple(codes)
    assert matches(codelist, "E99.99x")


@pytest.mark.parametrize("name", ["../l.csv", "/etc/passwd", "none.csv", "."])
def test_a_list_reads_no_other_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "l.csv").write_text("code\nC34\n")
    inner = tmp_path / "in"
    inner.mkdir()
    (inner / "r.yaml").write_text(f"{RECIPE}codelists: {{a: {{system: icd10, file: {name}}}}}\n")
    with pytest.raises(RecipeError, match=r"r.yaml:7:38: error: (this lies outside|must be a path relative|no such file)"):
        load_recipe(inner / "r.yaml")


def test_a_list_of_a_base_lies_beside_the_base(tmp_path: Path) -> None:
    (tmp_path / "base" / "lists").mkdir(parents=True)
    (tmp_path / "base" / "lists" / "l.csv").write_text("code\nC34\n")
    (tmp_path / "base" / "b.yaml").write_text("codelists: {a: {system: icd10, file: lists/l.csv}}\n")
    (tmp_path / "r.yaml").write_text(RECIPE + "extends: [base/b.yaml]\n")
    source = load_recipe(tmp_path / "r.yaml")
    assert set(source.files) == {"r.yaml", "base/b.yaml", "base/lists/l.csv"}


def test_codes_in_the_recipe_are_checked_at_their_place(tmp_path: Path) -> None:
    text = RECIPE + (
        "codelists:\n  a: {system: icd10, codes: [C34, c35], without: [C34-9]}\n"
        "  b: {system: icdo3-morphology, codes: [8140/3], match: descendants}\n"
    )
    with pytest.raises(RecipeError) as caught:
        load_recipe(tmp_path / "r.yaml", text=text)
    found = [line.partition("r.yaml:")[2] for line in caught.value.message.splitlines() if ": error: " in line]
    assert found == [
        "8:35: error: `c35` is no ICD-10 code such as C34 or C34.1; did you mean `C35`?",
        "8:51: error: `C34-9` is no ICD-10 code such as C34 or C34.1",
        "9:57: error: codes of icdo3-morphology do not begin like those above them: list every code, and match exactly",
    ]


# --- Lists against an archive --------------------------------------------------------------------------------------------


def test_what_an_archive_has_and_a_list_has_not() -> None:
    lists = {
        "exact": listed("icd10-cn", "M16.900", "M87.0", "Z99", without=("M16.900x009",)),
        "below": listed("icd10", "C34", "C35", match="descendants"),
        "other": listed("icdo3-morphology", "8140/3"),
    }
    counts = {
        "reports.icd10": {"M16.900": 40, "M16.900x001": 25, "M16.900x002": 3, "M16.900x009": 50, "M87.0": 0, "C34.1": 1},
        "events.code": {"M16.9001": 12, "8140/3": 9, "C35": 0},
        "slides.stain": {"M16.900x001": 1000},
    }
    exact, below, other = check(lists, counts)
    assert (exact.name, exact.unseen) == ("exact", ("M87.0", "Z99"))
    assert exact.omitted == (
        Omitted("events.code", "M16.9001", 12), Omitted("reports.icd10", "M16.900x001", 25),
        Omitted("reports.icd10", "M16.900x002", None),
    )  # fmt: skip
    assert (below.unseen, below.omitted) == (("C35",), ())
    assert (other.unseen, other.omitted) == ((), ())
