"""Products for tests: one small workspace of two sites with a release that can be offered, built once and copied."""

import json
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pathcurate import product
from pathcurate.certificates import certificate_of
from pathcurate.cohort import read_recipe, select
from pathcurate.disclosure.lists import record_permission_lists
from pathcurate.engines.embedded import Embedded
from pathcurate.manifest import build
from pathcurate.model.certificate import Certificate
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES, PERMISSION_CODES
from pathcurate.model.manifest import MANIFEST_NAME
from pathcurate.model.product import Entry, Event, State
from pathcurate.model.registration import TestResult
from pathcurate.model.trust import ED25519, TrustedSigner
from pathcurate.product import Moved, Tester
from pathcurate.product.desk import Desk
from pathcurate.registries.sql import open_registry
from pathcurate.registryaddress import RegistryAddress
from pathcurate.releases import find_release, read_release
from pathcurate.rights.sources import read_sources, write_sources
from pathcurate.signing import Ed25519Signer
from pathcurate.tables import from_rows, write_parquet
from pathcurate.trustfile import add_signer
from pathcurate.vault import create_vault
from pathcurate.verification import input_states, write_seal
from pathcurate.workspace import Workspace, load_workspace
from tests.built import PRODUCT, Rows, copy_release, reseal
from tests.registered import no_sync  # noqa: F401 -- a fixture

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
TODAY = NOW.date()
ETHICS = "ethics: {number: 示例伦审1, date: 2025-12-01, valid_until: 2027-01-01}"
FILE = PRODUCT.replace("ethics: {number: 示例伦审1, valid_until: 2126-01-01}", ETHICS)
PAPER = "it may be used"
SITES = """\
workspace: 1
name: two
sites:
  - code: NB01
    rights: {holder: 示例市病理诊断中心, authorisation: docs/nb01.pdf, valid_until: 2027-06-30, share: 0.4}
  - code: NB02
    rights: {holder: 示例市第二医院, authorisation: docs/nb02.pdf, valid_until: 2027-06-30, share: 0.25}
"""
ENDLESS_FILE = FILE.replace(ETHICS, ETHICS.replace("2027", "2126"))
"""For the command line, where it is today, whenever that is."""
ENDLESS_SITES = SITES.replace("2027", "2126")
_RECIPE = """\
recipe: 1
name: small
version: 1.0.0
title: Slides of twelve patients
unit: slide
split: {ratios: {train: 0.5, test: 0.5}}
columns: [slide_id, case_id, patient_id, group_id, site, stain, mpp, split]
"""
PASSED = TestResult(("PC-CHK-001",), (), (), 0, "0.0.1")
FAILED = TestResult((), (), ("PC-SPL-001", "PC-CHK-001"), 13, "0.0.1")


def _rows(patients: int = 12) -> Rows:
    """A case of two slides each; the first two thirds of the patients are of NB01, the others of NB02."""
    rows: Rows = {"slides": [], "cases": [], "patients": [], "reports": []}
    for number in range(patients):
        case, patient, group, report = (f"{kind}-{number:016}" for kind in "CPQR")
        person = {"patient_id": patient, "group_id": group, "sex": "female"}
        owner = {**person, "case_id": case, "site": "NB01" if 3 * number < 2 * patients else "NB02", "age": 40}
        rows["patients"].append({**person, "case_count": 1, "slide_count": 2})
        rows["cases"].append({**owner, "slide_count": 2, "report_count": 1})
        told = {"report_id": report, "report_type": "primary", "status": "final", "is_current": True}
        rows["reports"].append({**owner, **told})
        for glass in range(2):
            slide = {"slide_id": f"S-{2 * number + glass:016}", "status": "ok", "tier": "exact", "stain": "HE"}
            rows["slides"].append({**owner, **slide, "format": "svs", "mpp": 0.25, "level_downsamples": [1.0, 4.0]})
    return rows


def make_workspace(
    root: Path,
    *,
    profile: str = "enclave",
    permissions: bool = True,
    file: str = FILE,
    sites: str = SITES,
    name: str = "small",
) -> Path:
    """A workspace with de-identified tables, papers and a product file; its root. :func:`build_in` makes a release."""
    for folder in ("products", "docs"):
        (root / folder).mkdir(parents=True)
    for site in ("nb01", "nb02"):
        (root / "docs" / f"{site}.pdf").write_text(PAPER)
    (root / "products" / f"{name}.yaml").write_text(file.replace("name: small", f"name: {name}"), encoding="utf-8")
    lists = "permissions: [{path: consent.csv}]\n" if permissions else ""
    (root / "pathcurate.yaml").write_text(f"{sites}deid: {{profile: {profile}}}\n{lists}", encoding="utf-8")
    (root / "consent.csv").write_text("病案号\n", encoding="utf-8")
    workspace = load_workspace(root / "pathcurate.yaml")
    record_permission_lists(workspace)
    vault = create_vault(workspace.vault)
    rows = _rows()
    for each, table in DEID_TABLES.items():
        write_parquet(workspace.deid / f"{each}.parquet", from_rows(table, rows.get(each, ())))
    for each, table in CRITERIA_TABLES.items():
        known = [{key: row.get(key) for key in table.names if key == table.key[0]} for row in rows.get(each, ())]
        write_parquet(vault.criteria / f"{each}.parquet", from_rows(table, known))
    waiver = {"subject": "site", "basis": "waiver", "purposes": ["research"], "data_kinds": ["slides", "reports"],
              "opt_out": False}  # fmt: skip
    codes = from_rows(PERMISSION_CODES, [{**waiver, "subject_code": site} for site in ("NB01", "NB02")])
    write_parquet(vault.criteria / "permissions.parquet", codes)
    write_seal(workspace, input_states(workspace), vault.fingerprint, [])
    return root


def build_in(root: Path, *, version: str = "1.0.0", permissions: bool = True, name: str = "small") -> Path:
    """Build a version of a product in a workspace; its directory."""
    workspace = load_workspace(root / "pathcurate.yaml")
    file = root / f"{name}.recipe.yaml"
    file.write_text(_RECIPE.replace("1.0.0", version).replace("name: small", f"name: {name}"), encoding="utf-8")
    source = read_recipe(file)
    with Embedded(workers=1, temp_directory=root / "spill") as engine:
        select(workspace, engine, source, now=NOW)
    return build(workspace, source, actor="builder", today=TODAY, no_permissions=not permissions).release.directory


def renamed(root: Path, name: str, version: str = "1.0.0", **deid: int | None) -> Path:
    """A release of its own, made of ``small@1.0.0``: other name or version, other digest, the same tables and sources.

    What ``deid`` says is what its manifest says of disclosure.
    """
    workspace = load_workspace(root / "pathcurate.yaml")
    old = read_release(workspace.releases / "small" / "1.0.0")
    directory = copy_release(old.directory, workspace.releases / name / version)
    shutil.rmtree(directory / "attestations", ignore_errors=True)
    manifest = json.loads((directory / MANIFEST_NAME).read_bytes())
    manifest |= {"product": name, "version": version, "deid": {**manifest["deid"], **deid}}
    manifest["urn"] = manifest["urn"].replace(":small:", f":{name}:").replace("1.0.0", version)
    (directory / MANIFEST_NAME).write_text(json.dumps(manifest, ensure_ascii=False), encoding="utf-8")
    reseal(directory)
    sources = read_sources(workspace, "small", "1.0.0", old.digest)
    new = read_release(directory)
    write_sources(workspace, replace(sources, product=name, version=version, release_digest=new.digest))
    said = (root / "products" / "small.yaml").read_text(encoding="utf-8").replace("name: small", f"name: {name}")
    (root / "products" / f"{name}.yaml").write_text(said, encoding="utf-8")
    return directory


class People(NamedTuple):
    """Keys in memory, entered into trust.yaml."""

    steward: Ed25519Signer
    compliance: Ed25519Signer


def key() -> Ed25519Signer:
    return Ed25519Signer(Ed25519PrivateKey.generate())


def enter(root: Path, name: str, roles: Sequence[str], signer: Ed25519Signer | None = None, **days: date) -> Ed25519Signer:
    """Let somebody's signatures count; their key."""
    signer = signer or key()
    public = b64encode(signer.public).decode()
    facts: dict[str, Any] = {"since": TODAY - timedelta(days=400), **days}
    add_signer(root / "trust.yaml", TrustedSigner(name=name, roles=tuple(roles), scheme=ED25519, public=public, **facts))
    return signer


@dataclass
class House:
    """A workspace, who works in it, and what they do there: each verb opens the registry anew, as a command does."""

    root: Path
    people: People
    now: datetime = NOW
    place: Path | RegistryAddress | None = None
    release: str = "small@1.0.0"

    @property
    def workspace(self) -> Workspace:
        return load_workspace(self.root / "pathcurate.yaml")

    def directory(self, release: str = "") -> Path:
        return find_release(self.workspace.releases, release or self.release, self.root)

    @contextmanager
    def desk(self, actor: str = "steward") -> Iterator[Desk]:
        workspace = self.workspace
        with open_registry(self.place or self.root / "registry.db") as registry:
            yield Desk(workspace, registry, actor, self.now)

    def register(self, release: str = "") -> tuple[Entry, bool]:
        with self.desk() as desk:
            return product.register(desk.registry, self.directory(release), actor=desk.actor, now=desk.now)

    def check(self, release: str = "", *, tester: Tester = lambda _: PASSED, signer: Ed25519Signer | None = None) -> Moved:
        with self.desk() as desk:
            return product.check(desk, self.directory(release), tester, signer)

    def sign(self, signer: Ed25519Signer, release: str = "", role: str | None = None) -> Moved:
        with self.desk() as desk:
            return product.sign(desk, self.directory(release), signer, role)

    def submit(self, release: str = "", *, regime: str = "zj-data-ip") -> Moved:
        with self.desk() as desk:
            directory = self.directory(release)
            target = self.root / "submissions" / f"{directory.parent.name}-{directory.name}-{regime}"
            return product.submit(desk, directory, regime, target)[0]

    def receipt(
        self, release: str = "", *, signer: Ed25519Signer | None = None, pdf: Path | None = None, **parts: Any
    ) -> Moved:
        name = release or self.release
        given, file = self.certificate(name, pdf=pdf, **parts)
        with self.desk() as desk:
            return product.receipt(desk, self.directory(name), given, file, signer or self.people.compliance)

    def certificate(self, release: str = "", *, pdf: Path | None = None, **parts: Any) -> tuple[Certificate, Path]:
        """What an authority gives for a release: a PDF of its own."""
        release = release or self.release
        facts: dict[str, Any] = {"number": f"A-{release}", "authority": "示例交易所", "issued": TODAY, **parts}
        file = pdf or a_pdf(self.root.parent / "post" / f"{release}-{facts['number']}.pdf".replace("/", "-"))
        return certificate_of(file, release=release, scheme="zj-data-ip", **facts), file

    def offer(self, release: str = "") -> Moved:
        with self.desk() as desk:
            return product.offer(desk, self.directory(release))

    def cleared(self, release: str = "") -> None:
        self.register(release)
        self.check(release)
        self.sign(self.people.steward, release)
        self.sign(self.people.compliance, release)

    def registered(self, release: str = "", **parts: Any) -> None:
        self.cleared(release)
        self.submit(release)
        self.receipt(release, **parts)

    def offered(self, release: str = "", **parts: Any) -> None:
        self.registered(release, **parts)
        self.offer(release)

    def entry(self, release: str = "") -> Entry:
        name, _, version = (release or self.release).partition("@")
        with self.desk() as desk:
            entry = desk.registry.get(name, version)
        assert entry is not None
        return entry

    def state(self, release: str = "") -> State:
        return self.entry(release).state

    def events(self, release: str = "") -> list[Event]:
        name, _, version = (release or self.release).partition("@")
        with self.desk() as desk:
            return desk.registry.history(name, version)

    def head(self) -> tuple[int, str]:
        with self.desk() as desk:
            return desk.registry.head()

    def faults(self) -> list[str]:
        with self.desk() as desk:
            return desk.registry.verify()

    def edit(self, name: str, old: str, new: str) -> None:
        """Change what a file of the workspace says."""
        file = self.root / name
        text = file.read_text(encoding="utf-8")
        assert old in text, old
        file.write_text(text.replace(old, new), encoding="utf-8")

    def says(self, old: str, new: str) -> None:
        """Change what people say of the product."""
        self.edit("products/small.yaml", old, new)


def a_pdf(path: Path, text: str = "") -> Path:
    """A file that is a PDF as far as anybody here looks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(f"%PDF-1.4\n% {text or path.name}\n%%EOF\n".encode())
    return path


def digest_of(path: Path) -> str:
    return f"sha256:{sha256(path.read_bytes()).hexdigest()}"


def actions(events: Sequence[Event]) -> list[str]:
    """What was done, refusals marked."""
    return [("!" if "refused" in event.payload else "") + event.action for event in events]


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a directory, but for the registry, which is asked itself."""
    files = (path for path in root.rglob("*") if path.is_file() and not path.name.startswith(("registry.db", ".lock")))
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


class Houses:
    """Workspaces whose ``small@1.0.0`` has come to a state; each is brought there once, and copied."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, House] = {}

    def at(self, state: str, to: Path) -> House:
        """A copy of the one whose release is in a state; of ``new`` ones it is not registered."""
        house = self._at(state)
        shutil.copytree(house.root, to)
        return House(to, house.people)

    def _at(self, state: str) -> House:
        if state not in self._made:
            root = self._folder / state
            if state == "new":
                make_workspace(root)
                build_in(root)
                people = People(enter(root, "Li Hua", ["steward"]), enter(root, "王芳", ["compliance"]))
                self._made[state] = House(root, people)
            else:
                before, step = _STEPS[state]
                self._made[state] = self.at(before, root)
                step(self._made[state])
        return self._made[state]


_STEPS: Mapping[str, tuple[str, Callable[[House], object]]] = {
    "frozen": ("new", House.register), "validated": ("frozen", House.check),
    "compliance_checked": ("validated", lambda house: [house.sign(one) for one in house.people]),
    "submitted": ("compliance_checked", House.submit), "registered": ("submitted", House.receipt),
    "offered": ("registered", House.offer),
}  # fmt: skip
At = Callable[[str], House]


@pytest.fixture(scope="session")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Houses:
    return Houses(tmp_path_factory.mktemp("products"))


@pytest.fixture
def at(houses: Houses, tmp_path: Path, no_sync: None) -> At:  # noqa: F811
    """A workspace of the test's own whose release is in a state."""
    return lambda state: houses.at(state, tmp_path / "w")
