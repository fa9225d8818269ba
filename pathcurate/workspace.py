"""The one door to a workspace: what ``pathcurate.yaml`` says, and where everything lies."""

import glob
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    Strict,
    StringConstraints,
    ValidationInfo,
)

from pathcurate import yamlsource
from pathcurate.errors import UsageError
from pathcurate.model.slide import SITE
from pathcurate.objectstore import Address, checked_endpoint
from pathcurate.pacing import Window
from pathcurate.registryaddress import RegistryAddress
from pathcurate.spacesettings import SpaceSettings, space_problems, without_secrets
from pathcurate.text.accession import checked_patient_pattern, checked_pattern
from pathcurate.yamlsource import Document, Problem, did_you_mean

WORKSPACE_FILE = "pathcurate.yaml"
LANGUAGE = 1
"""The version of the workspace file that is read."""

_GLASS = r"(?:-?(?P<specimen>[A-Z])(?P<block>\d{1,3})?)?(?:-(?P<slide>\d{1,3}))?(?:$|[^0-9A-Z])"
DEFAULT_PATTERNS = (
    r"(?:^|[^0-9A-Z])(?P<prefix>[A-Z]{0,3})(?P<year>(?:19|20)\d{2}|\d{2})-(?P<number>\d{3,7})" + _GLASS,
    r"(?:^|[^0-9A-Z])(?P<prefix>[A-Z]{1,3})(?P<year>(?:19|20)\d{2}|\d{2})(?P<number>\d{4,7})" + _GLASS,
)
"""Accession numbers with a dash after the year, and without one; a site's own patterns take their place."""

EMBEDDED = "embedded"  # the engine of a workspace that names no server
_CONNECT = re.compile(r"sc://(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z_.-]+):([0-9]{1,5})")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def _file_version(value: object) -> int:
    if value is True or not isinstance(value, int) or value != LANGUAGE:
        raise ValueError(f"`workspace` is the version of this file; this version of pathcurate reads {LANGUAGE}")
    return value


def _site_code(code: str) -> str:
    if re.fullmatch(SITE.pattern, code, re.ASCII) is None:
        raise ValueError("a site code is 2 to 16 of A-Z, 0-9 and _, and starts with a letter")
    return code


def _local(text: str) -> str:
    if _ADDRESS.match(text):
        raise ValueError("an address in place of a path is not supported in this version")
    if not text:
        raise ValueError("the path must not be empty")
    return text


def _resolved(text: object, info: ValidationInfo) -> Path:
    if not isinstance(text, str | Path):  # a default is a Path
        raise ValueError("a path must be text")
    # Lexical on purpose: asking the file system would hang every command while one archive's server is away.
    return Path(os.path.normpath(_base(info) / _local(str(text))))


def _base(info: ValidationInfo) -> Path:
    return Path((info.context or {})["base"])


def _pattern_of_files(text: object, info: ValidationInfo) -> "FilePattern":
    if not isinstance(text, str):
        raise ValueError("a path must be text")
    return FilePattern(_base(info), _local(text))


def _archive(value: object) -> object:
    if not isinstance(value, str):
        return value
    return {"name": Path(value).name or value, "root": value}


def _archive_name(name: str) -> str:
    if not name or "/" in name:
        raise ValueError("an archive needs a name without `/`: write {name: ..., root: ...}")
    return name


def _archive_root(text: object, info: ValidationInfo) -> Path | Address:
    if not isinstance(text, str) or _ADDRESS.match(text) is None:
        return _resolved(text, info)
    return Address.parse(text)


def _window(text: object) -> Window:
    if not isinstance(text, str):
        raise ValueError('`window` is text such as "19:00-07:00", in quotes')
    return Window.parse(text)


def _engine(value: object) -> str:
    address = _CONNECT.fullmatch(str(value))
    if value != EMBEDDED and (address is None or not 0 < int(address[1]) < 1 << 16):
        raise ValueError("`engine` must be embedded, or a Spark Connect server written sc://host:port")
    return str(value)


def _registry(value: object, info: ValidationInfo) -> Path | RegistryAddress:
    if isinstance(value, str) and value.startswith("sqlite:"):
        if not value.startswith("sqlite:///"):
            raise ValueError("an SQLite registry is written sqlite:///FILE")
        value = value.removeprefix("sqlite:///")
    elif isinstance(value, str) and re.match(r"[a-z0-9+]+://", value, re.IGNORECASE):
        return RegistryAddress.parse(value, _base(info))
    if "${" in str(value):
        raise ValueError("a reference ${...} stands for the password of a registry on a server")
    return _resolved(value, info)


def _whole_date(value: object) -> date:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError(f"`{value}` is not in the calendar") from None
    raise ValueError("must be a date such as 2028-12-31")


Text = Annotated[str, StringConstraints(min_length=1)]
LocalPath = Annotated[Path, PlainValidator(_resolved)]


@dataclass(frozen=True, slots=True)
class FilePattern:
    """One file or, by ``*``, ``?``, ``[…]`` and ``**``, several.

    Attributes:
        base: directory that a relative pattern starts from.
        text: the pattern as written.
    """

    base: Path
    text: str

    def files(self) -> list[Path]:
        """The files that are there now, sorted; a file with exactly this name wins over what the pattern means."""
        literal = self.base / self.text
        if literal.is_file():
            return [literal]
        # Path.glob refuses absolute patterns, and would read a base directory named [2024] as a pattern.
        found = glob.glob(self.text, root_dir=self.base, recursive=True)  # noqa: PTH207
        return sorted(path for name in found if (path := self.base / name).is_file())


class _Part(BaseModel):
    """What all parts share: unknown keys are errors, and nothing changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Archive(_Part):
    """A named root below which a site's slides lie.

    Attributes:
        name: its name; a slide is known by it and its path below the root.
        root: a directory, or an address in an object store.
        endpoint, region: of an object store, where it answers if it is not Amazon's, and its region.
        reads_per_second: the most that may be read of it at a time by all workers together; None for no limit.
        reads_per_run: how many reads one run may use; None for no limit.
        window: the hours, local time, at which it may be read; None for all.
        offline: what becomes of files whose bytes lie in cold storage: listed without reading, or called back and read.
    """

    name: Annotated[str, AfterValidator(_archive_name)]
    root: Annotated[Path | Address, PlainValidator(_archive_root)]
    endpoint: Annotated[str, AfterValidator(checked_endpoint)] | None = None
    region: Text | None = None
    reads_per_second: Annotated[int, Strict(), Field(ge=1)] | None = None
    reads_per_run: Annotated[int, Strict(), Field(ge=1)] | None = None
    window: Annotated[Window, PlainValidator(_window)] | None = None
    offline: Literal["skip", "read"] = "skip"


class ReportSource(_Part):
    """Exports of a laboratory system."""

    model_config = ConfigDict(title="report source")

    path: Annotated[FilePattern, PlainValidator(_pattern_of_files)]
    format: Literal["auto", "lis", "hl7", "fhir", "cda", "text"] = "auto"
    mapping: LocalPath | None = None


class EventSource(_Part):
    """A table of clinical events; one file may be named by several sources, each with a mapping of its own."""

    model_config = ConfigDict(title="event source")

    path: Annotated[FilePattern, PlainValidator(_pattern_of_files)]
    mapping: LocalPath | None = None


class TableSource(_Part):
    """A table that another system keeps: of blocks and slides, of scanned files, of merged patients."""

    model_config = ConfigDict(title="table source")

    path: Annotated[FilePattern, PlainValidator(_pattern_of_files)]
    mapping: LocalPath | None = None


class AnnotationSource(_Part):
    """Files in which an annotation tool keeps what was drawn on a site's slides."""

    model_config = ConfigDict(title="annotation source")

    path: Annotated[FilePattern, PlainValidator(_pattern_of_files)]
    format: Literal["auto", "geojson", "asap"] = "auto"


class MergeSource(_Part):
    """A list of patients' numbers that are one person's; ``site`` is that of its rows if they do not name one."""

    model_config = ConfigDict(title="merge list")

    path: Annotated[FilePattern, PlainValidator(_pattern_of_files)]
    mapping: LocalPath | None = None
    site: Annotated[str, AfterValidator(_site_code)] | None = None


class Accession(_Part):
    """How a site's numbers are recognised in names, by RE2 patterns tried in order.

    Attributes:
        patterns: of accession numbers.
        patients: of patients' numbers, with a group ``patient``; none unless a site gives them.
    """

    patterns: Annotated[tuple[Annotated[str, AfterValidator(checked_pattern)], ...], Field(min_length=1)] = DEFAULT_PATTERNS
    patients: tuple[Annotated[str, AfterValidator(checked_patient_pattern)], ...] = ()


class Rights(_Part):
    """Who holds the rights in a site's data, and on what paper it may be used."""

    holder: Text
    authorisation: LocalPath | None = None
    valid_until: Annotated[date, PlainValidator(_whole_date)] | None = None
    share: Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)] | None = None


class Site(_Part):
    """One hospital or laboratory.

    ``vocabulary`` names a file of medical words that it uses besides the shipped ones; ``words`` one of its own names, its
    staff, and what else scrubbing its texts must know.
    """

    code: Annotated[str, AfterValidator(_site_code)]
    name: Text | None = None
    archives: tuple[Annotated[Archive, BeforeValidator(_archive)], ...] = ()
    reports: tuple[ReportSource, ...] = ()
    events: tuple[EventSource, ...] = ()
    materials: tuple[TableSource, ...] = ()
    index: tuple[TableSource, ...] = ()
    annotations: tuple[AnnotationSource, ...] = ()
    accession: Accession = Field(default_factory=Accession)
    vocabulary: LocalPath | None = None
    words: LocalPath | None = None
    rights: Rights | None = None


class PermissionSource(_Part):
    """A list of consents or opt-outs; older than ``max_age_days`` it is not trusted."""

    model_config = ConfigDict(title="permission source")

    path: LocalPath
    mapping: LocalPath | None = None
    max_age_days: Annotated[int, Strict(), Field(ge=1)] | None = None


class LinkRules(_Part):
    """How far ``link`` may go.

    Attributes:
        patient_date_days: a slide without a number of its own belongs to a case of its patient only if it was scanned at
            most so many days after the specimen was received; 0 for never.
    """

    model_config = ConfigDict(title="link")

    patient_date_days: Annotated[int, Strict(), Field(ge=0, le=3650)] = 60


class Deid(_Part):
    """How tables and texts are de-identified.

    Attributes:
        profile: the name of a shipped one, or the path of a file.
        risk: path of a file by which the risk of a release is judged, in place of the shipped GB/T 42460.
        files: path of a file with the site's own rules for scrubbing slide files.
    """

    profile: Text = "default"
    risk: Text | None = None
    files: Text | None = None


class Roles(_Part):
    """Groups of the operating system: curators own catalog and vault, analysts ask and read, stewards keep the registry."""

    curators: Text | None = None
    analysts: Text | None = None
    stewards: Text | None = None


class Settings(_Part):
    """The content of ``pathcurate.yaml``; paths are absolute if the file's own is."""

    model_config = ConfigDict(title="workspace", validate_default=True)

    workspace: Annotated[int, PlainValidator(_file_version)]
    name: Text
    sites: tuple[Site, ...] = ()
    permissions: tuple[PermissionSource, ...] = ()
    identities: tuple[MergeSource, ...] = ()
    link: LinkRules = Field(default_factory=LinkRules)
    deid: Deid = Field(default_factory=Deid)
    roles: Roles = Field(default_factory=Roles)
    engine: Annotated[str, PlainValidator(_engine)] = EMBEDDED
    registry: Annotated[Path | RegistryAddress, PlainValidator(_registry)] = Path("registry.db")
    spaces: Mapping[str, SpaceSettings] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace: its root directory and its settings.

    Attributes:
        root: directory that holds ``pathcurate.yaml``.
        settings: what the file says.
        document: the file, for messages about its parts.
    """

    root: Path
    settings: Settings
    document: Document

    @property
    def name(self) -> str:
        """Name of the workspace."""
        return self.settings.name

    @property
    def sites(self) -> tuple[Site, ...]:
        """All sites, in file order."""
        return self.settings.sites

    @property
    def permissions(self) -> tuple[PermissionSource, ...]:
        """Lists of consents and opt-outs, in file order."""
        return self.settings.permissions

    @property
    def recipes(self) -> Path:
        """Cohort recipes."""
        return self.root / "recipes"

    @property
    def catalog(self) -> Path:
        """Identified tables; never leaves the hospital."""
        return self.root / "catalog"

    @property
    def vault(self) -> Path:
        """Key, crosswalk, criterion-only values, audit trail."""
        return self.root / "vault"

    @property
    def deid(self) -> Path:
        """De-identified tables."""
        return self.root / "deid"

    @property
    def criteria(self) -> Path:
        """Criterion-only values that belong to them."""
        return self.vault / "criteria"

    @property
    def pinned(self) -> Mapping[str, int] | None:
        """Snapshots of the catalog that they are made of, for :class:`~pathcurate.tables.Catalog`; None for the newest."""
        return None

    @property
    def cohorts(self) -> Path:
        """One directory per cohort."""
        return self.root / "cohorts"

    @property
    def releases(self) -> Path:
        """One directory per release and version."""
        return self.root / "releases"

    @property
    def requests(self) -> Path:
        """Requests of analysts, and the answers to them."""
        return self.root / "requests"

    @property
    def products(self) -> Path:
        """Product descriptions."""
        return self.root / "products"

    @property
    def registry(self) -> Path | RegistryAddress:
        """The product registry's SQLite file, or where its database is on a server."""
        return self.settings.registry

    def site(self, code: str) -> Site:
        """The site with this code.

        Raises:
            UsageError: the workspace has no such site.
        """
        for site in self.sites:
            if site.code == code:
                return site
        codes = [site.code for site in self.sites]
        known = f"Known sites: {', '.join(codes)}." if codes else f"{WORKSPACE_FILE} lists no sites."
        raise UsageError(f"no site `{code}` in {self.document.name}{did_you_mean(code, codes)}", known)


def find_workspace(start: Path) -> Path:
    """The workspace file in this directory or its nearest parent that has one.

    Args:
        start: an absolute directory.

    Raises:
        UsageError: there is none.
    """
    for directory in (start, *start.parents):
        file = directory / WORKSPACE_FILE
        if file.is_file():
            return file
    raise UsageError(
        f"no {WORKSPACE_FILE} in {start} or any directory above it",
        "Make a workspace with `pathcurate init`, or name one with --workspace DIR.",
    )


def load_workspace(file: Path) -> Workspace:
    """Read a workspace file.

    Args:
        file: the file, with an absolute path.

    Raises:
        UsageError: with all problems and where they are.
    """
    document = without_secrets(yamlsource.load(file, str(file), UsageError))
    settings = yamlsource.validate(document, Settings, UsageError, context={"base": file.parent})
    checks = (_repeated_names, _misplaced_keys, _nested_roots)
    problems = [problem for check in checks for problem in check(document, settings)]
    yamlsource.fail(document, [*problems, *space_problems(document, settings.spaces)], UsageError)
    return Workspace(file.parent, settings, document)


def _repeated_names(document: Document, settings: Settings) -> Iterator[Problem]:
    sites: dict[str, int] = {}
    for index, site in enumerate(settings.sites):
        path = ("sites", index, "code")
        line = document.position(path)[0]
        if site.code in sites:
            yield document.problem(path, f"site `{site.code}` is given twice (first at line {sites[site.code]})")
        sites.setdefault(site.code, line)
        archives: dict[str, int] = {}
        for number, archive in enumerate(site.archives):
            place = ("sites", index, "archives", number, "name")
            if archive.name in archives:
                first = archives[archive.name]
                message = f"archive `{archive.name}` is given twice in site {site.code} (first at line {first})"
                yield document.problem(place, message)
            archives.setdefault(archive.name, document.position(place)[0])


def _archives(settings: Settings) -> Iterator[tuple[tuple[str | int, ...], Archive]]:
    for index, site in enumerate(settings.sites):
        yield from ((("sites", index, "archives", number), archive) for number, archive in enumerate(site.archives))


def _misplaced_keys(document: Document, settings: Settings) -> Iterator[Problem]:
    for place, archive in _archives(settings):
        for key in ("endpoint", "region"):
            if isinstance(archive.root, Path) and getattr(archive, key) is not None:
                yield document.problem((*place, key), f"`{key}` is for a root in an object store (s3://...)", key=True)


def _nested_roots(document: Document, settings: Settings) -> Iterator[Problem]:
    seen: list[tuple[str, int]] = []
    for place, archive in _archives(settings):
        at = (*place, "root")
        own = f"{archive.endpoint or ''}{archive.root}".rstrip("/") + "/"
        for other, line in seen:
            if own.startswith(other) or other.startswith(own):
                how = "is" if own == other else "lies inside" if own.startswith(other) else "holds"
                yield document.problem(at, f"this root {how} the root at line {line}: slides would count twice")
                break
        seen.append((own, document.position(at)[0]))
