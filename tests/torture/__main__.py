"""``python -m tests.torture``: see :mod:`tests.torture`."""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.torture.disturb import PRIVATE
from tests.torture.house import House, clear, found
from tests.torture.rounds import Round, Torture, tell
from tests.torture.stages import STAGES

KINDS = ("kill", "disk", "clock", "modes", "twice", "beside", "inputs", "stores")


def main() -> int:
    """Run it; 1 if an invariant did not hold or the kills are too few."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="when no new round begins any more")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=200, help="commands that have to die, at least")
    parser.add_argument("--stages", help="only these, with commas between; those before them are run once")
    parser.add_argument("--kinds", default=",".join(KINDS), help="only these, with commas between")
    parser.add_argument("--round", type=int, action="append", help="only this round, to repeat it; can be given again")
    parser.add_argument("--corpus", type=Path, help="folder of nasty files that take the place of the hospital's")
    parser.add_argument("--base", type=Path, help="keep everything in this folder, and begin with what is there")
    parser.add_argument("--json", type=Path, help="write all rounds to this file")
    given = parser.parse_args()
    _to_private_mounts()
    base = given.base or Path(tempfile.mkdtemp(prefix="torture-"))
    try:
        return _torture(given, base)
    finally:
        if given.base is None:
            clear(base)
            shutil.rmtree(base, ignore_errors=True)


def _to_private_mounts() -> None:
    """Begin again where mounts are nobody else's, if that can be done here."""
    if PRIVATE in os.environ:
        return
    tool = shutil.which("unshare") if os.geteuid() == 0 else None
    if tool is not None and os.spawnv(os.P_WAIT, tool, ["unshare", "--mount", "true"]) == 0:  # noqa: S606
        os.environ[PRIVATE] = "yes"
        os.execv(tool, ["unshare", "--mount", "--", sys.executable, "-m", "tests.torture", *sys.argv[1:]])  # noqa: S606
    os.environ[PRIVATE] = "no"


def _torture(given: argparse.Namespace, base: Path) -> int:
    until = time.monotonic() + 60 * given.minutes
    base.mkdir(parents=True, exist_ok=True)
    base.chmod(0o755)
    known = base / "references.json"
    if known.is_file():
        house = House(base)
        house.bring(f"before/{STAGES[0].name}")
    elif any(base.iterdir()):
        _say(f"{base} is not empty, and holds no references.json of an earlier run")
        return 2
    else:
        house = found(base)
    wanted = given.stages.split(",") if given.stages else [stage.name for stage in STAGES]
    torture = Torture(house, given.seed, STAGES, _say, corpus=given.corpus)
    rounds: list[Round] = []
    if known.is_file():
        torture.load(known)
    else:
        rounds += torture.make()
        torture.save(known)
    for one in rounds:
        _show(one)
    torture.only(wanted)
    kinds = tuple(given.kinds.split(","))
    for number in given.round or range(1_000_000):
        if time.monotonic() > until:
            break
        one = torture.round(number, kinds)
        rounds.append(one)
        _show(one)
        if given.json:
            given.json.write_text(json.dumps([asdict(each) for each in rounds], ensure_ascii=False, indent=1))
    stages = f" --stages '{given.stages}'" if given.stages else ""
    for line in tell(rounds, f"--seed {given.seed} --kinds {given.kinds}{stages}"):
        _say(line)
    kills = sum(one.kills for one in rounds)
    if not given.round and kills < given.kills:
        _say(f"too few: {kills} of {given.kills} kills")
        return 1
    return int(any(one.faults for one in rounds))


def _show(one: Round) -> None:
    _say(f"{one.number:>4} {one.stage:<14} {one.kind:<8} {one.seconds:5.1f} s  {one.told}")
    for fault in one.faults:
        _say(f"       ! {fault}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  this is a command


if __name__ == "__main__":
    sys.exit(main())
