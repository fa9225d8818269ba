"""Permissions hold by the day of the place where the data is used: in China it begins eight hours before that of UTC."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from pathcurate import cohort
from pathcurate.cli import session
from pathcurate.cli.session import Session
from pathcurate.cohort import read_recipe
from pathcurate.engines import Engine
from pathcurate.product import register
from pathcurate.registries.sql import open_registry
from pathcurate.tables import read_parquet
from tests.built import build_release

sys.path.append(str(Path(__file__).parent))

from drawn_hospital import draw

CHINA = timezone(timedelta(hours=8))
HOSPITAL = """
cases
case
C1
C2

permissions
subject | code | from       | to
person  | P1   | 2026-05-21 | -
person  | P2   | -          | 2026-05-20
"""


@pytest.fixture
def _in_china(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_in_china")
def test_the_present_of_a_command_is_local_and_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Clock":
            assert tz is UTC
            return cls(2026, 5, 20, 16, 30, tzinfo=UTC)

    monkeypatch.setattr(session, "datetime", Clock)
    now = Session(None, as_json=False, quiet=False, verbose=False).now
    assert now.utcoffset() == timedelta(hours=8)
    assert now == datetime(2026, 5, 20, 16, 30, tzinfo=UTC)
    assert now.date().isoformat() == "2026-05-21"


@pytest.mark.parametrize(
    ("now", "kept"),
    [(datetime(2026, 5, 21, 0, 30, tzinfo=CHINA), 1), (datetime(2026, 5, 20, 16, 30, tzinfo=UTC), 1),
     (datetime(2026, 5, 20, 23, 59, tzinfo=CHINA), 1)],
)  # fmt: skip
def test_a_permission_begins_and_ends_with_the_day_as_given(
    tmp_path: Path, engine: Engine, now: datetime, kept: int
) -> None:
    workspace = draw(HOSPITAL).workspace(tmp_path)
    (tmp_path / "r.yaml").write_text(
        "recipe: 1\nname: r\nversion: 1.0.0\ntitle: r\nunit: case\ncolumns: [case_id, patient_id]\n"
    )
    result = cohort.select(workspace, engine, read_recipe(tmp_path / "r.yaml"), now=now)
    assert result.attrition.kept.cases == kept
    assert result.directory is not None
    begins = now.date().isoformat() == "2026-05-21"
    row = read_parquet(result.directory / "cohort.parquet").to_pylist()[0]
    assert row["patient_id"] == f"P-{1 if begins else 2:016d}"


def test_a_registration_is_recorded_in_utc(tmp_path: Path) -> None:
    release = build_release(tmp_path)
    with open_registry(tmp_path / "r.db") as registry:
        entry, _ = register(registry, release, actor="tester", now=datetime(2026, 5, 21, 1, 2, 3, tzinfo=CHINA))
    assert entry.registered_at == "2026-05-20T17:02:03+00:00"
