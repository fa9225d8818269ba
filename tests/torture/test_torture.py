"""The torture itself: a few rounds of it, and that it would see what it looks for."""

import base64
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.built import build_release
from tests.torture import damage
from tests.torture.house import CHILD, Ended, House, copy_tree, found
from tests.torture.invariants import Finished, finished, of_counts, of_ended, of_place
from tests.torture.leaks import Search
from tests.torture.rounds import Reference, Torture, tell
from tests.torture.stages import STAGES
from tests.torture.state import differences, state

NOBODY = Search({"name": "欧阳靖远", "short name": "林慧", "number": "10086001", "stem": "384095"})


@pytest.fixture(scope="module")
def torture(pristine_hospital: Path, tmp_path_factory: pytest.TempPathFactory) -> Torture:
    """A hospital whose events were imported once, undisturbed."""
    house = found(tmp_path_factory.mktemp("torture"), pristine_hospital)
    made = Torture(house, 7, tuple(stage for stage in STAGES if stage.name == "events"), lambda line: None, most_kills=2)
    assert made.make() == []
    return made


def test_a_killed_import_ends_like_an_undisturbed_one(torture: Torture) -> None:
    one = torture.round(1, ("kill",))
    assert one.faults == []
    assert one.kills >= 1, one.told
    assert "1 rounds" in list(tell([one], "--seed 7"))[-1]


@pytest.mark.parametrize("kind", ["disk", "twice", "stores"])
def test_a_disturbed_import_ends_like_an_undisturbed_one(torture: Torture, kind: str) -> None:
    assert torture.round(2, (kind,)).faults == []


def test_a_round_depends_on_seed_and_number_alone(torture: Torture, tmp_path: Path) -> None:
    nothing = Reference(1.0, 5, 0, {}, {})
    (tmp_path / "known").write_text(json.dumps({stage.name: vars_of(nothing) for stage in STAGES}))
    plans = []
    for seed in (7, 7, 8):
        made = Torture(torture._house, seed, STAGES, lambda line: None)
        made.load(tmp_path / "known")
        plans.append([(stage.name, kind) for stage, kind in (made.plan(number, ("kill", "disk")) for number in range(96))])
    assert plans[0] == plans[1] != plans[2]
    assert set(Counter(name for name, _ in plans[0][: len(STAGES)]).values()) == {1}
    assert Counter(kind for _, kind in plans[0])["kill"] > 60


def vars_of(one: Reference) -> dict[str, object]:
    return {name: getattr(one, name) for name in Reference.__dataclass_fields__}


# --- What it would see ---


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A house with a small workspace that has a release."""
    house = House(tmp_path_factory.mktemp("house"))
    house.here.mkdir()
    build_release(house.root)
    house.beside.mkdir()
    return house


@pytest.fixture
def own(whole: House, tmp_path: Path) -> tuple[House, Finished]:
    """A copy to be damaged, and what was finished in it."""
    house = House(tmp_path / "house")
    copy_tree(whole.base, house.base)
    for path in house.here.rglob("*"):
        path.chmod(path.stat().st_mode | 0o200)
    assert list(of_place(house, finished(house), NOBODY, "")) == []
    return house, finished(house)


def _faults(own: tuple[House, Finished]) -> str:
    house, was = own
    return "\n".join(of_place(house, was, NOBODY, ""))


def test_a_partial_release_is_seen(own: tuple[House, Finished]) -> None:
    release = own[0].root / "releases" / "small" / "1.0.0"
    (release / "data" / "slides.parquet").write_bytes(b"PAR1")
    assert "slides.parquet is not what its list says" in _faults(own)
    (release / "extra.txt").write_text("x")
    assert "extra.txt" in _faults(own)
    (release / "manifest-sha256.txt").unlink()
    assert "partial release" in _faults(own)


def test_lost_work_is_seen(own: tuple[House, Finished]) -> None:
    shutil.rmtree(own[0].root / "releases" / "small")
    assert "MANIFEST.json is gone or changed" in _faults(own)


def test_a_damaged_store_is_seen(own: tuple[House, Finished]) -> None:
    root = own[0].root
    trail = root / "vault" / "audit.jsonl"
    trail.write_bytes(trail.read_bytes().replace(b'"actor"', b'"actoR"', 1))
    (root / "vault" / "key").write_bytes(b"")
    (root / "deid" / "slides.parquet").write_bytes(b"")
    (root / "catalog" / "events" / "_log").mkdir(parents=True)
    (root / "catalog" / "events" / "_log" / "00000001.json").write_text("{")
    faults = _faults(own)
    for fault in (
        "lines of the audit trail",
        "the vault cannot be used",
        "not what the seal vouches",
        "table events cannot",
    ):
        assert fault in faults


def _as_parquet(path: Path, value: str) -> None:
    pq.write_table(pa.table({"x": [value]}), path, compression="zstd")


@pytest.mark.parametrize("write", [
    lambda path, value: path.write_text(value, "utf-8"),
    lambda path, value: path.write_bytes(value.encode("gb18030")),
    lambda path, value: path.write_bytes(f"x{value}x".encode("utf-16-le")),
    lambda path, value: path.write_bytes(b"\0" + base64.b64encode(f"ab {value} cd".encode())),
    lambda path, value: path.write_bytes(gzip.compress(f"a {value} b".encode())),
    lambda path, value: path.with_suffix(".json").write_text(json.dumps({"x": value})),
    _as_parquet,
])  # fmt: skip
def test_an_identifier_is_seen_in_any_form(own: tuple[House, Finished], write) -> None:
    write(own[0].beside / "told.txt", "欧阳靖远")
    assert "['name']" in _faults(own)


def test_an_identifier_is_seen_as_a_name_of_a_file_and_not_where_it_belongs(own: tuple[House, Finished]) -> None:
    (own[0].root / "catalog").mkdir(exist_ok=True, mode=0o700)
    (own[0].root / "catalog" / "欧阳靖远").write_text("欧阳靖远")
    assert _faults(own) == ""
    (own[0].beside / "欧阳靖远.svs").write_text("")
    assert "['name']" in _faults(own)


def test_digits_of_a_digest_are_no_number_of_a_patient() -> None:
    digest = "ab384095cd10086001ef"
    assert NOBODY.in_text(f"{digest} 384095-99 1.384095") == set()
    assert NOBODY.in_text("slide 384095, of 10086001") == {"stem", "number"}
    assert NOBODY.in_bytes(bytes(range(256)) + "林慧".encode("gb18030")) == set()
    assert NOBODY.in_bytes("患者林慧".encode("gb18030")) == {"short name"}


def test_a_command_that_falls_over_is_seen() -> None:
    def faults(code: int, stderr: str = "", stdout: str = "") -> str:
        return "\n".join(of_ended(Ended(("scan",), code, stdout, stderr, 0), NOBODY))

    assert faults(14) == ""
    assert "exit code 7" in faults(7)
    assert "exit code -11" in faults(-11)
    assert "fell over" in faults(3, "error: internal error: KeyError at x.py:1")
    assert "streams" in faults(0, "", "slide 384095")


def test_sums_that_do_not_add_up_are_seen(own: tuple[House, Finished]) -> None:
    told = {"walked": 3, "found": 1, "companions": 0, "instances": 0, "others": {".txt": 1}, "statuses": {"ok": 2},
            "read": 1, "unchanged": 0}  # fmt: skip
    faults = list(of_counts(own[0], Ended(("scan",), 0, json.dumps(told), "", 0)))
    assert len(faults) == 3
    assert len(list(of_counts(own[0], Ended(("scan",), 0, "", "", 0)))) == 1


def test_another_state_is_another(own: tuple[House, Finished]) -> None:
    house = own[0]
    before = state(house)
    assert differences(before, state(house)) == []
    (house.root / "deid" / ".slides.parquet.x7d").write_bytes(b"half")
    assert differences(before, state(house)) == ["w/deid/.slides.parquet.x7d"]
    assert differences(before, state(house), frozenset({"w/deid"})) == []


# --- What it does ---


def _child(tmp_path: Path, script: str, **told: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(CHILD), "TORTURE_ROOT": str(tmp_path), **told}
    return subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False, start_new_session=True
    )  # fmt: skip


def test_a_process_dies_at_the_operation_that_was_named(tmp_path: Path) -> None:
    script = f"from pathlib import Path\nfor n in range(5): Path({str(tmp_path)!r}, str(n)).write_text('x')"
    assert _child(tmp_path, script, TORTURE_STEP="4").returncode == -9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2"]
    assert _child(tmp_path, script, TORTURE_COUNT=str(tmp_path / "count")).returncode == 0
    assert (tmp_path / "count").read_text() == "5"


def test_a_process_has_another_time(tmp_path: Path) -> None:
    script = (
        "import time\nfrom datetime import UTC, date, datetime\nfrom pathlib import Path\n"
        "def say(): print(datetime.now(UTC).year, datetime.now().year, date.today().year, time.gmtime().tm_year)\n"
        f"say()\nPath({str(tmp_path)!r}, 'x').touch()\nPath({str(tmp_path)!r}, 'x').write_text('x')\nsay()"
    )
    years = str(60 * 366 * 86_400)
    first, second = _child(tmp_path, script, TORTURE_CLOCK=f"{years}@1").stdout.splitlines()
    assert len({*first.split()}) == len({*second.split()}) == 1
    assert int(second.split()[0]) - int(first.split()[0]) in {59, 60, 61}


def test_the_same_seed_does_the_same_damage() -> None:
    data = random.Random(1).randbytes(3000)
    made = [damage.damaged(data, random.Random(seed)) for seed in range(60)]
    assert made == [damage.damaged(data, random.Random(seed)) for seed in range(60)]
    assert len({how for _, how in made}) == len({way.__name__ for way in damage._WAYS})
    assert all(changed != data for changed, how in made if how in {"flipped", "grown", "nothing", "doubled"})
