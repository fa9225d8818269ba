"""No planted identifier leaves catalog/ and vault/: not in any output of any command, not in any file, in whatever form."""

import base64
import gzip
import io
import json
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathcurate.demo.slides import write_svs, write_tiff
from tests.canaries import Search
from tests.dicoms import radiology, slide_part
from tests.makers import cda, fhir, hl7, plaintext
from tests.makers.aperio import labelled_svs
from tests.makers.kfb import make_kfb
from tests.makers.labels import paint_symbols
from tests.processwatch import watched

# Date offsets are whole weeks. No two of these days fall on one day of the week, so no shifted one can be another.
DAYS = {
    "received": date(2017, 8, 21),
    "reported": date(2017, 8, 29),
    "scanned": date(2017, 9, 13),
    "scanned_tiff": date(2017, 9, 21),
    "received_second": date(2016, 3, 11),
    "born": date(1931, 5, 16),
    "consented": date(2015, 2, 1),
    # Years away from the others, so that no shifted day is another.
    "happened": date(2005, 6, 15),
    "ended": date(2008, 10, 10),
}
# In the catalog after the whole path, and nowhere else.
RECORDED: dict[str, str | date] = {
    "patient_name": "龘靐齉", "second_name": "虪飝厵", "patient_id": "ZYH77301942", "second_patient_id": "ZYH77301943",
    "id_number": "999999193105168813", "phone": "19977301942", "accession": "QX17-73019", "accession_raw": "QX17-0073019",
    "second_accession": "QX16-41877", "external": "WYBLH55120", "unit": "囍犇医院第七病区", "doctor": "骉猋",
    "pathologist": "麤鱻",
    "reviewer": "羴掱", "gross": "灰白结节麣一枚", "microscopy": "异型细胞龖巢", "diagnosis": "浸润性癌龘靐齉患者",
    "clinical": "乳腺肿物靐靐待查", "ihc": "ER阳性齉齉", "comment": "家属电话囍囍", "specimen_sites": "左乳龘龘肿物",
    "folder": "王囍犇的切片", "stem": "QX17-0073019-A1-HE-囍", "barcode": "QX17-0073019-A1-BCODE",
    "title": "TITLE-CANARY-5531",
    "serial": "SSCANARY991", "document": "doc" + "ab12" * 15, "list_row": "ZYH77309999",
    "event_text": "电话随访龘靐齉家属", "event_value": "88770.551", "event_result": "阳性囍犇", "event_code": "OUYANG-77301",
    "container": "CONTAINER-8812-囍", "label": "标签囍龘犇", "imaged": "IMAGED^囍=麤^囍麤", "imaged_id": "IMG77301942",
    "body_part": "BODYPARTCANARY33", "imaging": "囍骉检查描述",
    "label_barcode": "QX17-0073019-B2-LBLCODE77", "unlinked": "囍靐切片", "rack": "囍麤扫描仪",
    "waived": "因囍骉停用", "owner": "龘骉医生",
    "message_patient": "ZYH77304444", "message_card": "110105196703140027", "message_name": "王囍麤",
    "message_text": "异型麣囍细胞",
    "event_unit": "囍单位", "event_stranger": "ZYH77305555", "event_disease": "Q77.301946",
    "glass_number": "GLASSCANARY7731", "glass_stain": "囍麤染色", "index_path": "扫描龘囍骉", "index_patient": "ZYH77306666",
    "merged": "ZYH77307777", "drawn": "囍龘癌区", "drawn_slide": "犇囍画片",
    **DAYS,
}  # fmt: skip
# In the slide files only: pathcurate never reads them into any table.
UNRECORDED = {"user": "USERCANARY88", "artist": "ARTISTCANARY77", "host": "HOSTCANARY66", "custom": "CUSTOMCANARY55",
              "slide_patient": "SLIDEPATIENT44"}  # fmt: skip
_TEXTS = ("deid/texts/texts.parquet", "releases/told/1.0.0/data/texts.parquet")
"""Where scrubbed texts are."""
_HEADS = (
    "病理号,外院病理号,姓名,性别,年龄,出生日期,身份证号,住院号,联系电话,送检单位,送检医师,标本名称,临床诊断,肉眼所见,镜下所见,"
    "病理诊断,免疫组化,备注,报告医师,审核医师,接收日期,报告日期,报告类型,报告状态"
)
_RECIPE = """\
recipe: 1
name: canary
version: 1.0.0
title: Everything that may go out
unit: slide
include:
  - {id: received, level: case, where: {received_date: {min: 2010-01-01, max: 2020-12-31}}}
  - {id: old, level: case, where: {age: {min: 60}}}
  - {id: happened, level: patient, has: {table: events, where: {kind: laboratory, date: {max: 2006-01-01}}}}
split: {ratios: {train: 0.5, test: 0.5}}
columns: [COLUMNS]
"""
_LABELS = "labels: [{name: settled, level: case, has: {table: reports, where: {status: final}}}]\n"


@dataclass(frozen=True)
class Corpus:
    """A workspace full of canaries, its inputs beside it, and all that the commands printed; ``findings`` apart.

    ``shown`` is what their processes showed to every user of the machine, and of their environment to their own.
    """

    workspace: Path
    inputs: Path
    output: str
    findings: str
    exit_codes: dict[str, int]
    shown: frozenset[bytes] = frozenset()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    base = tmp_path_factory.mktemp("canary")
    workspace, inputs = base / "workspace", base / "inputs"
    workspace.mkdir()
    _make_slides(inputs / "slides")
    _make_lists(inputs)
    _make_messages(inputs)
    _make_registers(inputs)
    _make_workspace(workspace, inputs)
    with _one_process(workspace) as (run, shown):
        ran = _run_everything(workspace, inputs, run)
    return replace(ran, shown=frozenset(shown))


def _make_slides(root: Path) -> None:
    folder = root / str(RECORDED["folder"])
    folder.mkdir(parents=True)
    description = {
        "AppMag": "40", "MPP": "0.25", "ScanScope ID": RECORDED["serial"], "Date": DAYS["scanned"].strftime("%m/%d/%y"),
        "Time": "10:11:12", "Title": RECORDED["title"], "Barcode": RECORDED["barcode"], "User": UNRECORDED["user"],
        "CustomField.First_Name": UNRECORDED["custom"],
    }  # fmt: skip
    size = (600, 500)
    write_svs(folder / f"{RECORDED['stem']}.svs", seed=1, size=size, description=description, label_lines=["QX17-0073019"])
    stamp = DAYS["scanned_tiff"].strftime("%Y:%m:%d 09:08:07").encode() + b"\0"
    from pathcurate.demo.tiffwriter import ascii_text

    fields = {
        306: ascii_text(stamp[:-1].decode()), 315: ascii_text(UNRECORDED["artist"]), 316: ascii_text(UNRECORDED["host"])
    }  # fmt: skip
    write_tiff(root / f"{RECORDED['second_accession']}.tif", seed=2, size=size, mpp=0.5, fields=fields)
    label = paint_symbols([("data_matrix", str(RECORDED["label_barcode"]), 6.0, (300, 380))], lines=("QX17-0073019",))
    told = {"AppMag": "20", "MPP": "0.5", "Filename": RECORDED["rack"]}
    (folder / f"{RECORDED['unlinked']}.svs").write_bytes(labelled_svs(label, seed=3, keys=told))
    # A copy under another case's number, a KFB, and a label that is no picture become findings or are looked at.
    copy = (folder / f"{RECORDED['unlinked']}.svs").read_bytes()
    (root / f"QX18-55501 {RECORDED['patient_name']}.svs").write_bytes(copy)
    (root / f"QX18-55502 {RECORDED['patient_name']}.svs").write_bytes(copy)
    make_kfb(root / f"QX18-55503 {RECORDED['second_name']}.kfb")
    (root / f"QX18-55504 {RECORDED['doctor']}.svs").write_bytes(labelled_svs(b"no picture", seed=4))
    # Slides that cannot be read have names too, and so have things that are no slides.
    (folder / f"{RECORDED['patient_name']}-cut.svs").write_bytes((folder / f"{RECORDED['stem']}.svs").read_bytes()[:9000])
    (folder / f"{RECORDED['patient_id']}.svs").write_text("no slide of " + str(RECORDED["patient_name"]), encoding="utf-8")
    (folder / f"{RECORDED['second_name']}.txt").write_text(str(RECORDED["second_name"]), encoding="utf-8")
    (folder / f"{RECORDED['doctor']}.lnk.svs").symlink_to(folder)
    (folder / f"{RECORDED['id_number']}").mkdir()
    named = {"PatientName": UNRECORDED["slide_patient"], "container": RECORDED["container"], "LabelText": RECORDED["label"]}
    (folder / "level0").write_bytes(slide_part(**named))
    (folder / "label").write_bytes(slide_part("LABEL", number=2, **named)[:-3])
    people = {"PatientName": RECORDED["imaged"], "PatientID": RECORDED["imaged_id"]}
    people["BodyPartExamined"] = RECORDED["body_part"]
    (folder / f"{RECORDED['imaged_id']}.dcm").write_bytes(radiology(SeriesDescription=RECORDED["imaging"], **people))
    (folder / f"{RECORDED['imaged']}.dcm").write_bytes(radiology(2, **people)[:-5])
    (folder / "broken.dcm").write_bytes(radiology(3, series=2, **people).replace(b"\x20\0\x0d\0UI", b"\x20\0\x0d\0US"))


def _told() -> str:
    """A diagnosis with all that a text may hold of the persons of its report."""
    c = RECORDED
    return (
        f"导管癌。患者{c['second_name']}，住院号{c['second_patient_id']}，电话{c['phone']}，身份证{c['id_number']}，"
        f"{c['received_second'].strftime('%Y年%-m月%-d日')}送检，病理号{c['second_accession']}，原号{c['accession_raw']}，"
        f"送检医师{c['doctor']}，报告医师：{c['pathologist']}，审核：{c['reviewer']}"
    )


def _make_lists(inputs: Path) -> None:
    c = RECORDED
    first = (
        f"{c['accession_raw']},{c['external']},{c['patient_name']},女,86岁,{c['born']},{c['id_number']},{c['patient_id']},{c['phone']},"
        f"{c['unit']},{c['doctor']},{c['specimen_sites']},{c['clinical']},{c['gross']},{c['microscopy']},{c['diagnosis']},{c['ihc']},"
        f"{c['comment']},{c['pathologist']},{c['reviewer']},{c['received']},{c['reported']},常规,已审核"
    )
    second = (
        f"{c['second_accession']},,{c['second_name']},男,91岁,,,{c['second_patient_id']},,,,右乳肿物,,,,{_told()},,,,,"
        f"{c['received_second']},{c['received_second']},常规,已审核"
    )
    not_understood = (
        f"QX18-00001,,{c['patient_name']},{c['patient_name']},{c['id_number']},{c['phone']},,{c['patient_id']},,,,{c['unit']},,,,,,,,,"
        f"{c['patient_name']},{c['id_number']},{c['doctor']},{c['reviewer']}"
    )
    rows = [
        first,
        second,
        # Rows that become findings: no accession number, one cell too many, cells that cannot be understood.
        f",,{c['patient_name']},女,86岁,,{c['id_number']},{c['patient_id']},{c['phone']},,,,,,,{c['diagnosis']},,,,,,,,",
        f"{c['accession_raw']},{c['patient_name']},{c['id_number']}" + "," * 40,
        not_understood,
    ]  # fmt: skip
    inputs.joinpath("reports.csv").write_bytes("\r\n".join([_HEADS, *rows, ""]).encode("gb18030"))
    events = [
        "住院号,类别,编码体系,代码,项目,结果,单位,侧别,日期,结束日期,某列",
        f"{c['patient_id']},检验,检验,{c['event_code']},{c['event_text']},{c['event_value']},{c['event_unit']},左,{c['happened']},{c['ended']},",
        f"{c['second_patient_id']},检验,检验,CEA,{c['event_text']},{c['event_result']},ng/mL,,{c['happened']},,",
        f"{c['second_patient_id']},诊断,ICD-10,{c['event_disease']},{c['event_text']},,,,{c['happened']},,",
        # Rows that become findings: a stranger, nobody, no kind, one cell too many, cells that cannot be understood.
        f"{c['event_stranger']},随访,,,{c['event_text']},,,,{c['happened']},,{c['phone']}",
        f",随访,,,{c['event_text']},{c['patient_name']},,,,,",
        f"{c['patient_id']},{c['patient_name']},,,{c['event_text']},,,,,,",
        f"{c['patient_id']},{c['patient_name']}" + "," * 20,
        (
            f"{c['patient_id']},随访,{c['doctor']},{c['id_number']},{c['event_text']},{c['phone']} {c['doctor']},"
            f"{c['unit']},{c['reviewer']},{c['patient_name']},{c['id_number']},{c['patient_name']}"
        ),
    ]
    inputs.joinpath("events.csv").write_bytes("\r\n".join([*events, ""]).encode("gb18030"))
    book = openpyxl.Workbook()
    for row in (
        [f"{c['unit']}报告汇总表"], ["病理号", "姓名", "身份证号", "备注", "奇怪", "F_BLZD"],
        *([f"QX19-0000{i}", c["patient_name"], 10**17, c["phone"], c["id_number"], c["diagnosis"]] for i in range(1, 5)),
    ):  # fmt: skip
        book.active.append(row)
    book.active.title = str(c["patient_name"])
    book.save(inputs / "reports.xlsx")
    consents = [
        "住院号,依据,用途,数据类型,有效期起,有效期止,文件摘要",
        f"{c['patient_id']},知情同意,research,slides;reports;events,{c['consented']},2090-01-01,{c['document']}",
        f"{c['second_patient_id']},知情同意,research,slides;reports;events,,,",
        f"{c['list_row']},知情同意,research,slides;reports,,,",
        f"{c['list_row']},{c['patient_name']},{c['id_number']},,,,",
    ]
    inputs.joinpath("number.txt").write_text(f"{c['patient_id']}\n")
    inputs.joinpath("consent.csv").write_text("\n".join(consents) + "\n", encoding="utf-8")


def _make_registers(inputs: Path) -> None:
    """Tables of other systems and a drawing, with rows that become findings."""
    c = RECORDED
    glass = (
        f"病理号,蜡块号,染色,玻片号,切片日期\n{c['accession_raw']},A1,{c['glass_stain']},{c['glass_number']},2017-08-22\n"
        f",A1,HE,{c['glass_number']},\n{c['accession_raw']},{c['patient_name']},HE,{c['glass_number']},{c['patient_name']}\n"
    )
    scanner = (
        f'File Path,Case Number,Patient ID\n"D:\\{c["index_path"]}\\{c["stem"]}.svs",{c["accession_raw"]},'
        f"{c['index_patient']}\n{c['index_path']}.svs,{c['accession_raw']},{c['patient_name']}\n,,\n"
    )
    merged = f"机构,保留病案号,合并病案号\nQX01,{c['patient_id']},{c['merged']}\nQX01,,{c['merged']}\n{c['unit']},1,2\n"
    for name, text in (("glass", glass), ("scanner", scanner), ("merged", merged)):
        (inputs / f"{name}.csv").write_text(text, encoding="utf-8")
    ring = [[0, 0], [10, 0], [10, 10], [0, 0]]
    shape = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]},
             "properties": {"classification": {"name": c["drawn"]}}}  # fmt: skip
    (inputs / "drawn").mkdir()
    for name in (str(c["stem"]), str(c["drawn_slide"])):
        (inputs / "drawn" / f"{name}.geojson").write_text(json.dumps([shape], ensure_ascii=False), encoding="utf-8")


def _make_messages(inputs: Path) -> None:
    """Reports in every other form, whole and damaged."""
    made = {
        "hl7": (hl7.message(), hl7.ANSWER), "json": (fhir.bundle(fhir.resources()), fhir.ANSWER),
        "xml": (cda.document(), cda.ANSWER), "txt": (plaintext.report(), plaintext.ANSWER),
    }  # fmt: skip
    for number, (ending, (text, answer)) in enumerate(made.items(), start=1):
        planted = text.replace("王^䶮", "王^囍麤").replace(answer["patient_name"], str(RECORDED["message_name"]))
        planted = planted.replace(answer["patient_id"], str(RECORDED["message_patient"]))
        planted = planted.replace(answer["microscopy"].split("\n")[0], str(RECORDED["message_text"]))
        planted = planted.replace("S23-00123", f"QX20-0000{number}")
        (inputs / f"whole.{ending}").write_text(planted, encoding="utf-8", newline="")
        cut = planted[: len(planted) * 2 // 3].replace(f"QX20-0000{number}", f"QX21-0000{number}")
        without = planted.replace(f"QX20-0000{number}", "")
        (inputs / f"cut.{ending}").write_text(cut, encoding="utf-8", newline="")
        (inputs / f"without.{ending}").write_text(without, encoding="utf-8", newline="")
    (inputs / "bomb.xml").write_text(
        f"<!DOCTYPE x [<!ENTITY e '{RECORDED['message_name']}'>]><ClinicalDocument>&e;", "utf-8"
    )


def _make_workspace(workspace: Path, inputs: Path) -> None:
    (workspace / "pathcurate.yaml").write_text(
        f"workspace: 1\nname: canary\nsites:\n  - code: QX01\n    name: X\n"
        f"    archives: [{{name: main, root: {inputs}/slides}}]\n"
        f"    reports: [{{path: {inputs}/reports.csv}}, {{path: {inputs}/reports.xlsx}}, {{path: '{inputs}/*.hl7'}},\n"
        f"      {{path: '{inputs}/*.json'}}, {{path: '{inputs}/*.xml'}}, {{path: '{inputs}/[!n]*.txt', format: text}}]\n"
        f"    events: [{{path: {inputs}/events.csv}}]\n"
        f"    materials: [{{path: {inputs}/glass.csv}}]\n    index: [{{path: {inputs}/scanner.csv}}]\n"
        f"    annotations: [{{path: {inputs}/drawn/*.geojson}}]\n"
        f"identities: [{{path: {inputs}/merged.csv}}]\n"
        f"permissions: [{{path: {inputs}/consent.csv}}]\n",
        encoding="utf-8",
    )
    from pathcurate.model.deidentified import SLIDES_DEID
    from pathcurate.profiles import read_profile

    filled = read_profile("default", workspace).filled("slides")
    columns = ", ".join(name for name in (*SLIDES_DEID.names, "split") if name == "split" or name in filled)
    (workspace / "recipe.yaml").write_text(_RECIPE.replace("COLUMNS", columns), encoding="utf-8")
    texts = "texts: [clinical_diagnosis, gross, microscopy, diagnosis, ihc, comment, text_raw]\n"
    told = _RECIPE.replace("COLUMNS", columns).replace("name: canary", "name: told") + texts + _LABELS
    (workspace / "told.yaml").write_text(told, encoding="utf-8")
    (workspace / "recipes").mkdir()
    concepts = "concepts: {carcinoma: {any: [癌, carcinoma, 细胞]}}\ninclude:"
    sought = _RECIPE.replace("COLUMNS", "slide_id").replace("include:", concepts).replace("name: canary", "name: sought")
    (workspace / "recipes" / "sought.yaml").write_text(sought, encoding="utf-8")


_ONE_PROCESS = """
import json, os, sys
from pathcurate.cli.main import run
os.cpu_count = lambda: 1  # a second worker of each kernel would only start once more
os.fsync = lambda _: None
asked, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
for line in asked:
    folder, commands = json.loads(line)
    for number, command in enumerate(commands):
        handle = os.open(f"{folder}/{number}", os.O_CREAT | os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(handle, stream)
        os.close(handle)
        code = run(command)
        sys.stdout.flush()
        sys.stderr.flush()
        os.rename(f"{folder}/{number}", f"{folder}/{number}.{code}")
    print("done", file=answers, flush=True)
"""
Run = Callable[[Sequence[Sequence[str]], str], list[tuple[str, int]]]


@contextmanager
def _one_process(workspace: Path) -> Iterator[tuple[Run, set[bytes]]]:
    """Runs commands: what each wrote to both streams, whoever of its processes wrote it, and its exit code.

    Beside that stands what all processes have shown of themselves.

    Python starts once.
    """

    def run(commands: Sequence[Sequence[str]], mode: str) -> list[tuple[str, int]]:
        assert python.stdin is not None
        assert python.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            asked = [[*command, "-w", str(workspace), mode] for command in commands]
            print(json.dumps([folder, asked]), file=python.stdin, flush=True)
            assert python.stdout.readline() == "done\n"
            written = {int(path.stem): path for path in Path(folder).iterdir()}
            return [
                (written[number].read_bytes().decode("utf-8", "replace"), int(written[number].suffix[1:]))
                for number in range(len(commands))
            ]

    command = [sys.executable, "-c", _ONE_PROCESS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as python:
        late = threading.Timer(600, python.kill)
        late.daemon = True
        late.start()
        with watched(python.pid) as shown:
            yield run, shown
    late.cancel()


def _run_everything(workspace: Path, inputs: Path, run: Run) -> Corpus:
    printed: list[str] = []
    listed: list[str] = []
    exit_codes: dict[str, int] = {}
    recipe, told = str(workspace / "recipe.yaml"), str(workspace / "told.yaml")
    release = str(workspace / "releases" / "canary" / "1.0.0")
    export = str(workspace / "profile.json")
    deep = ("scan", "--labels", "--qc", "--check", "tiles", "--report")
    waive = ("findings", "waive", "--by", "rule=scan.truncated", "--until", "30d")
    waive += ("--reason", str(RECORDED["waived"]), "--owner", str(RECORDED["owner"]))
    commands = [
        ("scan",), deep, ("findings", "list"), ("findings", "list", "--by", "rule,site,scanner,format,archive"),
        ("reports", "import"), ("reports", "guess", f"{inputs}/reports.csv"),
        ("reports", "guess", f"{inputs}/reports.xlsx"), ("events", "import"), ("permissions", "import"),
        ("materials", "import"), ("index", "import"), ("identities", "import"), ("annotations", "import"), ("link",),
        ("link", "patterns", "--site", "QX01"), ("link", "report"), ("link", "review", "export"),
        ("link", "review", "import"),
        ("forget", "--source", f"{inputs}/glass.csv"),
        ("concepts", "build", "--dry-run"), ("concepts", "build"), ("concepts", "list"),
        ("deid", "explain"), ("deid", "plan"), ("deid", "apply"), ("deid", "verify"),
        ("doctor",), ("describe",), ("describe", "--export", export, "--force"),
        ("recipe", "check", recipe), ("cohort", recipe, "--dry-run"), ("cohort", recipe),
        ("recipe", "check", recipe, "--profile", export), ("recipe", "explain", recipe),
        ("recipe", "explain", recipe, "--lang", "zh", "--sql"), ("codelist", "check", recipe),
        ("recipe", "explain", recipe, "--case", f"@{inputs}/number.txt", "--to-review"), ("recipe", "diff", recipe, told),
        ("cohort", recipe, "--raw-counts"), ("cohort", recipe, "--as-of", "canary", "--dry-run"),
        ("cohort", recipe, "--sample", "3"), ("catalog", "check"), ("catalog", "compact"),
        ("catalog", "expire", "--keep", "400d"), ("materials", "pull", "canary", "--to-review"),
        ("manifest", "build", recipe), ("manifest", "verify", release), ("manifest", "list"), ("manifest", "show", release),
        ("manifest", "verify", release, "--partial"),
        *(
            ("manifest", "diff", release, "canary@1.0.0", "--format", form, "-o", str(workspace / f"diff.{form}"))
            for form in ("text", "json", "markdown", "html")
        ),
        *(
            ("validate", release, "--output", f"{form}={workspace / form}")
            for form in ("junit", "sarif", "github", "gitlab")
        ),
        ("validate", release), ("validate", str(workspace)), ("validate", recipe),
        ("validate", str(workspace / "deid" / "slides.parquet")), ("product", "register", release), ("product", "list"),
        ("findings", "list"), ("product", "check", "canary"), ("product", "show", "canary"),
        ("product", "history", "canary"), ("product", "verify"), ("product", "verify", "canary"), ("product", "due"),
        ("product", "statement", "canary", "--amount", "100.00"), ("product", "keys", "list"),
        ("product", "spaces"), ("product", "catalog", "--html", str(workspace / "offers"), "--force"), ("find", "--help"),
        ("find", f"@{inputs}/number.txt", "--to-review"), ("run", recipe),
        ("run", told), ("deid", "apply", "--texts", "all"), ("deid", "verify"), ("deid", "plan"),
        ("deid", "verify", str(workspace / "releases")), ("validate", str(workspace / "releases" / "told" / "1.0.0")),
        ("deid", "review", "export"), ("deid", "review", "import"), ("cohort", told),
        ("labels", "review", "export", "told"), ("labels", "review", "import"), ("labels", "review", "report", "told"),
        ("deid", "explain", "--files"), ("deid", "files", "--release", "canary@1.0.0", "--plan"),
        ("deid", "files", "--release", "canary@1.0.0", "--to", str(workspace / "copies"), "--purpose", "test"),
        ("vault", "people", "add", "Li", "Zhang", "--role", "approver"),
        ("audit", "report"), ("forget", "--patient", f"@{inputs}/number.txt"), ("run", "--requests"),
    ]  # fmt: skip
    (inputs / "pass").touch(0o600)
    (inputs / "pass").write_text("correct horse battery")
    key = (f"{inputs}/key.pem", "--passphrase-file", f"{inputs}/pass")
    first = run([("scan",), waive, ("product", "keys", "new", "Li", "--role", "steward", "--out", *key)], "-v")
    assert [code for _, code in first] == [0, 0, 0], first
    printed += [first[0][0], first[2][0]]
    listed.append(first[1][0])
    # Twice, because the second run of a command finds what the first one left.
    for mode in ("-v", "--json"):
        for command, (output, code) in zip(commands, run(commands, mode), strict=True):
            (listed if command[0] == "findings" else printed).append(output)
            exit_codes[" ".join((*command[:3], mode))] = code
    # What leads a code back, and a new key, last of all.
    codes = pq.read_table(workspace / "deid" / "cases.parquet")["case_id"].to_pylist()
    (inputs / "codes.txt").write_text("\n".join(codes))
    asked = ("--reason", "test", "--requested-by", "Li", "--approved-by", "Zhang", "--to-review")
    last = [
        ("deid", "reidentify", f"@{inputs}/codes.txt", *asked), ("audit", "report"),
        ("vault", "rotate", "--reason", "test"), ("deid", "apply", "--texts", "all"),
    ]  # fmt: skip
    for command, (output, code) in zip(last, run(last, "-v"), strict=True):
        printed.append(output)
        exit_codes[" ".join((*command[:3], "last"))] = code
    # Commands that fail have messages too: an opt-out list that cannot be understood, and a catalog that is damaged.
    (inputs / "consent.csv").write_text(
        f"住院号,退出,机构\n,是 {RECORDED['patient_name']},{RECORDED['id_number']}\n", encoding="utf-8"
    )
    # So have refusals of `find`, which shows identified values, but not here: this is no terminal.
    refused = [
        ("permissions", "import"), ("cohort", recipe), ("run", recipe), ("find", str(RECORDED["patient_id"])),
        ("find", str(RECORDED["patient_name"]), f"-{RECORDED['id_number']}", "--to-review"),
        # And so have those of products: this one is for inside alone, and nobody has brought a paper.
        ("product", "sign", "canary", "--key", *key), ("product", "receipt", "canary", "--says", "notice"),
        ("product", "submit", "canary", "--regime", "zj-data-ip", "--to", str(workspace / "submission")),
        ("product", "offer", "canary"), ("product", "resume", "canary"),
        ("product", "suspend", "canary", "--reason", "test"),
        ("product", "withdraw", "--site", "QX01", "--reason", "test"), ("product", "check", "canary"),
        ("product", "publish", "canary", "--space", "hub"),
        ("product", "retract", "canary", "--space", "hub", "--reason", "test"),
        ("evaluate", "canary", f"{inputs}/codes.txt"), ("product", "unseal", "canary", "--found", f"{inputs}/codes.txt"),
    ]  # fmt: skip
    outcomes = run(refused, "-v")
    assert [code for _, code in outcomes] == [13, 13, 13, 13, 2, 13, 12, 12, 12, 12, 12, 0, 12, 2, 2, 12, 12], outcomes
    printed += [output for output, _ in outcomes]
    return Corpus(workspace, inputs, "\n".join(printed), "\n".join(listed), exit_codes)


def test_every_command_ran(corpus: Corpus) -> None:
    assert set(corpus.exit_codes.values()) == {0}, {name: code for name, code in corpus.exit_codes.items() if code}


def test_the_release_holds_the_slides_that_the_canaries_were_planted_in(corpus: Corpus) -> None:
    table = pq.read_table(corpus.workspace / "releases" / "canary" / "1.0.0" / "data" / "slides.parquet")
    assert table.num_rows == 5
    assert sorted(table["age"].to_pylist()) == [86, 86, 86, 86, 90]
    assert set(table["scan_datetime"].to_pylist()).isdisjoint(DAYS.values())


def test_catalog_holds_every_canary_so_the_search_can_see(corpus: Corpus) -> None:
    found = Search(RECORDED).in_tree(corpus.workspace / "catalog")
    missed = set(RECORDED) - set().union(*found.values())
    assert not missed
    planted = Search(UNRECORDED).in_tree(corpus.inputs / "slides")
    assert set().union(*planted.values()) >= set(UNRECORDED)


def test_no_file_outside_catalog_and_vault_holds_a_canary(corpus: Corpus) -> None:
    search = Search({**RECORDED, **UNRECORDED})
    found = search.in_tree(corpus.workspace, without=("catalog", "vault"))
    # What a text says of a disease is released where a recipe asks for texts; what it says of persons nowhere.
    texts = {path: canaries for path, canaries in found.items() if path in _TEXTS}
    assert found == texts
    assert set().union(*texts.values()) == {"gross", "microscopy", "clinical", "ihc", "comment", "message_text"}


def test_texts_were_scrubbed_and_released(corpus: Corpus) -> None:
    table = pq.read_table(corpus.workspace / "releases" / "told" / "1.0.0" / "data" / "texts.parquet")
    text = " ".join(table["text"].to_pylist())
    assert "导管癌" in text
    assert "灰白结节麣一枚" in text
    assert "住院号P-" in text


def test_no_command_prints_a_canary(corpus: Corpus) -> None:
    assert len(corpus.output) > 10_000
    assert Search({**RECORDED, **UNRECORDED}).in_text(corpus.output) == set()
    assert str(corpus.inputs / "slides" / str(RECORDED["folder"])) not in corpus.output
    assert "scan.pixels_of_two_cases" in corpus.output
    assert "contact sheet: " in corpus.output


def test_no_process_shows_a_canary_or_the_key(corpus: Corpus) -> None:
    shown = b"\n".join(sorted(corpus.shown))
    assert len(corpus.shown) > 2
    assert b"PATH=" in shown
    assert Search({**RECORDED, **UNRECORDED}).in_bytes(shown) == set()
    key = (corpus.workspace / "vault" / "key").read_bytes()
    assert [form for form in (key, key.hex().encode(), base64.b64encode(key)) if form in shown] == []


def test_a_process_with_a_secret_is_seen() -> None:
    code = "import time; time.sleep(0.5)"
    told = {"TOLD": "ENVIRONED"}
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}, 'ARGUED'], env={told})"
    with subprocess.Popen([sys.executable, "-c", outer]) as python, watched(python.pid) as shown:
        python.wait()
    assert any(b"ARGUED" in one for one in shown)
    assert any(b"ENVIRONED" in one for one in shown)


def test_findings_show_of_all_canaries_only_who_waived_what_and_why(corpus: Corpus) -> None:
    assert "scan.truncated" in corpus.findings
    assert Search({**RECORDED, **UNRECORDED}).in_text(corpus.findings) == {"waived", "owner"}


def _parquet(text: str) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"x": pa.array([text] * 3).dictionary_encode()}), out, compression="zstd")
    return out.getvalue()


def _parquet_footer(text: str) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"x": [1]}).replace_schema_metadata({"note": text}), out)
    return out.getvalue()


def _zip(text: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt", text * 40)
    return out.getvalue()


def _tar(text: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        data = text.encode()
        info = tarfile.TarInfo("inner.txt")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _sqlite(text: str) -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table t (x text)")
    connection.execute("insert into t values (?)", (text,))
    connection.commit()
    return connection.serialize()


@pytest.mark.parametrize(
    "hide",
    [
        _parquet, _parquet_footer, _zip, _tar, _sqlite, lambda text: gzip.compress(text.encode()),
        lambda text: json.dumps({"a": [text]}).encode(), lambda text: text.encode("gb18030"),
        lambda text: text.encode("utf-16-le"), lambda text: "".join(f"&#{ord(c)};" for c in text).encode(),
        lambda text: text.encode().hex().encode(),
    ],
    ids=["parquet", "footer", "zip", "tar", "sqlite", "gzip", "json", "gb18030", "utf16", "html", "hex"],
)  # fmt: skip
def test_the_search_finds_a_hidden_value(hide: Callable[[str], bytes]) -> None:
    assert Search({"name": "龘靐齉患者"}).in_file("file.json" if hide.__name__ == "x" else "file", hide("龘靐齉患者")) == {
        "name"
    }


def test_the_search_finds_a_date_in_a_date_column() -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"d": pa.array([date(2017, 8, 21)], pa.date32())}), out)
    assert Search({"day": date(2017, 8, 21)}).in_file("x.parquet", out.getvalue()) == {"day"}
