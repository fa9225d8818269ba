"""Copies of slide and DICOM files without what identifies, each proven before it stands in its place.

The archive is only read. What is done to a file, its format's rules say (:mod:`pathcurate.filerules`); how, its scrubber
(:mod:`pathcurate.scrubbers.files`). A slide that cannot be scrubbed with proof has no copy, and never stops the others.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa

from pathcurate import __version__
from pathcurate.copies.choosing import Chosen, ScrubLayer, Selection, choose, opted_out_of
from pathcurate.copies.kernel import (
    ANNOTATION,
    JOBS,
    OUTCOMES,
    UNFINISHED,
    Outcome,
    ScrubFiles,
    companions,
    job_text,
    lost_job,
    scrub_files,
)
from pathcurate.copies.receipt import conclude, write_maps, write_unknown
from pathcurate.copies.records import Listed, Records, unpacked
from pathcurate.copies.target import demand_target, holding, strays
from pathcurate.copying import can_share
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import InputOutputError, PlanIncompleteError
from pathcurate.filerules import load_rules
from pathcurate.findings import record_findings
from pathcurate.model.column import Action
from pathcurate.model.deidfile import Standing
from pathcurate.model.filerule import FileRules
from pathcurate.model.finding import Finding, Severity
from pathcurate.profiles import load_profile
from pathcurate.roots import root_of
from pathcurate.scrubbers.dicom.directory import write_directory
from pathcurate.scrubbers.files import FORMATS, scrubber_of
from pathcurate.slidefiles import ScrubJob
from pathcurate.storage import LocalRoot, LocalSource, Root, Source, private_directory
from pathcurate.tables import Catalog
from pathcurate.vault import Vault, append_event, open_vault
from pathcurate.verification import demand_seal
from pathcurate.workspace import Workspace

_TIMEOUT: Final = 6 * 3600.0
"""Seconds after which a slide is given up: 100 GB at 5 MB/s."""
_SPARE_BYTES: Final = 64 << 20
_RULES: Final = {
    Standing.QUARANTINED: "deid_files.quarantined", Standing.REFUSED: "deid_files.refused",
    Standing.FAILED: "deid_files.failed",
}  # fmt: skip
_UNREADABLE: Final = (-1, 0)
_OPTED_OUT: Final = "it, its person, case or site has opted out or was withdrawn"


@dataclass(frozen=True, slots=True)
class FilesSummary:
    """What a run did, or a plan would do.

    Attributes:
        layer: whose codes the copies have.
        standings: slides and series by what became of them.
        kept: of those that are done, how many stood there from before.
        formats: slides and series by format.
        deeds: by format, deed and rule: in how many places.
        reasons: why some have no copy, and how many.
        unknown: names that no rule knows, by format and table: how many, never which.
        review: file below ``catalog/review/`` that names them, with rules to choose from; None if there are none.
        left_out: files of shapes that do not go along with their slides.
        bytes_written: of the copies that stand in their place.
        receipt: path of the receipt; None of a plan.
        strays: files among the copies that the receipt does not name: another workspace's, or what somebody put there.
    """

    layer: str
    standings: Mapping[str, int]
    kept: int
    formats: Mapping[str, int]
    deeds: Mapping[str, Mapping[str, int]]
    reasons: Mapping[str, int]
    unknown: Mapping[str, int]
    review: Path | None
    left_out: int
    bytes_written: int
    receipt: Path | None
    strays: int


@dataclass(frozen=True, slots=True)
class FilesRequest:
    """What is asked for.

    Attributes:
        selection: which slides and series.
        target: where the copies go; None to plan only.
        relabel: put a study label in the place of the label.
        convert: write readable copies of closed formats.
    """

    selection: Selection
    target: Path | None
    relabel: bool = False
    convert: bool = False


def scrub(
    workspace: Workspace,
    request: FilesRequest,
    *,
    engine: Embedded,
    actor: str,
    purpose: str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FilesSummary:
    """Plan, or make, proven copies of what is asked for.

    A run that was interrupted goes on: what stands in its place with a record of its proof is left, as long as neither its
    source nor a rule has changed since.

    Args:
        workspace: the workspace.
        request: what is asked.
        engine: of this machine; its processes are given key material.
        actor: who runs it, for the audit trail.
        purpose: why.
        progress: called with how many slides and series are done, and of all.

    Raises:
        PlanIncompleteError: nothing vouches for the de-identified tables, or there is no such cohort.
        UsageError: a listed code is unknown, or the target holds copies in codes of another layer.
        InputOutputError: the target cannot be written, or has not the space; what is done stays.
        VaultError: the key cannot be used.
    """
    demand_seal(workspace)
    vault = open_vault(workspace.vault)
    rules = load_rules(_site_rules(workspace))
    layer, chosen = choose(workspace, request.selection, vault.key)
    if not chosen:
        raise PlanIncompleteError(
            "there are no slides or series to scrub", "The selection is empty; look at the cohort's attrition."
        )
    if request.target is not None:
        demand_target(request.target, workspace, layer.name)
    with contextlib.nullcontext() if request.target is None else holding(request.target):
        return _scrubbed(workspace, request, layer, chosen, rules, vault, engine, actor, purpose, progress)


def _scrubbed(
    workspace: Workspace, request: FilesRequest, layer: ScrubLayer, chosen: Sequence[Chosen], rules: Mapping[str, FileRules],
    vault: Vault, engine: Embedded, actor: str, purpose: str | None, progress: Callable[[int, int], None],
) -> FilesSummary:  # fmt: skip
    run = _Run(workspace, request, layer, rules, engine)
    outcomes = run.outcomes(chosen, progress)
    facts: dict[str, str | int] = {
        "slides": sum(one.kind == "slide" for one in chosen), "series": sum(one.kind == "series" for one in chosen),
        "layer": layer.name, **{str(name): count for name, count in sorted(_standings(outcomes).items())},
        "key": vault.fingerprint, "version": __version__,
    }  # fmt: skip
    receipt, stray = None, 0
    if request.target is not None:
        write_maps(vault, layer.name, chosen, outcomes)
        record_findings(Catalog(workspace.catalog), "deid_files", list(_findings(chosen, outcomes)))
        listed = run.listed(chosen, outcomes)
        stray = strays(request.target, listed)
        try:
            receipt, facts["receipt_sha256"] = conclude(request.target, layer.name, listed)
        except OSError as error:
            run.stop(os.strerror(error.errno or errno.EIO).lower())
    append_event(workspace.vault, actor, "deid files" if request.target else "deid files plan", facts, purpose=purpose)
    review = write_unknown(workspace, {one.code: one.format for one in chosen}, outcomes)
    if run.stopped is not None:
        raise run.stopped
    return _summary(layer, chosen, outcomes, run, review, receipt, stray)


def _site_rules(workspace: Workspace) -> Path | None:
    named = workspace.settings.deid.files
    return None if named is None else workspace.root / named


class _Run:
    """One run over what was chosen.

    Attributes:
        digests: of the rules and the scrubber's version, by format.
        kept: how many copies stood there from before.
        stopped: why the run ended before all was done; None if it did not.
    """

    def __init__(
        self, workspace: Workspace, request: FilesRequest, layer: ScrubLayer, rules: Mapping[str, FileRules],
        engine: Embedded,
    ) -> None:  # fmt: skip
        self._workspace, self._request, self._layer = workspace, request, layer
        self._rules, self._engine = rules, engine
        archives = {(site.code, archive.name): archive for site in workspace.settings.sites for archive in site.archives}
        self._roots: dict[tuple[str, str], Root] = {key: root_of(archive) for key, archive in archives.items()}
        done = load_profile(workspace).treatments()
        self._shows_dates = done["slides.scan_datetime"].action is Action.SHIFT
        self._shows_sex = done["reports.sex"].action is Action.KEEP
        self._records = None if request.target is None else Records(workspace, request.target)
        self.digests = {name: one.digest for name, one in rules.items()}
        self.kept = 0
        self.stopped: InputOutputError | None = None

    def outcomes(self, chosen: Sequence[Chosen], progress: Callable[[int, int], None]) -> dict[str, Outcome]:
        """What became of each, by code."""
        found: dict[str, Outcome] = {}
        waiting: list[Chosen] = []
        made_of: dict[str, str | None] = {}
        for one in chosen:
            refusal = self._refusal(one)
            made_of[one.code] = self._made_of(one) if refusal is None else None
            if (before := self._before(one, refusal, made_of[one.code])) is not None:
                found[one.code] = before
                self.kept += before.standing is Standing.DONE
            else:
                waiting.append(one)
        if self._request.target is not None:
            shutil.rmtree(self._request.target / UNFINISHED, ignore_errors=True)
            self._demand_space(waiting, self._request.target)
            private_directory(self._request.target / UNFINISHED)
        progress(len(found), len(chosen))
        for one, outcome in self._scrubbed(waiting):
            found[one.code] = outcome
            if self._records is not None and outcome.standing is Standing.DONE:
                self._records.keep(Listed(one.code, one.format, self.digests[one.format], outcome), made_of[one.code] or "")
            progress(len(found), len(chosen))
        if self._request.target is not None:
            shutil.rmtree(self._request.target / UNFINISHED, ignore_errors=True)
        return {one.code: found[one.code] for one in chosen if one.code in found}

    def listed(self, chosen: Sequence[Chosen], outcomes: Mapping[str, Outcome]) -> list[Listed]:
        """What the receipt names, by code: what was chosen, and the copies of before that may stay."""
        now = [Listed(one.code, one.format, self.digests.get(one.format), outcomes[one.code])
               for one in chosen if one.code in outcomes]  # fmt: skip
        if self._records is None or self._request.target is None:
            return now
        before = list(self._records.others({one.code for one in chosen}))
        gone = opted_out_of(self._workspace, self._layer, (one.code for one in before))
        for code in sorted(gone):
            self._records.withdraw(code)
        if (self._request.target / "dicom").is_dir():
            try:
                write_directory(self._request.target / "dicom")
            except OSError as error:
                self.stop(os.strerror(error.errno or errno.EIO).lower())
        return sorted([*now, *(one for one in before if one.code not in gone)], key=lambda one: one.code)

    def stop(self, why: str) -> None:
        """End the run, because what failed would fail for all."""
        self.stopped = self.stopped or InputOutputError(
            f"the run ended: {why}",
            "Free space or open the directory for writing, then run the command again; it goes on.",
        )

    def _before(self, one: Chosen, refusal: str | None, made_of: str | None) -> Outcome | None:
        """What is settled before anything is scrubbed; what must not stand there any more goes."""
        refused = None if refusal is None else Outcome(Standing.REFUSED, refusal)
        if self._records is None:
            return refused
        try:
            if not one.opted_out:
                return self._records.standing(one.code, made_of, self.digests.get(one.format)) or refused
            self._records.withdraw(one.code)
        except OSError as error:
            why = os.strerror(error.errno or errno.EIO).lower()
            return Outcome(Standing.FAILED, f"an earlier copy cannot be removed ({why})")
        return refused

    def _refusal(self, one: Chosen) -> str | None:
        if one.opted_out:
            return _OPTED_OUT
        if one.status != "ok":
            return "the catalog does not know it as readable"
        if (one.site, one.archive) not in self._roots:
            return "its archive is not in the workspace's file any more"
        return None if one.format in FORMATS else "no copies can be made of this format"

    def _job(self, one: Chosen) -> ScrubJob:
        return ScrubJob(
            self._roots[one.site, one.archive], one.members, one.format, one.code, one.patient, one.case,
            one.days if self._shows_dates else None, self._layer.codes, self._rules_of(one.format), one.known,
            self._request.relabel, self._request.convert and one.format == "kfb", one.site, one.drawn,
        )  # fmt: skip

    def _row(self, one: Chosen) -> dict[str, str]:
        return {"code": one.code, "job": job_text(self._job(one), _root_name(one))}

    def _rules_of(self, format_: str) -> FileRules:
        """The format's rules; no file tells of a person what the profile keeps from the tables."""
        rules = self._rules[format_]
        if self._shows_sex or "retain_patient" not in rules.options:
            return rules
        return replace(rules, options={**rules.options, "retain_patient": False})

    def _made_of(self, one: Chosen) -> str | None:
        """A digest of what a copy is made of: with any other, it is made again. None if the source cannot be read."""
        scrubber, root = scrubber_of(one.format), self._roots[one.site, one.archive]
        states = [_state(partial(root.open, member)) for member in (*one.members, *_companions(root, one))]
        if _UNREADABLE in states:
            return None
        states += [_state(partial(LocalSource, path)) for path in one.drawn]
        parts = (
            self.digests[one.format], self.digests[ANNOTATION], scrubber.VERSION if scrubber else 0, self._layer.name,
            one.patient, one.case, one.days,
            self._shows_dates, self._shows_sex, self._request.relabel, self._request.convert and one.format == "kfb",
            [value.value for value in one.known], states,
        )  # fmt: skip
        return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()

    def _demand_space(self, waiting: Iterable[Chosen], target: Path) -> None:
        sizes: Counter[tuple[str, str]] = Counter()
        for one in waiting:
            sizes[one.site, one.archive] += one.size
        free = shutil.disk_usage(target).free
        if sum(sizes.values()) + _SPARE_BYTES <= free:
            return
        needed = sum(size for key, size in sizes.items() if not self._shares(self._roots[key], target))
        if needed + _SPARE_BYTES > free:
            raise InputOutputError(
                f"the copies need up to {needed / 1e9:,.1f} GB, and there are {free / 1e9:,.1f} GB free in their directory",
                "Free space, give another directory, or a smaller cohort; nothing was written.",
            )

    def _shares(self, root: Root, target: Path) -> bool:
        """Whether copies share blocks with an archive, so that they need hardly any space."""
        return isinstance(root, LocalRoot) and can_share(Path(os.fsdecode(root.path)), target)

    def _scrubbed(self, waiting: Sequence[Chosen]) -> Iterator[tuple[Chosen, Outcome]]:
        by_code = {one.code: one for one in waiting}

        def batches() -> Iterator[pa.RecordBatch]:
            for one in waiting:
                if self.stopped is None:
                    yield pa.RecordBatch.from_pylist([self._row(one)], schema=JOBS)

        roots = {_root_name(one): self._roots[one.site, one.archive] for one in waiting}
        rules = {name: self._rules_of(name) for name in self._rules}
        spec = ScrubFiles(self._request.target, roots, rules, self._layer.codes)
        for batch in self._engine.run(scrub_files, batches(), spec, OUTCOMES, on_crash=lost_job, timeout=_TIMEOUT):
            for row in batch.to_pylist():
                outcome = unpacked(json.loads(row["outcome"]))
                if outcome.standing is Standing.FAILED and _is_of_target(outcome.reason):
                    self.stop(outcome.reason)
                yield by_code[row["code"]], outcome


def _root_name(one: Chosen) -> str:
    return f"{one.site} {one.archive}"


def _companions(root: Root, one: Chosen) -> list[bytes]:
    try:
        return companions(root, one.format, one.members)
    except (InputOutputError, OSError):
        return []


def _state(opened: Callable[[], AbstractContextManager[Source]]) -> tuple[int, int]:
    """Size and time of writing; of an object store only the size."""
    try:
        with opened() as source:
            path = source.local_path
            return source.size, Path(os.fsdecode(path)).stat().st_mtime_ns if path else 0
    except OSError:
        return _UNREADABLE


def _is_of_target(reason: str) -> bool:
    """Whether what failed for one slide would fail for all."""
    return any(os.strerror(number).lower() in reason for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS))


def _standings(outcomes: Mapping[str, Outcome]) -> Counter[str]:
    return Counter(str(outcome.standing) for outcome in outcomes.values())


def _findings(chosen: Sequence[Chosen], outcomes: Mapping[str, Outcome]) -> Iterator[Finding]:
    for one in chosen:
        outcome = outcomes.get(one.code)
        if outcome is not None and outcome.left_out:
            yield Finding(
                "deid_files.shapes_left_out", Severity.WARNING,
                f"files of shapes that do not go along with the slide: {outcome.left_out}", stage="deid_files",
                site=one.site, table="slides", subject=one.identifier, count=outcome.left_out,
            )  # fmt: skip
        if outcome is None or outcome.standing is Standing.DONE:
            continue
        yield Finding(
            _RULES[outcome.standing],
            Severity.ERROR if outcome.standing is Standing.FAILED else Severity.WARNING,
            f"no copy was made: {outcome.reason}",
            stage="deid_files", site=one.site, table="slides" if one.kind == "slide" else "series", subject=one.identifier,
        )  # fmt: skip


def _summary(
    layer: ScrubLayer, chosen: Sequence[Chosen], outcomes: Mapping[str, Outcome], run: _Run, review: Path | None,
    receipt: Path | None, stray: int,
) -> FilesSummary:  # fmt: skip
    deeds: dict[str, Counter[str]] = {}
    unknown: Counter[str] = Counter()
    for one in chosen:
        outcome = outcomes.get(one.code)
        for deed, rule, count in outcome.deeds if outcome else ():
            deeds.setdefault(one.format, Counter())[f"{deed} {rule}"] += count
        unknown.update({f"{one.format} {item.table}" for item in (outcome.unknown if outcome else ())})
        unknown.update({f"{ANNOTATION} {item.table}" for item in (outcome.unknown_drawn if outcome else ())})
    reasons = Counter(outcome.reason for outcome in outcomes.values() if outcome.reason)
    return FilesSummary(
        layer.name, dict(sorted(_standings(outcomes).items())), run.kept,
        dict(sorted(Counter(one.format for one in chosen).items())),
        {name: dict(sorted(counts.items())) for name, counts in sorted(deeds.items())}, dict(reasons.most_common()),
        dict(sorted(unknown.items())), review,
        sum(outcome.left_out for outcome in outcomes.values()), sum(sum(outcome.sizes) for outcome in outcomes.values()),
        receipt, stray,
    )  # fmt: skip
