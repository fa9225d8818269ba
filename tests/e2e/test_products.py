"""The way of a product on the command line, with real keys and the real checks, and two stewards at once."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest

from pathcurate.registries.sql import open_registry
from pathcurate.roles import user_name
from tests.canaries import Search
from tests.commandline import Done, pathcurate
from tests.products import ENDLESS_FILE, ENDLESS_SITES, ETHICS, a_pdf, build_in, make_workspace, renamed

SECRETS = {"steward": "correct horse battery", "compliance": "staple 示例 clerk"}
TODAY = datetime.now(UTC).astimezone().date()


@dataclass(frozen=True)
class Hall:
    """A workspace, and the folder beside it where keys and letters lie."""

    root: Path

    @property
    def beside(self) -> Path:
        return self.root.parent

    def __call__(self, *words: str | Path) -> Done:
        return pathcurate("product", *words, "-w", self.root)

    def ok(self, *words: str | Path) -> str:
        done = self(*words)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def json(self, *words: str | Path) -> dict:  # type: ignore[type-arg]
        document = json.loads(self.ok(*words, "--json"))
        assert isinstance(document, dict)
        return document

    def key(self, role: str) -> list[str]:
        return ["--key", f"{self.beside}/{role}.pem", "--passphrase-file", f"{self.beside}/{role}.pass"]

    def state(self, release: str = "small") -> str:
        return str(self.json("show", release)["state"])

    def letter(self, release: str, number: str) -> list[str | Path]:
        """What an authority sends."""
        pdf = a_pdf(self.beside / "post" / f"{number}.pdf")
        return ["receipt", release, "--certificate", pdf, "--number", number, "--authority", "示例交易所", "--scheme",
                "zj-data-ip", "--issued", str(TODAY), *self.key("compliance")]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Hall:
    """A workspace with a release, and two people who have keys."""
    beside = tmp_path_factory.mktemp("hall")
    root = make_workspace(beside / "w", file=ENDLESS_FILE, sites=ENDLESS_SITES)
    build_in(root)
    hall = Hall(root)
    for role, secret in SECRETS.items():
        file = beside / f"{role}.pass"
        file.touch(0o600)
        file.write_text(f"{secret}\n", encoding="utf-8")
        name = "Li Hua" if role == "steward" else "王芳"
        hall.ok("keys", "new", name, "--role", role, "--out", beside / f"{role}.pem", "--passphrase-file", file)
    return hall


@pytest.fixture
def hall(made: Hall, tmp_path: Path, kernels_here: None) -> Iterator[Hall]:
    shutil.copytree(made.beside, tmp_path / "h")
    yield Hall(tmp_path / "h" / "w")
    assert b"correct horse" not in b"".join(
        path.read_bytes() for path in (tmp_path / "h" / "w").rglob("*") if path.is_file()
    )


def cleared(hall: Hall, release: str = "small") -> None:
    hall.ok("register", release)
    hall.ok("check", release)
    hall.ok("sign", release, *hall.key("steward"))
    hall.ok("sign", release, *hall.key("compliance"))


def test_the_whole_way_of_a_product(hall: Hall) -> None:
    assert "is registered (frozen)" in hall.ok("register", "small")
    assert "as it was before" in hall.ok("register", "small")
    assert "small 1.0.0 is validated (质量通过, validated)" in hall.ok("check", "small", *hall.key("steward"))
    half = hall.ok("sign", "small", *hall.key("steward"))
    assert "1 more signature as compliance" in half
    assert "is compliance_checked (合规通过" in hall.ok("sign", "small", *hall.key("compliance"))
    told = hall.ok("submit", "small", "--regime", "zj-data-ip", "--to", hall.beside / "sub")
    assert "is submitted (登记审核中" in told
    assert (hall.beside / "sub" / "form.json").is_file()
    assert "is public_notice (登记公示中" in hall.ok("receipt", "small", "--says", "notice", "--note", "5 个工作日")
    assert "certificate ZJ-1 of 示例交易所" in hall.ok(*hall.letter("small", "ZJ-1"))
    assert "is offered (已上架" in hall.ok("offer", "small")
    for again in (["check", "small"], ["submit", "small", "--regime", "zj-data-ip", "--to", hall.beside / "sub"]):
        assert hall(*again).returncode == 12
    for again in (["offer", "small"], hall.letter("small", "ZJ-1"), ["sign", "small", *hall.key("steward")]):
        assert "as it was before" in hall.ok(*again)

    shown = hall.ok("show", "small")
    assert "signed   as compliance by 王芳" in shown
    assert "certificate ZJ-1 of 示例交易所" in shown
    assert [one["state"] for one in hall.json("list")["products"]] == ["offered"]
    history = [event["action"] for event in hall.json("history", "small")["events"]]
    assert history == ["register", "check", "sign", "approve", "submit", "notice", "receipt", "offer"]
    assert hall.json("verify") == {"events": 8, "signed_heads": 4, "newest_signed": 6}
    assert "nothing runs out within 90 days" in hall.ok("due")
    assert hall.json("due", "--within", "9999d") == {"due": [], "expired": [], "contracts": []}
    parts = hall.json("statement", "small", "--amount", "100.00")
    assert [part["amount"] for part in parts["parts"]] == ["26.67", "8.33", "65.00"]
    hall.ok("catalog", "--html", hall.beside / "catalog")
    assert "ZJ-1" in (hall.beside / "catalog" / "products" / "small-1.0.0.html").read_text("utf-8")
    assert hall("catalog", "--html", hall.beside / "catalog").returncode == 2
    hall.ok("catalog", "--html", hall.beside / "catalog", "--force")
    assert "is suspended" in hall.ok("suspend", "small", "--reason", "a question")
    assert "is offered" in hall.ok("resume", "small")
    assert "is withdrawn" in hall.ok("withdraw", "small", "--reason", "over")
    assert hall("offer", "small").returncode == 12
    assert hall.json("verify")["events"] == 11
    # The copy of a buyer, with public keys alone.
    shutil.copytree(hall.root / "releases" / "small" / "1.0.0", hall.beside / "bought")
    shutil.copy(hall.root / "trust.yaml", hall.beside / "keys.yaml")
    alone = pathcurate("product", "verify", hall.beside / "bought", "--trust", hall.beside / "keys.yaml")
    assert alone.returncode == 0, alone.stderr
    assert alone.stdout.count("王芳") == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["sign", "small", "--key", "{beside}/steward.pem", "--passphrase-file", "{beside}/compliance.pass"], 11),
        (["sign", "small", "--key", "{beside}/steward.pem"], 2),  # there is no terminal to ask on
        (["sign", "small"], 2), (["submit", "small"], 2), (["receipt", "small"], 2), (["withdraw"], 2),
        (["withdraw", "small", "--site", "NB01", "--reason", "x"], 2), (["show", "smal"], 2), (["check", "other"], 2),
        (["statement", "small", "--amount", "1e999999999"], 2), (["statement", "small", "--amount", "1.001"], 2),
        (["register", "small", "--table", "{beside}/w/consent.csv"], 2),
        (["withdraw", "--site", "XX99", "--reason", "x"], 2),
        (["receipt", "--table", "{beside}/w/consent.csv"], 2), (["submit", "small", "--regime", "x", "--to", "y"], 12),
    ],
)  # fmt: skip
def test_what_cannot_be_done_says_so_and_changes_nothing(words: list[str], code: int, hall: Hall) -> None:
    hall.ok("register", "small")
    with open_registry(hall.root / "registry.db") as registry:
        head = registry.head()
    done = hall(*(word.format(beside=hall.beside) for word in words))
    assert done.returncode == code, done.stderr
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
    assert not any(secret in done.stderr + done.stdout for secret in SECRETS.values())
    with open_registry(hall.root / "registry.db") as registry:
        assert registry.head() == head


def test_a_refusal_says_what_is_lacking_and_how_to_supply_it(hall: Hall) -> None:
    hall.ok("register", "small")
    hall.ok("check", "small")
    file = hall.root / "products" / "small.yaml"
    text = file.read_text("utf-8")
    expired = ENDLESS_FILE.replace(
        ETHICS.replace("2027", "2126"), "ethics: {number: E, date: 2019-01-01, valid_until: 2020-01-01}"
    )
    file.write_text(expired.replace("source: original\n", ""), "utf-8")
    done = hall("sign", "small", *hall.key("steward"))
    assert done.returncode == 6
    assert "the approval of the ethics committee was valid until 2020-01-01" in done.stderr
    assert "nobody says how the data was come by" in done.stderr
    assert "source: original" in done.stderr
    assert "refused, lacking ethics, source_legality" in hall.ok("history", "small")
    lacking = hall.ok("show", "small")
    assert "next: sign, which still needs" in lacking
    file.write_text(text, "utf-8")
    hall.ok("sign", "small", *hall.key("steward"))


def test_a_table_of_products_and_a_folder_of_certificates(hall: Hall) -> None:
    """As an Excel sheet with Chinese heads; then the certificates come, one of them exchanged on the way."""
    names = ["small", "b", "c"]
    for name in names[1:]:
        renamed(hall.root, name)
    book = openpyxl.Workbook()
    for row in (["产品代码", "版本号", "登记类型"], *([name, "1.0.0", "zj-data-ip"] for name in names)):
        book.active.append(row)
    book.save(hall.beside / "table.xlsx")
    register = ["register", "--table", hall.beside / "table.xlsx", "--to", hall.beside / "out", *hall.key("steward"),
                *hall.key("compliance")]  # fmt: skip
    done = hall(*register)
    # `validate` finds that two of them are copies under other names.
    assert done.returncode == 1, done.stderr
    assert "1 product done, 1 of them in this run; 2 refused" in done.stdout
    assert "it breaks rules: " in done.stderr
    assert hall.state() == "submitted"
    again = hall(*register, "--json")
    document = json.loads(again.stdout)
    assert (document["done"], document["changed"], document["refused"]) == (1, 0, 2)

    rows = [["产品代码", "版本号", "登记类型", "证书文件名", "证书编号", "登记机构", "登记日期", "有效期至", "证书SHA256"]]
    folder = hall.beside / "post"
    for name in names:
        a_pdf(folder / f"{name}.pdf")
    from pathcurate.digests import file_sha256

    for name in names:
        digest = file_sha256(folder / f"{name}.pdf")
        rows.append([name, "1.0.0", "zj-data-ip", f"{name}.pdf", f"ZJ-{name}", "示例交易所", str(TODAY), "长期", digest])
    with (hall.beside / "certificates.csv").open("w", encoding="gb18030", newline="") as file:
        csv.writer(file).writerows(rows)
    swapped = a_pdf(folder / "small.pdf", "exchanged").read_bytes()
    receive = ["receipt", "--table", hall.beside / "certificates.csv", "--folder", folder, *hall.key("compliance")]
    done = hall(*receive)
    assert done.returncode == 1
    assert hall.state() == "submitted"
    assert not (hall.root / "products" / "certificates").exists()
    a_pdf(folder / "small.pdf")
    assert (folder / "small.pdf").read_bytes() != swapped
    done = hall(*receive)
    assert hall.state() == "registered"
    assert done.returncode == 1  # of the two others nobody has asked for a certificate
    assert "needs it to be submitted" in done.stderr
    assert hall.json("show", "small")["facts"]["certificate"]["number"] == "ZJ-small"
    hall.ok("verify")
    assert not (Path.cwd() / "b-1.0.0-zj-data-ip").exists()


def test_nothing_of_a_row_and_nobodys_secret_leaves_with_a_product(hall: Hall) -> None:
    """Values of the release's rows are in its tables and in the sample that is approved, and nowhere else."""
    (hall.root / "docs" / "nb02.pdf").write_text("授权书 龘靐齉签字", encoding="utf-8")
    cleared(hall)
    hall.ok("submit", "small", "--regime", "zj-data-ip", "--to", hall.root / "out" / "sub")
    hall.ok(*hall.letter("small", "ZJ-1"))
    hall.ok("offer", "small")
    hall.ok("catalog", "--html", hall.root / "out" / "catalog")
    release = hall.root / "releases" / "small" / "1.0.0"
    rows = pq.read_table(release / "data" / "slides.parquet", columns=["slide_id", "case_id", "patient_id", "group_id"])
    codes = {
        f"{name} {number}": str(value) for name in rows.column_names for number, value in enumerate(rows[name].to_pylist())
    }
    search = Search({**codes, "document": "龘靐齉", "passphrase": SECRETS["steward"], "other": SECRETS["compliance"]})
    assert search.in_tree(release / "data")  # it sees them where they are
    (hall.root / "out" / "attestations").mkdir()
    for path in (hall.root / "registry.db", *(release / "attestations").iterdir()):
        shutil.copy(path, hall.root / "out" / "attestations")
    found = search.in_tree(hall.root / "out")
    assert {path for path in found if "sample/" not in str(path)} == set()
    events = hall.json("history", "small")["events"]
    assert {event["actor"] for event in events} == {user_name(os.getuid())}


def test_a_site_is_withdrawn_with_all_that_holds_rows_of_it(hall: Hall) -> None:
    hall.ok("register", "small")
    told = hall.ok("withdraw", "--site", "NB02", "--reason", "its contract has ended")
    assert "site NB02 is withdrawn: no row of it is built in from now on" in told
    assert "small 1.0.0 is withdrawn" in told
    assert "no registered release holds rows of it" in hall.ok("withdraw", "--site", "NB01", "--reason", "too")


# --- Two at once ---------------------------------------------------------------------------------------------------------


def at_once(*commands: list[str]) -> list[tuple[int, str]]:
    """Run commands in processes of their own, at the same time."""
    starts = [
        subprocess.Popen([sys.executable, "-m", "pathcurate", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, stdin=subprocess.DEVNULL)
        for command in commands
    ]  # fmt: skip
    return [(process.wait(timeout=120), str(process.communicate()[0])) for process in starts]


def test_two_stewards_at_once(hall: Hall) -> None:
    """Each is told the same, or that another run holds the workspace; and what was done was done once."""
    hall.ok("register", "small")
    hall.ok("check", "small")
    where = ["-w", str(hall.root)]
    sign = [["product", "sign", "small", *hall.key(role), *where] for role in ("steward", "compliance")]
    results = at_once(*sign)
    assert {code for code, _ in results} <= {0, 14}, results
    assert 0 in {code for code, _ in results}
    for command in sign:
        assert pathcurate(*command).returncode == 0
    assert hall.state() == "compliance_checked"
    hall.ok("submit", "small", "--regime", "zj-data-ip", "--to", hall.beside / "sub")
    hall.ok(*hall.letter("small", "ZJ-1"))
    results = at_once(*[["product", "offer", "small", *where]] * 2)
    assert {code for code, _ in results} <= {0, 14}, results
    hall.ok("offer", "small")
    history = [event["action"] for event in hall.json("history", "small")["events"]]
    assert history == ["register", "check", "sign", "approve", "submit", "receipt", "offer"]
    hall.ok("verify")
