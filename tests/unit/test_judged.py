"""Absurd values of a header are left out, and said to be."""

import pytest

from pathcurate.model.slide import SlideHeader, judged
from tests.archives import Desk, tiff


@pytest.mark.parametrize(
    ("values", "odd"),
    [
        ({}, ()),
        ({"mpp_x": 0.25, "mpp_y": 0.25, "objective_power": 40.0}, ()),
        ({"mpp_x": 250.0, "mpp_y": 0.25}, ("mpp_x",)),
        ({"mpp_x": 0.0001, "mpp_y": 0.0001, "objective_power": 4e9}, ("mpp_x", "mpp_y", "objective_power")),
    ],
)
def test_what_no_microscope_has(values, odd):
    header = judged(SlideHeader("ok", mpp_source="vendor", **values))
    assert header.odd_values == odd
    assert (header.mpp_x, header.mpp_y) == ((None, None) if odd else (values.get("mpp_x"), values.get("mpp_y")))
    assert (header.mpp_source is None) == bool(odd)
    assert judged(header) == header


def test_an_absurd_value_is_a_finding_without_the_value_until_the_file_changes(tmp_path):
    desk = Desk(tmp_path)
    desk.put("a.svs", tiff(1, keys={"MPP": "123456.5", "AppMag": "20"}))
    for _ in range(2):
        (finding,) = desk.scan().findings
        assert (finding.rule, finding.column) == ("scan.absurd_value", "mpp_x")
        assert "123456" not in finding.message
    row = desk.row("a.svs")
    assert (row["mpp_x"], row["objective_power"], row["odd_values"]) == (None, 20.0, ["mpp_x", "mpp_y"])
    desk.put("a.svs", tiff(1, keys={"MPP": "0.5", "AppMag": "20"}))
    assert desk.scan().findings == ()
