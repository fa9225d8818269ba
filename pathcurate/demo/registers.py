"""Made-up tables of other systems: NB01's blocks and glass, NB02's scanner, a merge list, and what a pathologist drew."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pathcurate.demo.specialities import Drawing

OLD_NUMBER = "99660001"
"""A number under which a patient was known before, and that no report has."""
_COLOURS = {"Tumor": -3670016, "Stroma": -6895466, "Artefact": -8355712}
_UNSCANNED = (("B", "9", "HE"), ("B", "9", "Ki-67"))


def write_registers(directory: Path, slides: Sequence[Mapping[str, Any]], numbers: Mapping[tuple[str, str], str]) -> None:
    """Write ``hospital/NB01/glass.csv`` and ``annotations/``, ``hospital/NB02/scanner.csv`` and ``hospital/merged.csv``.

    Args:
        directory: of the made-up hospital.
        slides: what is right about its slides, as the answer key has it.
        numbers: accession numbers as the laboratories write them, by site and number in normal form.
    """
    nb01 = [slide for slide in slides if slide["site"] == "NB01" and slide["accession"] and not slide["rescan_of"]]
    # Two glasses of one block and stain are told apart by their numbers only, which this laboratory does not keep.
    shown = {(slide["accession"], slide["specimen"], slide["block"], slide["stain"]): slide for slide in nb01}
    glass = [
        (numbers["NB01", accession], f"{specimen}{block}", stain or "", slide["scan_date"])
        for (accession, specimen, block, stain), slide in shown.items()
        if specimen and block
    ]
    first = glass[0]
    glass += [(first[0], f"{specimen}{block}", stain, first[3]) for specimen, block, stain in _UNSCANNED]
    _write(directory / "hospital/NB01/glass.csv", ("病理号", "蜡块号", "染色", "切片日期"), glass, "gb18030")
    named = [slide for slide in slides if slide["site"] == "NB02" and slide["tier"] == "exact"]
    rows = [("D:\\slides\\" + slide["relpath"].replace("/", "\\"), numbers["NB02", slide["accession"]]) for slide in named]
    _write(directory / "hospital/NB02/scanner.csv", ("File Path", "Case Number"), rows, "utf-8")
    patient = next(slide["patient"] for slide in nb01)
    _write(
        directory / "hospital/merged.csv", ("机构", "保留病案号", "合并病案号"), [("NB01", patient, OLD_NUMBER)], "utf-8-sig"
    )
    drawn = next(slide for slide in nb01 if slide["status"] == "ok" and slide["width"])
    regions = ((100, 80, 300, 240, "Tumor"), (400, 300, 90, 60, "Stroma"))
    _write_annotations(directory / "hospital/NB01/annotations", drawn["relpath"], regions)


def write_drawings(directory: Path, drawings: Iterable[Drawing]) -> None:
    """Write one region for each drawing, in a file of its slide's name."""
    for drawing in drawings:
        _write_annotations(directory, drawing.relpath, ((60, 40, 180, 120, drawing.label),))


def _write(path: Path, heads: Iterable[str], rows: Iterable[Iterable[object]], encoding: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(heads)
    writer.writerows(rows)
    path.write_bytes(out.getvalue().encode(encoding))


def _write_annotations(directory: Path, relpath: str, regions: Iterable[tuple[int, int, int, int, str]]) -> None:
    """Rectangles as QuPath exports them, in a file of the slide's name."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[[x, y], [x + w, y], [x + w, y + h], [x, y + h], [x, y]]]},
            "properties": {"objectType": "annotation", "classification": {"name": label, "colorRGB": _COLOURS[label]}},
        }
        for x, y, w, h, label in regions
    ]
    directory.mkdir(exist_ok=True)
    document = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)
    (directory / f"{relpath.rpartition('/')[2].rpartition('.')[0]}.geojson").write_text(document, "utf-8")
