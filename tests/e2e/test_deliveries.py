"""Two buyers of one release, on the command line: from the application to the deletion that one of them signs for."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openslide
import pyarrow.parquet as pq
import pytest

from pathcurate.model.link import LINKS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.pseudonyms import internal, product
from pathcurate.tables import Catalog
from pathcurate.vault import open_vault
from pathcurate.workspace import load_workspace
from tests.commandline import Done, pathcurate
from tests.conftest import CHECKOUT
from tests.products import a_pdf

PRODUCT = "demo_he_2023"
BUYERS = ("alpha", "beta")
SECRETS = {
    "steward": "correct horse battery", "compliance": "staple 示例 clerk", "alpha": "alpha lab lamp 1",
    "beta": "beta lab lamp 22",
}  # fmt: skip
CODE = re.compile(rb"\b[A-Z]-[0-9A-HJKMNP-TV-Z]{16}\b")
APPLICATION = """\
application: 1
recipient: {who}
applicant:
  {{name: 示例大学 {who}, kind: university, not_for_profit: true, country: CN, contact: {{name: 王}}, responsible: 李}}
project: {{title: 示例项目, summary: 研究}}
use:
  {{purpose: DUO_0000042, commercial: false, methods: true, trains_models: true, ancestry: false, genetic: false,
   clinical_care: false, publishes: true, collaborates: false, returns_data: true, reports_use: true, gives_on: false,
   exports_raw_images: false, leaves_country: false}}
ethics: {{number: E-1, date: 2026-01-01, valid_until: 2028-12-31}}
environment: tre
period: {{first: 2026-01-01, last: 2028-10-31}}
{keys}
"""


@dataclass(frozen=True)
class Market:
    """A hospital whose release is on offer, and beside it what stewards and buyers have."""

    beside: Path

    @property
    def root(self) -> Path:
        return self.beside / "w"

    def __call__(self, *words: str | Path) -> Done:
        return pathcurate(*words, "-w", self.root)

    def ok(self, *words: str | Path) -> str:
        done = self(*words)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def json(self, *words: str | Path) -> dict[str, Any]:
        document = json.loads(self.ok(*words, "--json"))
        assert isinstance(document, dict)
        return document

    def key(self, who: str) -> list[str | Path]:
        file = self.beside / who / "recipient.pem" if who in BUYERS else self.beside / f"{who}.pem"
        return ["--key", file, "--passphrase-file", self.beside / f"{who}.pass"]

    def contract(self, who: str) -> str:
        return next(path.name for path in (self.root / "products" / "contracts").iterdir() if f"-{who}-" in path.name)

    def deliver(self, who: str, *more: str | Path, disk: str = "") -> list[str | Path]:
        return ["product", "deliver", self.contract(who), "--to", self.beside / (disk or f"disk-{who}"), "--volume-size",
                "3MB", *self.key("steward"), *more]  # fmt: skip

    def receive(self, who: str, to: str, identity: str = "") -> Done:
        return pathcurate(
            "product", "receive", self.beside / f"disk-{who}", "--to", self.beside / to, "--identity",
            self.beside / (identity or who) / "recipient.age", *self.key(identity or who), "--agreement",
            self.beside / f"papers-{who}" / "agreement.json",
        )  # fmt: skip


def _written(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def market(pristine_hospital: Path, tmp_path_factory: pytest.TempPathFactory) -> Market:
    """The release is offered, and both buyers have contracts in force."""
    market = Market(tmp_path_factory.mktemp("market"))
    shutil.copytree(pristine_hospital, market.root)
    shutil.copytree(CHECKOUT / "recipes", market.root / "recipes")
    file = market.root / "pathcurate.yaml"
    file.write_text(file.read_text("utf-8").replace("profile: default", "profile: enclave"), encoding="utf-8")
    market.ok("run", market.root / "recipes" / f"{PRODUCT}.yaml")
    for who, secret in SECRETS.items():
        _written(market.beside / f"{who}.pass", f"{secret}\n")
    for role, name in (("steward", "Li Hua"), ("compliance", "王芳")):
        market.ok("product", "keys", "new", name, "--role", role, "--out", market.beside / f"{role}.pem",
                  "--passphrase-file", market.beside / f"{role}.pass")  # fmt: skip
    market.ok("product", "check", PRODUCT)
    for role in ("steward", "compliance"):
        market.ok("product", "sign", PRODUCT, *market.key(role))
    market.ok("product", "submit", PRODUCT, "--regime", "zj-data-ip", "--to", market.beside / "submission")
    market.ok("product", "receipt", PRODUCT, "--certificate", a_pdf(market.beside / "c.pdf"), "--number", "ZJ-1",
              "--authority", "示例交易所", "--issued", "2026-01-05", *market.key("compliance"))  # fmt: skip
    market.ok("product", "offer", PRODUCT)
    for who in BUYERS:
        _contracted(market, who)
    return market


def _contracted(market: Market, who: str) -> None:
    made = pathcurate("product", "keys", "recipient", "--out-dir", market.beside / who, "--passphrase-file",
                      market.beside / f"{who}.pass")  # fmt: skip
    assert made.returncode == 0, made.stderr
    keys = "\n".join(line for line in made.stdout.splitlines() if re.match("keys:|  (signing|encryption):", line))
    application = _written(market.beside / f"{who}.yaml", APPLICATION.format(who=who, keys=keys))
    market.ok("product", "apply", PRODUCT, "--application", application)
    contract = market.contract(who)
    assert "use and policy: yes" in market.ok("product", "review", contract)
    for role in ("steward", "compliance"):
        market.ok("product", "approve", contract, *market.key(role))
    papers = market.beside / f"papers-{who}"
    market.ok("product", "contract", contract, "--number", f"HT-{who}", "--to", papers, *market.key("steward"))
    assert market("product", "deliver", contract, "--to", market.beside / "x", *market.key("steward")).returncode == 12
    accepted = pathcurate("product", "accept", papers, *market.key(who))
    assert accepted.returncode == 0, accepted.stderr
    market.ok("product", "activate", contract, "--acceptance", papers / "acceptance.json")


def codes_below(directory: Path) -> set[bytes]:
    """Every code in names and bytes of files; in Parquet, in what it holds."""
    found: set[bytes] = set()
    for path in (path for path in directory.rglob("*") if path.is_file()):
        found |= {*CODE.findall(path.name.encode()), *CODE.findall(path.read_bytes())}
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            found |= set(CODE.findall(f"{table.to_pylist()} {table.schema.metadata}".encode()))
    return found


def a_patient(market: Market) -> str:
    """The number of a patient of the release."""
    workspace = load_workspace(market.root / "pathcurate.yaml")
    key, catalog = open_vault(workspace.vault).key, Catalog(workspace.catalog)
    released = pq.read_table(workspace.releases / PRODUCT / "1.0.0" / "data" / "slides.parquet")["slide_id"].to_pylist()
    inside, outside = internal(key).codes, product(key, PRODUCT).codes
    slides = catalog.read(SLIDES, columns=("slide_id",))["slide_id"].to_pylist()
    known = {outside.code("S", inside.code("S", slide)): slide for slide in slides}
    links = {row["slide_id"]: row for row in catalog.read(LINKS).to_pylist()}
    reports = {(row["site"], row["accession"]): row for row in catalog.read(REPORTS).to_pylist()}
    link = links[known[min(released)]]
    return str(reports[link["site"], link["accession"]]["patient_id"])


def checked(directory: Path, name: str) -> None:
    """As somebody checks it who has coreutils and nothing of ours."""
    done = subprocess.run(["sha256sum", "--quiet", "-c", name], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_from_delivery_to_deletion(market: Market, kernels_here: None) -> None:
    # One is cut off twice, and goes on.
    _killed(market, "alpha")
    for who in BUYERS:
        told = market.ok(*market.deliver(who))
        assert "is completed" in told
        assert "as it was before" in market.ok(*market.deliver(who))
        checked(market.beside / f"disk-{who}", "volumes-sha256.txt")
        assert len(list((market.beside / f"disk-{who}").glob("volume-*"))) > 1
    # Nobody else can open it, and nothing is half done.
    assert market.receive("alpha", "stolen", identity="beta").returncode == 11
    assert not (market.beside / "stolen").exists()
    receipts = {}
    for who in BUYERS:
        done = market.receive(who, f"data-{who}")
        assert done.returncode == 0, done.stderr
        checked(market.beside / f"data-{who}", "manifest-sha256.txt")
        receipts[who] = market.beside / f"data-{who}" / "receipt.json"
    mine = {who: codes_below(market.beside / f"data-{who}") for who in BUYERS}
    release = codes_below(market.root / "releases" / PRODUCT / "1.0.0")
    assert min(map(len, (*mine.values(), release))) > 50
    assert mine["alpha"].isdisjoint(mine["beta"])
    assert release.isdisjoint(mine["alpha"] | mine["beta"])
    assert codes_below(market.root / "deid").isdisjoint(mine["alpha"] | mine["beta"])
    slides = pq.read_table(market.beside / "data-alpha" / "data" / "slides.parquet")["slide_id"].to_pylist()
    files = {path.stem: path for path in (market.beside / "data-alpha" / "slides").iterdir()}
    assert set(files) == set(slides)
    for path in files.values():
        with openslide.OpenSlide(path) as slide:
            assert slide.read_region((0, 0), 0, (64, 64)).size == (64, 64)
    _settled(market, receipts)
    _withdrawn(market)


def _killed(market: Market, who: str) -> None:
    """Kill a delivery as soon as a volume is under way, and once more when one is whole."""
    disk = market.beside / f"disk-{who}"
    command = [sys.executable, "-m", "pathcurate", *map(str, market.deliver(who)), "-w", str(market.root)]
    for least in (1, 2):
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        while run.poll() is None and (not disk.is_dir() or len(list(disk.iterdir())) < least):
            time.sleep(0.01)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        assert not (disk / "DELIVERY.json").exists()
    assert market.json("product", "deliveries")["deliveries"][0]["state"] == "started"


def _settled(market: Market, receipts: dict[str, Path]) -> None:
    ids = {who: f"{market.contract(who)}-d1" for who in BUYERS}
    assert market("product", "settle", ids["alpha"], "--reference", "INV 1").returncode == 12
    assert market("product", "acknowledge", ids["alpha"], "--receipt", receipts["beta"]).returncode == 4
    for who in BUYERS:
        market.ok("product", "acknowledge", ids[who], "--receipt", receipts[who])
    assert "as it was before" in market.ok("product", "acknowledge", ids["alpha"], "--receipt", receipts["alpha"])
    market.ok("product", "settle", ids["alpha"], "--reference", "INV 1")
    market.ok("product", "settle", ids["beta"], "--reference", "INV 2", "--amount", "100.01")
    assert market("product", "settle", ids["beta"], "--reference", "INV 3").returncode == 12
    found = market.json("product", "settlement")
    paid = [one["paid"] for one in sorted(found["settled"], key=lambda one: one["delivery"])]
    assert paid == ["27.00", "100.01"]
    assert sum(round(100 * float(one["amount"])) for one in found["totals"]) == 12701
    assert {one["site"] for one in found["totals"]} == {"NB01", "NB02", None}
    assert market.json("product", "verify")["signed_heads"] >= 9


def _withdrawn(market: Market) -> None:
    numbers = _written(market.beside / "numbers.txt", f"{a_patient(market)}\n")
    told = market.ok("product", "withdraw", "--patient", numbers, *market.key("steward"))
    assert all(market.contract(who) in told for who in BUYERS)
    assert numbers.read_text().strip() not in told
    feeds = {}
    for who in BUYERS:
        folder = market.beside / f"papers-{who}"
        for name in ("withdrawals.jsonl", "withdrawals.dsse.json"):
            shutil.copy(market.root / "products" / "contracts" / market.contract(who) / name, folder)
        feeds[who] = folder / "withdrawals.jsonl"
        stale = pathcurate("product", "verify", market.beside / f"data-{who}", "--withdrawals", feeds[who])
        assert stale.returncode == 4
        named = set(CODE.findall(feeds[who].read_bytes()))
        assert named
        assert named < codes_below(market.beside / f"data-{who}") | {b""}
    assert pathcurate("product", "verify", market.beside / "data-alpha", "--withdrawals", feeds["beta"]).returncode == 4
    mine = market.beside / "data-alpha"
    assert pathcurate("product", "purge", mine, "--withdrawals", feeds["alpha"], *market.key("alpha")).returncode == 0
    assert pathcurate("product", "verify", mine, "--withdrawals", feeds["alpha"]).returncode == 0
    checked(mine, "manifest-sha256.txt")
    named = set(CODE.findall(feeds["alpha"].read_bytes()))
    assert not any(code in path.name.encode() for code in named for path in mine.rglob("*"))
    delivery = f"{market.contract('alpha')}-d1"
    assert len(market.json("product", "due")["due"]) == 2
    market.ok("product", "attest", delivery, "--attestation", mine / "deletion.1.json")
    assert [one["name"] for one in market.json("product", "due")["due"]] == [f"{market.contract('beta')}-d1"]
    # The next version is without them, and says so.
    recipe = market.root / "recipes" / f"{PRODUCT}.yaml"
    text = recipe.read_text("utf-8")
    recipe.write_text(text.replace("version: 1.0.0", "version: 1.1.0"), encoding="utf-8")
    market.ok("cohort", recipe)
    small = market("manifest", "build", recipe)
    assert small.returncode == 5
    assert "withdrawal" in small.stderr
    recipe.write_text(text.replace("version: 1.0.0", "version: 2.0.0"), encoding="utf-8")
    market.ok("cohort", recipe)
    market.ok("manifest", "build", recipe)
    assert market.json("manifest", "show", f"{PRODUCT}@2.0.0")["counts"]["patients"] == 16
    # What is delivered from now on is without them too, and costs nothing a second time.
    again = market.ok(*market.deliver("alpha", "--again", "--tables-only", disk="disk-again"))
    assert re.search(r"\b[12] slides_withdrawn", again)
    assert "costs    0.00 CNY" in again
