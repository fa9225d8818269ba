"""The workspace file and mapping files: every key typed, every fault with its place."""

import os
from datetime import date
from pathlib import Path

import pytest
import re2

from pathcurate.errors import UsageError
from pathcurate.mapping import load_mapping
from pathcurate.objectstore import Address, S3Root
from pathcurate.pacing import PacedRoot, Window
from pathcurate.roots import paced_root_of, root_of
from pathcurate.storage import LocalRoot
from pathcurate.workspace import DEFAULT_PATTERNS, Workspace, find_workspace, load_workspace

FULL = """\
workspace: 1
name: demo
sites:
  - code: NB01
    name: 示例市病理诊断中心
    archives:
      - {name: main, root: /data/slides}
      - /data/more/
      - {name: 本地, root: a/../slides, reads_per_second: 400, reads_per_run: 9999, window: "19:00-07:00", offline: read}
      - {name: cloud, root: "s3://archive/2024/a b/", endpoint: "https://minio.local:9000", region: cn-north-1}
      - s3://all-of-it
    reports:
      - {path: "lis/*.csv", format: auto, mapping: mappings/nb01.yaml}
      - {path: /exports/all.xlsx}
    accession:
      patterns: ['^(?P<accession>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})']
    rights: {holder: 示例市医院, authorisation: docs/nb01.pdf, valid_until: 2028-12-31, share: 0.4}
  - code: NB02
permissions: [{path: consent.csv, mapping: mappings/consent.yaml}, {path: opt_out.csv, max_age_days: 7}]
deid: {profile: strict}
engine: embedded
registry: shared/registry.db
"""
HEAD = "workspace: 1\nname: demo\n"


def workspace(folder: Path, text: str) -> Workspace:
    file = folder / "pathcurate.yaml"
    file.write_text(text, encoding="utf-8")
    return load_workspace(file)


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(UsageError) as caught:
        workspace(folder, text)
    start = f"{folder / 'pathcurate.yaml'}:"
    lines = caught.value.message.splitlines()
    return [line.removeprefix(start) for line in lines if line.startswith(start)]


def test_every_key_arrives(tmp_path: Path) -> None:
    read = workspace(tmp_path, FULL)
    assert (read.name, read.root, read.registry) == ("demo", tmp_path, tmp_path / "shared/registry.db")
    assert (read.settings.deid.profile, read.settings.engine) == ("strict", "embedded")
    first, second = read.sites
    assert (first.code, first.name) == ("NB01", "示例市病理诊断中心")
    assert [(archive.name, archive.root) for archive in first.archives] == [
        ("main", Path("/data/slides")),
        ("more", Path("/data/more")),
        ("本地", tmp_path / "slides"),
        ("cloud", Address("archive", "2024/a b")),
        ("all-of-it", Address("all-of-it", "")),
    ]
    main, _, local, cloud, _ = first.archives
    assert (main.reads_per_second, main.reads_per_run, main.window, main.offline) == (None, None, None, "skip")
    assert (local.reads_per_second, local.reads_per_run, local.offline) == (400, 9999, "read")
    assert local.window == Window(19 * 60, 7 * 60)
    assert (cloud.endpoint, cloud.region) == ("https://minio.local:9000", "cn-north-1")
    assert [source.format for source in first.reports] == ["auto", "auto"]
    assert first.reports[0].mapping == tmp_path / "mappings/nb01.yaml"
    assert first.accession.patterns == ("^(?P<accession>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})",)
    assert first.rights is not None
    assert (first.rights.holder, first.rights.valid_until, first.rights.share) == ("示例市医院", date(2028, 12, 31), 0.4)
    assert first.rights.authorisation == tmp_path / "docs/nb01.pdf"
    assert (second.name, second.archives, second.reports, second.rights) == (None, (), (), None)
    assert second.accession.patterns == DEFAULT_PATTERNS
    assert [(source.path, source.max_age_days) for source in read.permissions] == [
        (tmp_path / "consent.csv", None),
        (tmp_path / "opt_out.csv", 7),
    ]
    assert read.permissions[0].mapping == tmp_path / "mappings/consent.yaml"


def test_the_least_workspace_and_its_places(tmp_path: Path) -> None:
    read = workspace(tmp_path, HEAD)
    assert (read.sites, read.permissions, read.settings.engine) == ((), (), "embedded")
    assert read.registry == tmp_path / "registry.db"
    places = [read.recipes, read.catalog, read.vault, read.deid, read.cohorts, read.releases, read.products]
    assert [place.relative_to(read.root).as_posix() for place in places] == [
        "recipes", "catalog", "vault", "deid", "cohorts", "releases", "products",
    ]  # fmt: skip


def test_a_site_by_its_code(tmp_path: Path) -> None:
    read = workspace(tmp_path, FULL)
    assert read.site("NB02") is read.sites[1]
    with pytest.raises(UsageError, match=r"no site `NB1` .*; did you mean `NB01`\?") as caught:
        read.site("NB1")
    assert caught.value.hint == "Known sites: NB01, NB02."


@pytest.mark.parametrize(
    ("registry", "expected"),
    [("sqlite:///a/b.db", "a/b.db"), ("sqlite:////srv/r.db", "/srv/r.db"), ("/srv/r.db", "/srv/r.db"), ("r", "r")],
)
def test_a_registry_is_a_path_or_an_sqlite_address(tmp_path: Path, registry: str, expected: str) -> None:
    assert workspace(tmp_path, f"{HEAD}registry: {registry}").registry == tmp_path / expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: x", ["1:1: error: key `workspace` is missing in workspace"]),
        ("workspace: 2\nname: x",
         ["1:12: error: `workspace` is the version of this file; this version of pathcurate reads 1"]),
        ("workspace: true\nname: x",
         ["1:12: error: `workspace` is the version of this file; this version of pathcurate reads 1"]),
        (HEAD + "site: []", ["3:1: error: unknown key `site` in workspace; did you mean `sites`?"]),
        (HEAD + "name: y", ["3:1: error: key `name` is given twice (first at line 2)"]),
        (HEAD + "sites: [{code: nb01}, {code: N}, {code: 12}, {}]",
         ["3:16: error: a site code is 2 to 16 of A-Z, 0-9 and _, and starts with a letter",
          "3:30: error: a site code is 2 to 16 of A-Z, 0-9 and _, and starts with a letter",
          "3:41: error: Input should be a valid string (got 12)",
          "3:46: error: key `code` is missing in site"]),
        (HEAD + "sites: [{code: AA, materials: [{}], index: [{path: x, mappings: y}]}]",
         ["3:32: error: key `path` is missing in table source",
          "3:55: error: unknown key `mappings` in table source; did you mean `mapping`?"]),
        (HEAD + "sites: [{code: AA, accession: {patients: ['P(?P<number>[0-9]+)']}}]",
         ["3:43: error: the pattern needs a group (?P<patient>...) and no other"]),
        (HEAD + "sites: [{code: AA, archives: [{name: a, root: /x, reads_per_second: 0, window: w, offline: perhaps}]}]",
         ["3:69: error: Input should be greater than or equal to 1 (got 0)",
          "3:80: error: hours are written 19:00-07:00, from 00:00 to 24:00",
          "3:92: error: Input should be 'skip' or 'read' (got \"perhaps\")"]),
        (HEAD + "sites: [{code: AA, archives: [{name: a, root: /x, reads_per_run: 1.5, window: 7, reads_per_second: '4'}]}]",
         ["3:66: error: Input should be a valid integer (got 1.5)",
          "3:79: error: `window` is text such as \"19:00-07:00\", in quotes",
          "3:100: error: Input should be a valid integer (got \"4\")"]),
        (HEAD + "sites: [{code: AA, archives: [{name: a, root: 's3://bkt', endpoint: 'https://u:p@host'},\n"
         "{name: b, root: 's3://key:secret@bkt/x'}, {name: c, root: /c, endpoint: 'http://h', region: r}]}]",
         ["3:69: error: an endpoint is written https://HOST:PORT",
          "4:17: error: an archive in an object store is written s3://BUCKET/FOLDER, without keys or users"]),
        (HEAD + "sites: [{code: AA, archives: [{name: c, root: /c, endpoint: 'http://h', region: r}]}]",
         ["3:51: error: `endpoint` is for a root in an object store (s3://...)",
          "3:73: error: `region` is for a root in an object store (s3://...)"]),
        (HEAD + "sites:\n- code: AA\n  archives:\n  - {name: a, root: 's3://bkt/2024'}\n"
         "  - {name: b, root: 's3://bkt/2024-old'}\n  - {name: c, root: 's3://bkt/2024/05/'}\n  - {name: d, root: 's3://bkt'}\n"
         "  - {name: e, root: 's3://bkt/2024', endpoint: 'http://h'}\n",
         ["8:21: error: this root lies inside the root at line 6: slides would count twice",
          "9:21: error: this root holds the root at line 6: slides would count twice"]),
        (HEAD + "sites: [{code: AA, archives: ['s3://b/c', {name: a, root: 'gs://b'}, {name: b, root: ''}, /, {name: c}]}]",
         ["3:31: error: an archive in an object store is written s3://BUCKET/FOLDER, without keys or users",
          "3:59: error: an archive in an object store is written s3://BUCKET/FOLDER, without keys or users",
          "3:86: error: the path must not be empty",
          "3:91: error: an archive needs a name without `/`: write {name: ..., root: ...}",
          "3:94: error: key `root` is missing in archive"]),
        (HEAD + "sites: [{code: AA, reports: [{path: x, format: hl7}, {path: y, format: list}, {mapping: m}]}]",
         ["3:72: error: Input should be 'auto', 'lis', 'hl7', 'fhir', 'cda' or 'text' (got \"list\"); did you mean `lis`?",
          "3:79: error: key `path` is missing in report source"]),
        (HEAD + "sites: [{code: AA, accession: {patterns: ['(?<!x)(?P<number>1)', '(?P<numbr>1)', '(?P<year>1)', '(a']}}]",
         ["3:43: error: not an RE2 pattern: invalid perl operator: (?<! (look-around is not portable between engines)",
          "3:66: error: unknown group `numbr`; did you mean `number`?",
          "3:82: error: the pattern needs a group (?P<accession>...) or (?P<number>...)",
          "3:97: error: not an RE2 pattern: missing ): (a"]),
        (HEAD + "sites: [{code: AA, accession: {patterns: []}}]", ["3:42: error: a list must not be empty"]),
        (HEAD + "sites: [{code: AA, rights: {share: 1.5, valid_until: 2028-02-30}}]",
         ["3:28: error: key `holder` is missing in rights",
          "3:36: error: Input should be less than or equal to 1 (got 1.5)",
          "3:54: error: `2028-02-30` is not in the calendar"]),
        (HEAD + "sites: [{code: AA, rights: {holder: x, share: '1', valid_until: 2028}}]",
         ["3:47: error: Input should be a valid number (got \"1\")",
          "3:65: error: must be a date such as 2028-12-31"]),
        (HEAD + "permissions: [{path: x, max_age_days: 0}, {path: y, max_age_days: true}]",
         ["3:39: error: Input should be greater than or equal to 1 (got 0)",
          "3:67: error: Input should be a valid integer (got true)"]),
        (HEAD + "deid: {profil: x}", ["3:8: error: unknown key `profil` in deid; did you mean `profile`?"]),
        *((HEAD + f"engine: {engine}",
           ["3:9: error: `engine` must be embedded, or a Spark Connect server written sc://host:port"])
          for engine in ("spark", "sc://spark", "sc://spark:0", "sc://u:p@spark:15002", "sc://spark:15002/;token=x", "4")),
        (HEAD + "registry: postgresql+psycopg://u@h/d",
         ["3:11: error: a registry on a server is written postgresql://USER@HOST:PORT/DATABASE"]),
        (HEAD + "registry: sqlite://", ["3:11: error: an SQLite registry is written sqlite:///FILE"]),
        (HEAD + "registry: mysql://h/d",
         ["3:11: error: a registry on a server is written postgresql://USER@HOST:PORT/DATABASE"]),
        (HEAD + "registry: '${env:URL}'",
         ["3:11: error: a reference ${...} stands for the password of a registry on a server"]),
        (HEAD + "sites:\n", ["3:1: error: no value is given here"]),
        ("", ["1:1: error: the file is empty"]),
        (HEAD + "sites: [{code: AA}, {code: BB}, {code: AA}]",
         ["3:40: error: site `AA` is given twice (first at line 3)"]),
        (HEAD + "sites:\n- code: AA\n  archives:\n  - {name: b, root: /x}\n  - /a/b\n",
         ["7:5: error: archive `b` is given twice in site AA (first at line 6)"]),
        (HEAD + "sites:\n- code: AA\n  archives: [{name: a, root: /x/y}]\n- code: BB\n  archives:\n"
         "  - {name: b, root: /x/y/z}\n  - {name: c, root: /x/y/../y/}\n  - {name: d, root: /x}\n"
         "  - {name: e, root: /x/yy}\n",
         ["8:21: error: this root lies inside the root at line 5: slides would count twice",
          "9:21: error: this root is the root at line 5: slides would count twice",
          "10:21: error: this root holds the root at line 5: slides would count twice",
          "11:21: error: this root lies inside the root at line 10: slides would count twice"]),
    ],
)  # fmt: skip
def test_every_fault_with_its_place(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert faults(tmp_path, text) == expected


def test_each_archive_has_its_root_at_the_pace_that_it_asks_for(tmp_path: Path) -> None:
    text = (
        HEAD + "sites: [{code: AA, archives: [slides, {name: b, root: more, reads_per_second: 50}, "
        "{name: c, root: 's3://bucket/2024', region: r, endpoint: 'http://h:9'}, {name: d, root: 's3://bkt', "
        "reads_per_run: 5}]}]"
    )
    archives = workspace(tmp_path, text).sites[0].archives
    local, store = LocalRoot(os.fsencode(tmp_path / "slides")), S3Root("bucket", "2024", "http://h:9", "r", 8)
    assert [root_of(archive, connections=8) for archive in archives] == [
        local, LocalRoot(os.fsencode(tmp_path / "more")), store, S3Root("bkt", "", None, None, 8),
    ]  # fmt: skip
    run = tmp_path / "run"
    run.mkdir()
    first, second, third, fourth = (paced_root_of(archive, run, connections=8) for archive in archives)
    assert (first, third) == (local, store)
    assert isinstance(second, PacedRoot)
    assert isinstance(fourth, PacedRoot)
    assert (second.root, second.meter.reads_per_second) == (LocalRoot(os.fsencode(tmp_path / "more")), 50)
    assert (fourth.root, fourth.meter.reads_per_second) == (S3Root("bkt", "", None, None, 8), None)
    # What two archives may read is counted apart.
    assert {path.name for path in run.iterdir()} == {second.meter.path.name, fourth.meter.path.name}
    assert second.meter.path != fourth.meter.path


def test_two_sites_may_use_the_same_archive_name_and_lie_side_by_side(tmp_path: Path) -> None:
    text = HEAD + "sites: [{code: AA, archives: [a/main]}, {code: BB, archives: [b/main, a/main2]}]"
    assert [archive.name for site in workspace(tmp_path, text).sites for archive in site.archives] == [
        "main",
        "main",
        "main2",
    ]


def test_a_password_in_the_file_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        workspace(tmp_path, HEAD + "registry: postgresql://me:hunter2@host/db")
    assert "hunter2" not in str(caught.value)
    assert "postgresql://me:*******@host/db" in str(caught.value)


def test_report_files_by_pattern(tmp_path: Path) -> None:
    root = tmp_path / "a[1]"  # a workspace directory is no pattern
    for name in ("lis/b.csv", "lis/a.csv", "lis/a.txt", "lis/deep/c.csv", "lis/报告[2].csv"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "lis/folder.csv").mkdir()
    other = tmp_path / "other.csv"
    other.touch()
    text = f"""{HEAD}sites:
- code: AA
  reports: [{{path: lis/*.csv}}, {{path: "lis/**/c.csv"}}, {{path: "lis/报告[2].csv"}}, {{path: {other}}}, {{path: no.csv}}]
"""
    sources = workspace(root, text).sites[0].reports
    found = [[os.path.relpath(file, root) for file in source.path.files()] for source in sources]
    assert found == [
        ["lis/a.csv", "lis/b.csv", "lis/报告[2].csv"], ["lis/deep/c.csv"], ["lis/报告[2].csv"], ["../other.csv"], [],
    ]  # fmt: skip


def test_find_workspace_takes_the_nearest(tmp_path: Path) -> None:
    inner = tmp_path / "a/b/c"
    inner.mkdir(parents=True)
    with pytest.raises(UsageError) as caught:
        find_workspace(inner)
    assert "pathcurate init" in caught.value.hint
    (tmp_path / "pathcurate.yaml").touch()
    (tmp_path / "a/pathcurate.yaml").mkdir()  # a directory of that name is none
    assert find_workspace(inner) == tmp_path / "pathcurate.yaml"
    (inner / "pathcurate.yaml").touch()
    assert find_workspace(inner) == inner / "pathcurate.yaml"


def test_a_workspace_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        load_workspace(tmp_path / "pathcurate.yaml")


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("S19-01234-A1-2", ("S", "19", "01234", "A", "1", "2")),
        ("2019-12345", ("", "2019", "12345", None, None, None)),
        ("B201912345", ("B", "2019", "12345", None, None, None)),
        ("2019-01-05", None),
        ("12345678", None),
        ("550E8400-E29B-41D4-A716-446655440000", None),
    ],
)
def test_the_default_accession_patterns(text: str, groups: tuple[str | None, ...] | None) -> None:
    hits = [found for pattern in DEFAULT_PATTERNS if (found := re2.search(pattern, text))]
    assert (hits[0].groups() if hits else None) == groups


COLUMNS = ("accession", "patient_id", "diagnosis", "reported_date", "report_type", "sex")


def mapping_faults(folder: Path, text: str) -> list[str]:
    file = folder / "m.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_mapping(file, COLUMNS)
    return [line.removeprefix(f"{file}:") for line in caught.value.message.splitlines() if line.startswith(f"{file}:")]


def test_a_mapping(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(
        "encoding: GB18030\ncolumns: {accession: 病理号, patient_id: [住院号, 门诊号]}\n"
        "constants: {report_type: primary}\nvalues: {sex: {男: male, 1: male, 02: female, no: unknown}}\n",
        encoding="utf-8",
    )
    mapping = load_mapping(file, COLUMNS)
    assert mapping.encoding == "gb18030"
    assert mapping.columns == {"accession": ("病理号",), "patient_id": ("住院号", "门诊号")}
    assert mapping.constants == {"report_type": "primary"}
    assert mapping.values == {"sex": {"男": "male", "1": "male", "02": "female", "no": "unknown"}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("columns: {acession: x}", ["1:11: error: unknown column `acession`; did you mean `accession`?"]),
        ("constants: {zz: x}\nvalues: {sexx: {a: b}}",
         ["1:13: error: unknown column `zz`", "2:10: error: unknown column `sexx`; did you mean `sex`?"]),
        ("columns: {sex: x}\nconstants: {sex: male}", ["2:13: error: column `sex` is under `columns` too"]),
        ("columns: {sex: [], diagnosis: '', accession: 3}",
         ["1:16: error: a list must not be empty", "1:31: error: the text must not be empty",
          "1:46: error: Input should be a list (got 3)"]),
        ("constants: {sex: 1}", ["1:18: error: Input should be a valid string (got 1)"]),
        ("encoding: gbk2", ["1:11: error: `gbk2` is not a known encoding, such as utf-8 or gb18030"]),
        ("encoding: rot13", ["1:11: error: `rot13` is not a known encoding, such as utf-8 or gb18030"]),
        ("colums: {}", ["1:1: error: unknown key `colums` in mapping; did you mean `columns`?"]),
    ],
)  # fmt: skip
def test_a_mapping_with_faults(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert mapping_faults(tmp_path, text) == expected
