"""slide_keys: made anew or only brought up to date, the table is the same."""

import random

import pyarrow as pa
import pytest

from pathcurate.model.slide import SLIDE_KEYS
from pathcurate.scan import keys
from pathcurate.tables import from_rows
from tests.archives import Desk, tiff


def table(rng, count):
    rows = [
        {"slide_id": f"S-{rng.randrange(40):02}", "site": rng.choice(["NB01", "NB02"]), "key": f"S23-{rng.randrange(9)}",
         "source": rng.choice(["barcode", "file_name"]), "raw": "x"}
        for _ in range(count)
    ]  # fmt: skip
    return from_rows(SLIDE_KEYS, rows).sort_by(keys._ORDER)


def pieces(rows, rng):
    while rows.num_rows:
        size = rng.randrange(1, 6)
        yield rows.slice(0, size)
        rows = rows.slice(size)


@pytest.mark.parametrize("seed", range(40))
def test_two_sorted_streams_become_one_whatever_their_pieces(seed):
    rng = random.Random(seed)
    one, other = table(rng, rng.randrange(30)), table(rng, rng.randrange(30))
    batches = (batch for piece in pieces(other, rng) for batch in piece.combine_chunks().to_batches())
    merged = pa.concat_tables(keys._merged(pieces(one, rng), batches))
    assert merged.equals(pa.concat_tables([one, other]).sort_by(keys._ORDER))


def test_only_what_was_written_since_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "_BATCH_ROWS", 7)
    desk = Desk(tmp_path)
    rng = random.Random(1)
    for number in range(60):
        desk.put(f"{number % 5}/S23-{rng.randrange(1000, 1040):05}-A1 {number}.svs", tiff(number))
    desk.scan()
    for step in range(6):
        names = sorted(desk.main.rglob("*.svs"))
        names[rng.randrange(len(names))].unlink()
        moved = names[rng.randrange(20, 40)]
        if moved.exists():
            moved.rename(desk.main / f"S22-{step + 2000}-B2 moved.svs")
        desk.put(f"new/S23-{rng.randrange(1000, 1040):05} {step}.svs", tiff(100 + step))
        desk.scan()
        brought_up_to_date = desk.catalog.read(SLIDE_KEYS)
        monkeypatch.setattr("pathcurate.tables.Catalog.parts_of", lambda self, table, state: None)
        desk.put(f"again/{step}.txt", b"")
        (desk.workspace_directory / "catalog" / "slide_keys" / "_made_of.json").unlink(missing_ok=True)
        desk.put(f"again/S21-{step + 3000}.svs", tiff(200 + step))
        desk.scan()
        monkeypatch.undo()
        monkeypatch.setattr(keys, "_BATCH_ROWS", 7)
        made_anew = desk.catalog.read(SLIDE_KEYS)
        extra = made_anew.num_rows - brought_up_to_date.num_rows
        assert extra == 1
        rows = [row for row in made_anew.to_pylist() if not row["key"].startswith("S21-" + str(step + 3000))]
        assert rows == brought_up_to_date.to_pylist()
