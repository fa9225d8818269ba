"""The page of an evaluation: figures in both languages, and no value that does anything."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from defusedxml.ElementTree import fromstring

from pathcurate.htmlreport.benchmark import benchmark_page
from pathcurate.model.benchmark import BenchmarkResult, BenchmarkTask, Curve, Score, Scores, TaskName

HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}\u202e"
CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Elements(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def result_of(kind: TaskName, word: str, **changes: Any) -> BenchmarkResult:
    classes = {"binary": (word, "yes"), "ordinal": ("G1", word)}.get(kind, ())
    task = BenchmarkTask("demo", "1.0.0", kind, "slide_id", "label", 99, classes, "yes" if kind == "binary" else "", word)
    metric = {"binary": "auroc", "ordinal": "quadratic_kappa", "survival": "concordance", "regression": "mae"}[kind]
    scores = (Score(metric, 0.8123, 0.7, 0.9, 3), *((Score(f"recall:{word}", None),) if kind == "ordinal" else ()))
    line = tuple(np.linspace(0, 1, 11))
    names = {"binary": ("roc", "precision_recall", "calibration"), "regression": ("calibration",)}.get(kind, ())
    curves = [Curve(name, "", line, line) for name in names]
    if kind == "survival":
        curves = [Curve("kaplan_meier", third, (0.0, 100.0, 365.0), (1.0, 0.8, 0.5)) for third in ("low", "middle", "high")]
    return BenchmarkResult(
        task, "sha256:" + "a" * 64, "hmac-sha256:" + "b" * 64, "sha256:" + "c" * 64, word,
        Scores("", "", 99, 88, scores), {"site": Scores("", "", 99, 4, scores)},
        (Scores("site", word, 50, 40, (Score(metric, -1234.5, -2000.0, None),)), Scores("topic", "t", None, None, ())),
        ((40, None), (0, 22)) if classes else (), tuple(curves), 1000, 7, 0.95, 0.5 if kind == "binary" else None,
        (f"{word} note",), "pathcurate", **changes,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["binary", "ordinal", "regression", "survival"])
def test_no_value_does_anything(kind: TaskName) -> None:
    page, plain = (benchmark_page(result_of(kind, word)) for word in (HOSTILE, "word"))
    assert [name for name, _ in Elements(page).found] == [name for name, _ in Elements(plain).found]
    names = {name for name, _ in Elements(page).found}
    assert not names & {"script", "img", "a", "iframe", "object", "form", "link", "base"}
    assert not any(key.startswith("on") for _, attributes in Elements(page).found for key in attributes)
    policy = next(attributes["content"] for _, attributes in Elements(page).found if "http-equiv" in attributes)
    assert policy == CSP
    assert "\u202e" not in page
    assert "{{ 7*7 }}" in page
    assert "http" not in re.sub(r"http://www\.w3\.org/2000/svg|http-equiv", "", page)


@pytest.mark.parametrize("kind", ["binary", "survival", "regression"])
def test_each_figure_is_whole_xml_within_its_frame(kind: TaskName) -> None:
    page = benchmark_page(result_of(kind, HOSTILE))
    figures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(figures) == {"binary": 4, "survival": 2, "regression": 2}[kind]
    for figure in figures:
        root = fromstring(figure)
        width, height = float(root.attrib["width"]), float(root.attrib["height"])
        for line in root.iter("{http://www.w3.org/2000/svg}polyline"):
            points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
            assert len(points) >= 3
            assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
    ids = [attributes["id"] for _, attributes in Elements(page).found if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_it_says_what_there_is_in_both_languages() -> None:
    page = benchmark_page(result_of("binary", "word"))
    for text in (
        "ROC 曲线下面积", "area under the ROC curve", "0.812", "0.700 – 0.900", "机构", "site", "阈值", "sha256:" + "a" * 64,
        "混淆矩阵", "\u22121234", "word note", "95 %",
    ):  # fmt: skip
        assert text in page
    assert "标签已公开" not in page
    assert "标签已公开" in benchmark_page(result_of("binary", "word", is_unsealed=True))
    assert benchmark_page(result_of("binary", "word")) == page


def test_what_is_not_there_leaves_no_gap() -> None:
    bare = replace(result_of("survival", "w"), groups=(), by_cluster={}, curves=(), notes=())
    page = benchmark_page(bare)
    assert "<svg" not in page
    assert "分组结果" not in page
    assert "须知" not in page


def test_many_groups_are_in_the_table_though_not_in_the_figure() -> None:
    many = tuple(Scores("site", f"s{number}", 20, 20, (Score("auroc", 0.5, 0.4, 0.6),)) for number in range(75))
    page = benchmark_page(replace(result_of("binary", "w"), groups=many))
    assert page.count('<circle class="mark"') == 61
    assert 's74</th>' in page  # fmt: skip
    assert "15 <span" in page
