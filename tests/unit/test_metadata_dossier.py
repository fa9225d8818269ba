"""The registration dossier: all of it from what is said, none of it made up; and its renderings by forms."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pathcurate.errors import UsageError
from pathcurate.metadata import documents
from pathcurate.metadata.dossier import chinese_word, dossier, dossier_core
from pathcurate.metadata.rendered import SHIPPED_FORMS, load_forms, rendered
from pathcurate.model.column import Type
from pathcurate.model.description import Description
from pathcurate.model.productfile import Environment, Forbidden, Frequency, Price, ProductFile, Right, Source
from pathcurate.model.recipe import UNIT_OF_TABLE
from tests.unit.descriptions import bare_description, hostile_description, orthopaedic_description, slide_description

ALL = [slide_description, orthopaedic_description, hostile_description, bare_description]
FORMS = ("exchange-listing", "ndi-catalog", "public-data", "zj-data-ip")
_FORM = """\
form: 1
title: 表
authority: 局
basis: 法
source: 书
verified: false
codes: {yes: {"true": 是}}
sections:
  - title: 一
    fields:
      - {field: 名称, from: 数据名称, required: true, most: 5}
      - {field: 涉及个人信息, from: 是否涉及个人信息, codes: yes}
      - {field: 是否出境, from: 是否出境, codes: yes, required: true}
      - {field: 禁止, from: 适用条件与使用限制.禁止事项, join: ；}
      - {field: 表, from: 结构规模.数据表, each: [{field: 名, from: 名称}, {field: 列, from: 字段.名称, join: 、}]}
      - {field: 无, from: 无此项.无}
      - {field: 人工填写}
"""


def said(description: Description, told: dict[str, Any]) -> Description:
    return replace(description, file=ProductFile.model_validate({"product": 1, "name": description.product, **told}))


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, f"{at}.{name}")
    elif isinstance(value, list):
        for part in value:
            yield from leaves(part, at)
    else:
        yield at, value


@pytest.mark.parametrize("make", ALL)
def test_the_same_description_gives_the_same_dossier(make: Callable[[], Description]) -> None:
    first, second = dossier(make()), dossier(make())
    assert first == second
    assert json.loads(first) == dossier_core(make())


def test_every_dossier_has_the_same_places() -> None:
    places = [set(dossier_core(make())) for make in ALL]
    assert all(one == places[0] for one in places)


def test_without_a_product_file_nothing_is_declared() -> None:
    core = dossier_core(bare_description())
    declared = [name for name in core if name.startswith("是否")]
    assert len(declared) == 5
    unsaid = """
        数据产品标识码 产品网址 登记主体 联系方式 权利类型 所属行业 数据简介 应用场景 适用条件与使用限制 覆盖时间范围
        覆盖地域 更新频次 数据质量等级 安全级别 存证公证情况 样例数据 个人信息保护影响评估 伦理审查 数据安全风险评估
        交付方式 定价 保存期限
    """
    for name in (*declared, *unsaid.split()):
        assert core[name] is None, name
    assert set(core["登记结果"].values()) == {None}
    assert set(core["数据来源"].values()) == {None}
    assert core["去标识化"]["匿名化程度A"] is None


def test_every_word_of_a_product_file_is_somewhere_in_the_dossier() -> None:
    """What a holder says must not be lost on the way to the authority."""
    description = slide_description()
    assert description.file is not None
    told = description.file.model_dump(mode="json", exclude_none=True)
    values = {str(value) for _, value in leaves(dossier_core(description))}
    # In the dossier these are Chinese words, numbers of another form, or parts of a text.
    otherwise = {"product", "name", "updated", "source", "rights", "security_level", "industry", "policy", "sample",
                 "declarations", "price", "retention_until", "keywords", "published"}  # fmt: skip
    english = {".title.en", ".description.en", ".scenarios.en", ".limits.en", ".limitations.en", ".holder.name.en"}
    lost = [
        place
        for place, value in leaves({name: part for name, part in told.items() if name not in otherwise})
        if str(value) not in values and place not in english
    ]
    assert lost == []


@pytest.mark.parametrize(
    ("told", "place", "value"),
    [
        ({"source": "traded"}, "数据来源.方式", "交易取得"),
        ({"rights": ["use"]}, "权利类型", "数据使用权"),
        ({"updated": "irregular"}, "更新频次", "不定期"),
        ({"security_level": 4}, "安全级别", "4级"),
        ({"industry": "Q 卫生和社会工作"}, "所属行业.代码", "Q"),
        ({"industry": "卫生"}, "所属行业.名称", "卫生"),
        ({"industry": "卫生 和社会工作"}, "所属行业.代码", None),
        ({"declarations": {"cross_border": False}}, "是否出境", False),
        ({"declarations": {"genetic_resources": True}}, "是否涉及人类遗传资源信息", True),
        ({"price": {"amount": "3", "currency": "CNY", "unit": "month"}}, "定价.方式", "按月"),
        ({"policy": {"environment": "sealed"}}, "交付方式", "封闭评测"),
        ({"policy": {"forbidden": ["train_models"]}}, "适用条件与使用限制.禁止事项", "禁止用于训练模型"),
        ({"evidence": {"certificate": {"number": "L-1", "issued_by": "局"}}}, "登记结果.登记号", "L-1"),
        ({"evidence": {"notarisation": {"number": "N-1"}}}, "存证公证情况.编号", "N-1"),
        ({"evidence": {"authorisation": {"valid_until": "2029-01-01"}}}, "数据来源.授权期限", "2029-01-01"),
    ],
)
def test_what_is_said_stands_in_its_place(told: dict[str, Any], place: str, value: Any) -> None:
    found: Any = dossier_core(said(bare_description(), told))
    for name in place.split("."):
        found = found[name]
    assert (found[0] if isinstance(found, list) else found) == value


def test_there_is_a_word_for_everything_that_can_be_said() -> None:
    for kind, values in (
        ("source", Source), ("right", Right), ("updated", Frequency), ("environment", Environment), ("forbidden", Forbidden),
        ("price_unit", Price.model_fields["unit"].annotation),
    ):  # fmt: skip
        for value in values.__args__:  # type: ignore[union-attr]
            assert chinese_word(kind, value)
    assert all(chinese_word("type", str(kind)) for kind in Type)
    assert all(chinese_word("unit", unit) for unit in UNIT_OF_TABLE.values())


def test_a_sample_is_told_only_where_rows_go_out() -> None:
    description = slide_description()
    assert dossier_core(description)["样例数据"] == {
        "路径": "registration/sample/", "条数": {"slides": 2}, "批准人": "数据安全委员会",
    }  # fmt: skip
    without = replace(description, tables=tuple(replace(table, sample=()) for table in description.tables))
    assert dossier_core(without)["样例数据"] is None


def test_the_sources_of_its_words_are_told_and_not_verified() -> None:
    assert dossier_core(slide_description())["参照文件"]["已核对"] is False
    for name, form in load_forms().items():
        assert not form.verified, name
        assert form.source


# --- Forms -------------------------------------------------------------------------------------------------------------


def test_four_forms_are_shipped() -> None:
    assert tuple(load_forms()) == FORMS
    paths = [path for path, _ in documents(slide_description()) if path.startswith("registration/rendered/")]
    assert paths == [f"registration/rendered/{name}.json" for name in FORMS]


@pytest.mark.parametrize("name", FORMS)
def test_every_place_that_a_shipped_form_names_is_in_a_dossier(name: str) -> None:
    """A typo in a form would give an empty field for ever."""
    full = slide_description()
    assert full.file is not None
    paper = {"number": "1", "issued_by": "局", "date": "2026-01-01", "valid_until": "2027-01-01", "sha256": "ab" * 32}
    evidence = dict.fromkeys(("authorisation", "certificate", "notarisation", "ethics", "risk_assessment"), paper)
    told = full.file.as_dict() | {"evidence": {**full.file.as_dict()["evidence"], **evidence}}
    told |= {"rights": ["hold"], "declarations": dict.fromkeys(
        ("personal_information", "sensitive", "important_data", "genetic_resources", "cross_border"), True)}  # fmt: skip
    told |= {"policy": {"environment": "file", "duo": ["DUO_0000042"]}}
    form = load_forms()[name]
    document = json.loads(rendered(said(full, told), form))
    assert (document["missing"], document["uncoded"], document["too_long"]) == ([], [], [])
    named = {(section.title, field.field) for section in form.sections for field in section.fields if field.from_}
    empty = [place for place in named if document["sections"][place[0]][place[1]] is None]
    # Nobody computes a quality grade.
    assert [place for place in empty if place != ("产品信息", "数据质量等级")] == []
    assert [place for place, value in leaves(document["sections"]) if value is None and ".字段" in place] == []


@pytest.mark.parametrize("name", FORMS)
def test_what_nobody_knows_is_empty_and_listed(name: str) -> None:
    form = load_forms()[name]
    document = json.loads(rendered(bare_description(), form))
    fields = {f"{section.title}/{field.field}": field for section in form.sections for field in section.fields}
    shown = {f"{title}/{field}": value for title, part in document["sections"].items() for field, value in part.items()}
    assert shown.keys() == fields.keys()
    assert set(document["missing"]) == {name for name, field in fields.items() if field.required and shown[name] is None}
    assert len(document["missing"]) >= 9


def test_a_value_without_a_code_is_said_so() -> None:
    document = json.loads(rendered(slide_description(), load_forms()["ndi-catalog"]))
    assert document["uncoded"] == ["产品信息/交付方式"]
    assert document["sections"]["产品信息"]["交付方式"] is None
    assert document["sections"]["产品信息"]["产品类型"] == "001"


@pytest.fixture
def folder(write: Callable[[str, str | bytes], Path]) -> Callable[[str], Path]:
    return lambda text: write("forms/zj-data-ip.yaml", text).parent


def test_a_workspaces_form_takes_the_place_of_a_shipped_one(folder: Callable[[str], Path]) -> None:
    forms = load_forms(folder(_FORM))
    assert tuple(forms) == FORMS
    document = json.loads(rendered(slide_description(), forms["zj-data-ip"]))
    assert document["form"] == "表"
    part = document["sections"]["一"]
    assert part["名称"] == "胸科肿瘤数字病理切片数据集"
    assert document["too_long"] == ["一/名称"]
    assert part["涉及个人信息"] == "是"
    assert (part["是否出境"], document["uncoded"], document["missing"]) == (None, ["一/是否出境"], ["一/是否出境"])
    assert part["禁止"] == "禁止重新识别个人；禁止导出原始图像；禁止出境；禁止再分发"
    assert part["表"][1] == {
        "名": "texts", "列": "report_id、text_column、case_id、patient_id、group_id、language、text、removal_count",
    }  # fmt: skip
    assert (part["无"], part["人工填写"]) == (None, None)


def test_a_workspace_may_have_other_forms_too(write: Callable[[str, str | bytes], Path]) -> None:
    assert set(load_forms(write("forms/shenzhen.yaml", _FORM).parent)) == {*FORMS, "shenzhen"}


@pytest.mark.parametrize("name", ["表.yaml", "A.yaml", "a b.yaml", "-a.yaml", "a\n.yaml", "a.b.yaml"])
def test_a_form_goes_out_under_a_plain_name_only(write: Callable[[str, str | bytes], Path], name: str) -> None:
    with pytest.raises(UsageError, match="small letters"):
        load_forms(write(f"forms/{name}", _FORM).parent)


def test_without_a_folder_the_shipped_forms_stand(tmp_path: Path) -> None:
    assert tuple(load_forms(tmp_path / "forms")) == FORMS


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("verified: false", "verified: nein", "verified"),
        ("codes: yes}", "codes: no_such}", "no_such"),
        ("列, from", "列, codes: no_such, from", "no_such"),
        ("most: 5", "most: 0", "most"),
        ("form: 1", "form: 2", "form"),
        ("field: 无,", "felt: 无,", "felt"),
        ("sections:", "sections: []\nx:", "sections"),
    ],
)
def test_a_form_with_a_fault_is_refused(folder: Callable[[str], Path], before: str, after: str, says: str) -> None:
    assert before in _FORM
    with pytest.raises(UsageError) as caught:
        load_forms(folder(_FORM.replace(before, after, 1)))
    assert says in caught.value.message


@pytest.mark.parametrize("path", sorted(SHIPPED_FORMS.glob("*.yaml")), ids=lambda path: path.stem)
def test_no_code_is_given_twice_and_none_stands_for_nothing(path: Path) -> None:
    form = yaml.safe_load(path.read_bytes())
    for codes in form["codes"].values():
        assert len(set(codes.values())) == len(codes)


def test_hostile_words_stay_words() -> None:
    hostile = hostile_description()
    for form in load_forms().values():
        text = rendered(hostile, form)
        assert json.loads(text)["product"] == hostile.urn
    assert json.loads(dossier(hostile))["数据名称"] == hostile.title_zh
