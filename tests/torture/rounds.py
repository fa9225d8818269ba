"""The rounds: what is done to a stage, and what has to be true afterwards."""

import json
import random
import signal
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.torture import damage, disturb
from tests.torture.house import Ended, House
from tests.torture.invariants import DOCUMENTED, Finished, finished, of_counts, of_ended, of_output, of_place
from tests.torture.leaks import Search, planted
from tests.torture.stages import Stage
from tests.torture.state import differences, state

_DAY = 86_400
_CLOCKS = (-60 * _DAY, -_DAY, -3_600, 3_600, _DAY, 400 * _DAY, -int(56.5 * 365.25) * _DAY, 27_000 * _DAY)
"""Seconds by which a clock is wrong: a month, a day, an hour for the sake of summer, 1970, 2100."""


@dataclass(frozen=True)
class Reference:
    """What an undisturbed run of a stage was like.

    Attributes:
        seconds: how long it took.
        steps: how many file operations it did.
        code: its exit code.
        before: state before it.
        after: state after it.
    """

    seconds: float
    steps: int
    code: int
    before: dict[str, str]
    after: dict[str, str]


@dataclass
class Round:
    """What came of one.

    Attributes:
        number: with the seed it repeats the round.
        stage: its stage.
        kind: what was done to it.
        told: how it was done, in a word or two.
        kills: commands that really died of it.
        faults: invariants that did not hold.
        seconds: how long it took.
    """

    number: int
    stage: str
    kind: str
    told: str = ""
    kills: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Torture:
    """A hospital with the state before each stage, and rounds on it.

    Args:
        house: a made-up hospital, not yet scanned.
        seed: everything that is drawn depends on it and on the round's number alone.
        stages: the stages, in an order in which they can run.
        say: is told how it goes.
        most_kills: in a round.
        corpus: a folder of nasty files, which take the place of the hospital's of the same kind.
    """

    def __init__(
        self,
        house: House,
        seed: int,
        stages: tuple[Stage, ...],
        say: Callable[[str], None],
        *,
        most_kills: int = 6,
        corpus: Path | None = None,
    ) -> None:
        self._house, self._seed, self._stages, self._say, self._most_kills = house, seed, stages, say, most_kills
        self._corpus = tuple(sorted(path for path in corpus.rglob("*") if path.is_file())) if corpus else ()
        self._references: dict[str, Reference] = {}
        self._search = Search(planted(house.root))
        self._kinds: dict[str, Callable[[Stage, Round, random.Random], None]] = {
            "kill": self._killed, "disk": self._full, "clock": self._clock, "modes": self._modes, "twice": self._twice,
            "beside": self._beside, "inputs": self._inputs, "stores": self._stores,
        }  # fmt: skip

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Those that an undisturbed run of could be made."""
        return tuple(stage for stage in self._stages if stage.name in self._references)

    def only(self, names: Collection[str]) -> None:
        """Let rounds be of these stages alone."""
        self._stages = tuple(stage for stage in self._stages if stage.name in names)

    def make(self) -> list[Round]:
        """Run every stage undisturbed, and keep what was before and came after; a round for each that has faults."""
        found = []
        for number, stage in enumerate(self._stages):
            stage.prepare(self._house)
            self._house.keep(f"before/{stage.name}")
            one = self._undisturbed(stage, -1 - number)
            self._say(f"{stage.name:<14} {one.seconds:5.1f} s, {self._references[stage.name].steps} file operations")
            found += [one] if one.faults else []
            if stage.name == "run":
                self._house.bring("before/run")
        return found

    def _undisturbed(self, stage: Stage, number: int) -> Round:
        before, was = state(self._house), finished(self._house)
        count = self._house.base / "count"
        count.unlink(missing_ok=True)
        ended = self._house.run(stage.command(self._house), environment={"TORTURE_COUNT": str(count)})
        one = Round(number, stage.name, "undisturbed", seconds=ended.seconds)
        after = state(self._house)
        self._references[stage.name] = Reference(ended.seconds, int(count.read_text()), ended.code, before, after)
        one.faults += [*of_ended(ended, self._search), *of_place(self._house, was, self._search, stage.name)]
        one.faults += of_counts(self._house, ended) if ended.code == 0 else [f"exit code {ended.code}: {ended.stderr}"]
        return one

    def save(self, path: Path) -> None:
        """Keep what :meth:`make` has found out."""
        path.write_text(json.dumps({name: asdict(one) for name, one in self._references.items()}))

    def load(self, path: Path) -> None:
        """Take what :meth:`make` found out at this place before."""
        self._references = {name: Reference(**one) for name, one in json.loads(path.read_text()).items()}

    def plan(self, number: int, kinds: tuple[str, ...]) -> tuple[Stage, str]:
        """Stage and kind of a round: each lap goes through all stages in an order of its own, mostly to kill them."""
        lap, place = divmod(number, len(self.stages))
        order = list(self.stages)
        random.Random(f"{self._seed}/lap/{lap}").shuffle(order)
        others = [kind for kind in kinds if kind != "kill"]
        if "kill" not in kinds or (others and (lap + place) % 3 == 2):
            return order[place], others[(number // 3 + lap) % len(others)]
        return order[place], "kill"

    def round(self, number: int, kinds: tuple[str, ...]) -> Round:
        """Do one."""
        started = time.monotonic()
        stage, kind = self.plan(number, kinds)
        one = Round(number, stage.name, kind)
        self._house.bring(f"before/{stage.name}")
        try:
            self._kinds[kind](stage, one, random.Random(f"{self._seed}/{number}"))
        except disturb.ImpossibleError as error:
            one.told, one.kind = str(error), f"{kind} (skipped)"
        except Exception as error:  # noqa: BLE001  one round that cannot be judged is no reason not to do the others
            one.faults.append(f"the round fell over: {type(error).__name__}: {error}")
        one.seconds = time.monotonic() - started
        return one

    # --- What is done ---

    def _killed(self, stage: Stage, one: Round, rng: random.Random) -> None:
        """Killed several times, by the clock or at a file operation; each run goes on where the one before died."""
        reference, was = self._references[stage.name], finished(self._house)
        ways = []
        for _ in range(rng.randint(min(3, self._most_kills), self._most_kills)):
            if reference.steps and rng.random() < 0.5:
                step = rng.randint(1, reference.steps)
                ended = self._house.run(stage.command(self._house), environment={"TORTURE_STEP": str(step)})
                ways.append(f"step {step}")
            else:
                delay = rng.uniform(0.05, reference.seconds)
                running = self._house.start(stage.command(self._house))
                ended = disturb.killed_after(running, delay)
                ways.append(f"{delay:.2f} s")
            one.told = ", ".join(ways)
            if ended.code == -signal.SIGKILL:
                one.kills += 1
                one.faults += of_output(ended, self._search)
            else:
                one.faults += of_ended(ended, self._search)
            one.faults += of_place(self._house, was, self._search, stage.name)
            if ended.code >= 0:
                break
        self._completed(stage, one, was)

    def _full(self, stage: Stage, one: Round, rng: random.Random) -> None:
        """On a disk that is full after some bytes; afterwards there is room."""
        was, command = finished(self._house), stage.command(self._house)
        with disturb.small_disk(self._house, f"before/{stage.name}", rng) as (told, limit, make_room):
            one.told = told
            ended = self._house.run(command, file_limit=limit)
            one.faults += [*of_ended(ended, self._search), *of_place(self._house, was, self._search, stage.name)]
            make_room()
            self._completed(stage, one, was)

    def _clock(self, stage: Stage, one: Round, rng: random.Random) -> None:
        """With a clock that is wrong, or becomes so; afterwards it is right."""
        shift, was = rng.choice(_CLOCKS), finished(self._house)
        since = rng.choice((0, rng.randint(1, max(1, self._references[stage.name].steps))))
        one.told = f"{shift / _DAY:+.2f} days from operation {since} on"
        ended = self._house.run(stage.command(self._house), environment={"TORTURE_CLOCK": f"{shift}@{since}"})
        one.faults += [*of_ended(ended, self._search), *of_place(self._house, was, self._search, stage.name)]
        self._completed(stage, one, was, compared=ended.code != 0)

    def _modes(self, stage: Stage, one: Round, rng: random.Random) -> None:
        """With some part of the workspace closed while the command runs, and open again afterwards."""
        was, theirs = finished(self._house), disturb.bound_by_modes(self._house)
        running = theirs.start(stage.command(theirs))
        with disturb.locked_out(theirs, rng, self._references[stage.name].seconds) as told:
            one.told = told
            ended = running.wait()
        one.faults += [*of_ended(ended, self._search), *of_place(self._house, was, self._search, stage.name)]
        self._completed(stage, one, was, theirs)

    def _twice(self, stage: Stage, one: Round, rng: random.Random) -> None:
        """Two of the same, the second a moment later."""
        self._together(stage, stage.command(self._house), one, rng)

    def _beside(self, stage: Stage, one: Round, rng: random.Random) -> None:
        """Another command beside it, which only looks or has nothing to do."""
        looks = [["findings", "list"], ["manifest", "list"], ["doctor"], ["audit", "report"], ["catalog", "check"],
                 ["product", "list"], ["validate", str(self._house.root / "pathcurate.yaml")], ["deid", "plan"],
                 ["describe"], ["product", "verify"]]  # fmt: skip
        words = rng.choice(looks)
        self._together(stage, [*words, "-w", str(self._house.root), "--json"], one, rng)

    def _together(self, stage: Stage, other: list[str], one: Round, rng: random.Random) -> None:
        was, delay = finished(self._house), rng.choice((0.0, rng.uniform(0, self._references[stage.name].seconds)))
        one.told = f"{' '.join(other[:2])} after {delay:.2f} s"
        first = self._house.start(stage.command(self._house))
        time.sleep(delay)
        second = self._house.start(other)
        both = first.wait(), second.wait()
        for ended in both:
            one.faults += of_ended(ended, self._search)
        one.faults += of_place(self._house, was, self._search, stage.name)
        self._completed(stage, one, was)

    def _inputs(self, stage: Stage, one: Round, rng: random.Random) -> None:
        """With damaged files of the hospital; afterwards they are whole again."""
        self._damaged(stage, one, damage.of_inputs(self._house, rng, self._corpus), compared=False)

    def _stores(self, stage: Stage, one: Round, rng: random.Random) -> None:
        """With a damaged file of the workspace's own; afterwards it is as it was, and so is everything else."""
        self._damaged(stage, one, damage.of_stores(self._house, rng), compared=True)

    def _damaged(self, stage: Stage, one: Round, told: str, *, compared: bool) -> None:
        one.told = told
        ended = self._house.run(stage.command(self._house))
        one.faults += of_ended(ended, self._search)
        one.faults += [f"identifiers in {place}" for place in self._search.below(self._house)]
        if ended.code in {0, 1} and not compared:
            one.faults += of_counts(self._house, ended)
        if compared:
            # Whoever has damaged a store puts back a copy of all of it.
            self._house.bring(f"before/{stage.name}")
        self._completed(stage, one, finished(self._house), compared=compared)

    # --- What has to be true ---

    def _completed(
        self, stage: Stage, one: Round, was: Finished, house: House | None = None, *, compared: bool = True
    ) -> None:
        """Let the command come to its end, and compare what it has left with what an undisturbed run has left."""
        house, reference = house or self._house, self._references[stage.name]
        # What was done already may be said to be, from now on.
        codes = DOCUMENTED - {14} if not compared else {0, reference.code, *stage.again}
        ended = house.run(stage.command(house))
        if stage.mend and "interrupted" in ended.stderr:
            house.ok(*stage.mend, "-w", str(house.root))
            ended = house.run(stage.command(house))
        one.faults += of_ended(ended, self._search, frozenset(codes))
        one.faults += of_place(self._house, was, self._search, stage.name)
        if ended.code == 0:
            one.faults += of_counts(self._house, ended)
        if compared:
            one.faults += [f"{name} differs from that of an undisturbed run" for name in self._differs(stage, reference)]
        one.faults = list(dict.fromkeys(one.faults))

    def _differs(self, stage: Stage, reference: Reference) -> Iterator[str]:
        yield from differences(state(self._house), reference.after, stage.differs)


def tell(rounds: list[Round], how: str) -> Iterator[str]:
    """The figures, a line for each stage and one for each kind, and what did not hold.

    Args:
        rounds: what was done.
        how: the options that, with a round's number, do it again.
    """
    for title, of in (("stage", lambda one: one.stage), ("what was done", lambda one: one.kind)):
        yield f"{title:<18} rounds  kills  faults  seconds"
        for name in dict.fromkeys(of(one) for one in rounds):
            mine = [one for one in rounds if of(one) == name]
            yield (
                f"{name:<18} {len(mine):>6} {sum(one.kills for one in mine):>6} {sum(bool(one.faults) for one in mine):>7} "
                f"{sum(one.seconds for one in mine):>8.0f}"
            )
        yield ""
    for one in rounds:
        for fault in one.faults:
            yield f"{how} --round {one.number}: {one.stage}, {one.kind} ({one.told}): {fault}"
    kills = sum(one.kills for one in rounds)
    yield f"{len(rounds)} rounds, {kills} commands killed, {sum(bool(one.faults) for one in rounds)} rounds with faults"


__all__ = ["Ended", "Reference", "Round", "Torture", "tell"]
