"""The commands that are tortured, in the order in which one makes the next possible."""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq

from tests.torture.house import PRODUCT, RECIPE, House

RELEASE = f"releases/{PRODUCT}/1.0.0"
SEALED = "sealed_evaluation"
_APPLICATION = """\
application: 1
recipient: alpha
applicant:
  {name: 示例大学, kind: university, not_for_profit: true, country: CN, contact: {name: 王}, responsible: 李}
project: {title: 示例项目, summary: 研究}
use:
  {purpose: DUO_0000042, commercial: false, methods: true, trains_models: true, ancestry: false, genetic: false,
   clinical_care: false, publishes: true, collaborates: false, returns_data: true, reports_use: true, gives_on: false,
   exports_raw_images: false, leaves_country: false}
ethics: {number: E-1, date: 2026-01-01, valid_until: 2035-12-31}
environment: tre
period: {first: 2026-01-01, last: LAST}
"""


@dataclass(frozen=True)
class Stage:
    """One command.

    Attributes:
        name: short, for the table.
        words: its arguments, without ``-w``.
        prepare: what is done before, undisturbed.
        again: exit codes of a run after one that had come to its end, beside 0.
        differs: beginnings of the names of parts of the state that differ between two undisturbed runs; not compared.
        mend: what has to be done first where a run says that the one before was interrupted.
        needs_workspace: whether it takes ``-w``.
    """

    name: str
    words: Callable[[House], list[str]]
    prepare: Callable[[House], None] = lambda house: None
    again: frozenset[int] = frozenset()
    differs: frozenset[str] = frozenset()
    mend: tuple[str, ...] = ()
    needs_workspace: bool = True

    def command(self, house: House) -> list[str]:
        """The whole call."""
        return [*self.words(house), *(["-w", str(house.root)] if self.needs_workspace else []), "--json"]


def _just(*words: str) -> Callable[[House], list[str]]:
    return lambda house: [word.replace("W/", f"{house.root}/").replace("B/", f"{house.beside}/") for word in words]


def _more_slides(house: House) -> None:
    """A night in the archive: slides that are new, changed, moved and gone."""
    slides = sorted((house.root / "hospital" / "NB03" / "slides").rglob("*.svs"))
    folder = slides[0].parent
    shutil.copyfile(slides[0], folder / "Z19-00171-A2-HE.svs")
    slides[1].rename(folder / f"moved-{slides[1].name}")
    slides[2].unlink()
    with slides[3].open("ab") as out:
        out.write(bytes(512))
    os.utime(slides[4], (1_600_000_000, 1_600_000_000))


def _signers(house: House) -> None:
    for role, name in (("steward", "Li Hua"), ("compliance", "Wang Fang")):
        house.ok("product", "keys", "new", name, "--role", role, "--out", str(house.beside / f"{role}.pem"),
                 "--passphrase-file", str(house.beside / f"{role}.pass"), "-w", str(house.root))  # fmt: skip


def _on_offer(house: House) -> None:
    house.ok("product", "sign", PRODUCT, *house.key("compliance"), "-w", str(house.root))


def _certified(house: House) -> None:
    paper = house.beside / "certificate.pdf"
    paper.write_bytes(b"%PDF-1.4\n% certificate\n%%EOF\n")


def _applied(house: House) -> None:
    """The buyer has keys and has asked for the data."""
    made = house.ok("product", "keys", "recipient", "--out-dir", str(house.beside / "alpha"), "--passphrase-file",
                    str(house.beside / "alpha.pass"))  # fmt: skip
    keys = "\n".join(line for line in made.splitlines() if re.match("keys:|  (signing|encryption):", line))
    file = house.beside / "alpha.yaml"
    last = datetime.now(UTC).date() + timedelta(days=700)
    file.write_text(f"{_APPLICATION.replace('LAST', str(last))}{keys}\n", encoding="utf-8")


def _approved(house: House) -> None:
    here = ["-w", str(house.root)]
    contract = house.contract()
    house.ok("product", "review", contract, *here)
    for role in ("steward", "compliance"):
        house.ok("product", "approve", contract, *house.key(role), *here)


def _accepted(house: House) -> None:
    papers = house.beside / "papers"
    house.ok("product", "accept", str(papers), *house.key("alpha"))
    house.ok("product", "activate", house.contract(), "--acceptance", str(papers / "acceptance.json"), "-w", str(house.root))


def _receive(house: House) -> list[str]:
    return ["product", "receive", str(house.beside / "disk"), "--to", str(house.beside / "data"), "--identity",
            str(house.beside / "alpha" / "recipient.age"), *house.key("alpha"), "--agreement",
            str(house.beside / "papers" / "agreement.json")]  # fmt: skip


def _deliver(house: House) -> list[str]:
    return ["product", "deliver", house.contract(), "--to", str(house.beside / "disk"), "--volume-size", "1MB",
            *house.key("steward")]  # fmt: skip


def _sealed_cohort(house: House) -> None:
    house.ok("cohort", f"{house.root}/recipes/{SEALED}.yaml", "-w", str(house.root))


def _judged(house: House) -> None:
    house.ok("product", "register", SEALED, "-w", str(house.root))
    from pathcurate.registries.sql import open_registry
    from tests.registered import command

    # What an authority needs papers for is tortured with the other product.
    with open_registry(house.root / "registry.db") as registry:
        for name in ("check", "approve", "submit", "receipt"):
            registry.transition(command(name, f"{SEALED}@1.0.0"))
    units = pq.read_table(house.root / "releases" / SEALED / "1.0.0" / "data" / "slides.parquet")["slide_id"].to_pylist()
    rows = "".join(f"{unit},{0.8 if place % 3 else 0.2}\n" for place, unit in enumerate(sorted(units)))
    (house.beside / "answers.csv").write_text(f"slide_id,score\n{rows}", encoding="utf-8")


def _asked(house: House) -> None:
    """An analyst's request lies there. Only its owner makes it one, so whoever runs this is the analyst too."""
    from pathcurate.cohort import read_recipe
    from pathcurate.requests import ask
    from pathcurate.workspace import load_workspace

    (house.root / "requests").mkdir(exist_ok=True)
    (house.root / "requests").chmod(0o3770)
    file = house.root / RECIPE
    source = read_recipe(file)
    ask(load_workspace(house.root / "pathcurate.yaml"), source, file.read_text("utf-8"), dry_run=True, now=datetime.now(UTC))


def _many_nights(house: House) -> None:
    """So many small imports that the catalog is worth compacting."""
    file = house.root / "hospital" / "NB01" / "followup.csv"
    text = file.read_bytes()
    for night in range(9):
        file.write_bytes(text + f"\r\nNIGHT{night}".encode())
        house.run(["events", "import", "-w", str(house.root)])
    file.write_bytes(text)
    house.ok("events", "import", "-w", str(house.root))


def _numbers(house: House) -> None:
    """Two patients of the hospital: one withdraws, one is to be forgotten."""
    answers = json.loads((house.root / "hospital" / "answers.json").read_bytes())
    reports = [row for row in answers["reports"] if row["site"] == "NB01" and row["received"].startswith("2023")]
    numbers = list(dict.fromkeys(row["patient"] for row in reports))
    for name, number in zip(("withdrawn.txt", "forgotten.txt"), numbers, strict=False):
        path = house.beside / name
        path.touch(0o600)
        path.write_text(f"{number}\n", encoding="utf-8")


_IN_PLACE = frozenset({2, 3, 5, 12})
"""What is there already is refused, by whatever name the command has for it."""
_SELECTED_AGAIN = frozenset(f"w/cohorts/{PRODUCT}/{name}" for name in ("previous", "differences", "cohort.json"))
"""What only a second selection leaves, and when the first was."""

STAGES = (
    Stage("run", _just("run", f"W/{RECIPE}"), differs=_SELECTED_AGAIN),
    Stage("scan", _just("scan")),
    Stage("scan again", _just("scan", "--check", "digest", "--report"), _more_slides, differs=frozenset({"w/reports"})),
    Stage("reports", _just("reports", "import")),
    Stage("events", _just("events", "import")),
    Stage("materials", _just("materials", "import")),
    Stage("index", _just("index", "import")),
    Stage("identities", _just("identities", "import")),
    Stage("annotations", _just("annotations", "import")),
    Stage("permissions", _just("permissions", "import")),
    Stage("link", _just("link")),
    Stage("link review", _just("link", "review", "export", "--sample", "2"),
          differs=frozenset({"w/catalog/review", "catalog/link_questions"})),
    Stage("concepts", _just("concepts", "build")),
    Stage("waive", _just("findings", "waive", "--by", "rule=link.no_number", "--reason", "control", "--owner", "Li Wei",
                         "--until", "90d"), again=frozenset({2, 3, 12}), differs=frozenset({"catalog/waivers"})),
    Stage("deid plan", _just("deid", "plan")),
    Stage("deid apply", _just("deid", "apply")),
    Stage("cohort", _just("cohort", f"W/{RECIPE}"), differs=_SELECTED_AGAIN),
    Stage("texts", _just("deid", "apply", "--texts", PRODUCT)),
    Stage("manifest", _just("manifest", "build", f"W/{RECIPE}")),
    Stage("validate", _just("validate", f"W/{RELEASE}")),
    # Nobody holds a lock on the folder of a file that is exported: what a killed run left beside it cannot be told from
    # what another is writing, and stays.
    Stage("describe", _just("describe", "--export", "W/profile.json"), again=_IN_PLACE,
          differs=frozenset({"w/.profile.json"})),
    Stage("export", _just("manifest", "export", PRODUCT, "--to", "csv", "-o", "B/csv"), again=_IN_PLACE),
    Stage("files", _just("deid", "files", "--release", PRODUCT, "--to", "B/copies"),
          differs=frozenset({"w/catalog/files-done"})),
    Stage("register", _just("product", "register", PRODUCT)),
    Stage("check", _just("product", "check", PRODUCT), _signers),
    Stage("sign", lambda house: ["product", "sign", PRODUCT, *house.key("steward")],
          differs=frozenset({f"w/{RELEASE}/attestations"})),
    Stage("submit", _just("product", "submit", PRODUCT, "--regime", "zj-data-ip", "--to", "B/submission"), _on_offer,
          again=_IN_PLACE),
    Stage("receipt", lambda house: ["product", "receipt", PRODUCT, "--certificate", str(house.beside / "certificate.pdf"),
                                    "--number", "ZJ-1", "--authority", "示例交易所", "--issued", "2026-01-05",
                                    *house.key("compliance")], _certified,
          differs=frozenset({f"w/{RELEASE}/attestations"})),
    Stage("offer", _just("product", "offer", PRODUCT)),
    Stage("offers", _just("product", "catalog", "--html", "B/offers"), again=_IN_PLACE),
    Stage("apply", _just("product", "apply", PRODUCT, "--application", "B/alpha.yaml"), _applied),
    Stage("contract", lambda house: ["product", "contract", house.contract(), "--number", "HT-1", "--to",
                                     str(house.beside / "papers"), *house.key("steward")], _approved, again=_IN_PLACE,
          differs=frozenset({"beside/papers", "w/products/contracts"})),
    Stage("deliver", _deliver, _accepted,
          differs=frozenset({"beside/disk", "w/catalog/files-done", "w/products/deliveries"})),
    Stage("receive", _receive, needs_workspace=False, again=_IN_PLACE, differs=frozenset({"beside/data/receipt.json"})),
    Stage("acknowledge", lambda house: ["product", "acknowledge", f"{house.contract()}-d1", "--receipt",
                                        str(house.beside / "data" / "receipt.json")]),
    Stage("settle", lambda house: ["product", "settle", f"{house.contract()}-d1", "--reference", "INV 1"], again=_IN_PLACE),
    Stage("sealed", _just("manifest", "build", f"W/recipes/{SEALED}.yaml"), _sealed_cohort,
          differs=frozenset({"w/vault/sealed"})),
    Stage("evaluate", _just("evaluate", SEALED, "B/answers.csv", "--drawings", "20"), _judged,
          differs=frozenset({"w/evaluations"})),
    Stage("requests", _just("run", "--requests"), _asked),
    Stage("backup", _just("vault", "backup", "--shares", "3", "--threshold", "2", "--to", "B/shares"), again=_IN_PLACE,
          # Killed between the last share and the record: the next run is told that the shares are there, and to take
          # another folder; that record is then not made here.
          differs=frozenset({"beside/shares", "w/vault/backups.json"})),
    Stage("compact", _just("catalog", "compact"), _many_nights),
    Stage("expire", _just("catalog", "expire", "--keep", "1d", "--yes")),
    Stage("withdraw", lambda house: ["product", "withdraw", "--patient", str(house.beside / "withdrawn.txt"),
                                     *house.key("steward")], _numbers),
    Stage("forget file", _just("forget", "--source", "followup.csv", "--yes"), again=frozenset({2, 3}),
          mend=("events", "import")),
    Stage("forget person", _just("forget", "--patient", "@B/forgotten.txt", "--site", "NB01", "--yes"),
          again=frozenset({1, 2, 3}), differs=frozenset({"w/vault/forgotten.json"})),
    Stage("rotate", _just("vault", "rotate", "--reason", "a curator has left"),
          differs=frozenset({"w/deid", "w/vault"})),
    Stage("end", _just("product", "withdraw", PRODUCT, "--reason", "superseded"), again=_IN_PLACE),
)  # fmt: skip
"""All of them. The second begins where the first began: ``run`` does the work of those after it in one go."""
