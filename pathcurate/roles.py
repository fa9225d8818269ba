"""Who may do what in a workspace, by owners, groups and permission bits of the operating system; nobody else enforces it.

A curator owns ``catalog/`` and ``vault/``, which are closed to everybody else. Analysts read ``cohorts/`` and ``releases/``,
write recipes, and put requests into ``requests/``; being sticky (POSIX.1-2017, sys/stat.h, ``S_ISVTX``), it keeps each from
touching what others put there. Stewards keep products and the registry. The groups are those of ``roles:`` in
pathcurate.yaml.
"""

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pathcurate.model.attrition import CURATORS_FILES
from pathcurate.workspace import WORKSPACE_FILE, Workspace

REQUESTS_MODE = 0o3770
"""Of ``requests/``: the group writes, what it writes is the group's, and only its owner or the directory's removes it."""
_SHARED_READ, _SHARED_WRITE, _RECIPES_MODE = 0o2750, 0o2770, 0o3775


@dataclass(frozen=True, slots=True)
class RoleFault:
    """What lets somebody do more or less than the role allows.

    Attributes:
        message: what is wrong.
        hint: the commands that put it right.
        is_leak: whether somebody can do more, not less.
    """

    message: str
    hint: str
    is_leak: bool


def is_curator(workspace: Workspace) -> bool:
    """Whether this process may work in ``catalog/`` and ``vault/``, or make them where they are missing."""
    folders = [path for path in (workspace.catalog, workspace.vault) if path.exists()]
    return all(os.access(path, os.R_OK | os.W_OK | os.X_OK) for path in folders or [workspace.root])


def user_name(uid: int) -> str:
    """Login name of a user of the system, by which the audit trail knows them."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def shared_directory(path: Path) -> Path:
    """Make a directory that is as open as the one above it, whatever the umask: that one says who may read."""
    if not path.exists():
        shared_directory(path.parent)
        path.mkdir()
        path.chmod(stat.S_IMODE(path.parent.stat().st_mode))
    return path


def role_faults(workspace: Workspace) -> Iterator[RoleFault]:
    """Where owners, groups and bits are not those of the roles; none if no role is configured."""
    roles = workspace.settings.roles
    for name in filter(None, (roles.curators, roles.analysts, roles.stewards)):
        if _gid(name) is None:
            commands = f"Run `groupadd {name}` and `usermod -aG {name} USER`."
            yield RoleFault(f"the system has no group {name}", commands, is_leak=False)
    if roles == type(roles)():
        return
    for path in (workspace.catalog, workspace.vault):
        yield from _closed(path, roles.curators)
    if workspace.deid.exists() and stat.S_IMODE(workspace.deid.stat().st_mode) & 0o007:
        yield RoleFault("deid/ can be read by everybody", "Run `chmod o= deid`.", True)
    yield from _reachable(workspace.root)
    if roles.analysts is not None:
        yield from _shared(workspace.requests, roles.analysts, REQUESTS_MODE)
        yield from _shared(workspace.recipes, roles.analysts, _RECIPES_MODE)
        for path in (workspace.cohorts, workspace.releases):
            yield from _shared(path, roles.analysts, _SHARED_READ)
    if roles.stewards is not None:
        yield from _shared(workspace.products, roles.stewards, _SHARED_WRITE)
        yield from _registry(workspace, roles.stewards)


def _closed(path: Path, curators: str | None) -> Iterator[RoleFault]:
    if not path.exists():
        return
    state = path.stat()
    if stat.S_IMODE(state.st_mode) != 0o700:
        yield RoleFault(f"{path.name}/ is not closed to all but its owner", f"Run `chmod 700 {path.name}`.", True)
    if curators is not None and _gid(curators) is not None and not _is_member(state.st_uid, curators):
        yield RoleFault(
            f"the owner of {path.name}/ is not in the group {curators}",
            f"Run `chown -R CURATOR {path.name}`, or add its owner to the group.", False,
        )  # fmt: skip


def _reachable(root: Path) -> Iterator[RoleFault]:
    """Everybody with a role has to reach the workspace and to read its file, and there may be two groups of them."""
    if not root.stat().st_mode & stat.S_IXOTH or not (root / WORKSPACE_FILE).stat().st_mode & stat.S_IROTH:
        yield RoleFault(
            f"not everybody with a role can reach the workspace and read {WORKSPACE_FILE}",
            f"Run `chmod o+x .` and `chmod o+r {WORKSPACE_FILE}` there.", False,
        )  # fmt: skip
    if root.stat().st_mode & stat.S_IWOTH:
        yield RoleFault("everybody can put files into the workspace", "Run `chmod o-w .` there.", True)


def _shared(path: Path, group: str, mode: int) -> Iterator[RoleFault]:
    """A directory that a group reads, or writes too; further readers are no fault of one that the group only reads."""
    gid = _gid(group)
    if gid is None:
        return
    name = path.name
    commands = f"Run `mkdir -p {name} && chgrp {group} {name} && chmod {mode:o} {name}`."
    if not path.exists():
        yield RoleFault(f"there is no {name}/ for the group {group}", commands, False)
        return
    state = path.stat()
    bits = stat.S_IMODE(state.st_mode)
    if state.st_gid != gid or bits & mode != mode:
        yield RoleFault(f"{name}/ is not open to the group {group} as its role needs it", commands, False)
    if bits & ~mode & (0o022 if mode == _SHARED_READ else 0o007):
        yield RoleFault(f"{name}/ is open to others than its owner and the group {group}", commands, True)
    if mode == _SHARED_READ and (closed := sum(not _is_readable(item, gid) for item in _open_to_group(path))):
        yield RoleFault(
            f"{closed} files or directories below {name}/ cannot be read by the group {group}",
            f"Run `chgrp -R {group} {name} && chmod -R g+rX {name}`, and set `umask 027` for the curator.", False,
        )  # fmt: skip
    if mode == REQUESTS_MODE and not _is_member(state.st_uid, group):
        yield RoleFault(
            f"the owner of {name}/ is not in the group {group}, and so cannot read what analysts put there",
            f"Run `usermod -aG {group} CURATOR`.", False,
        )  # fmt: skip


def _open_to_group(path: Path) -> Iterator[Path]:
    """What lies below a directory that analysts read, without what of a cohort is the curator's own."""
    for item in path.rglob("*"):
        if not CURATORS_FILES & set(item.relative_to(path).parts):
            yield item


def _registry(workspace: Workspace, group: str) -> Iterator[RoleFault]:
    file, gid = workspace.registry, _gid(group)
    if gid is None or not isinstance(file, Path):  # on a server, its roles say who may write
        return
    if file.parent == workspace.root:
        # SQLite writes its journal beside the file, so whoever writes the registry writes its directory.
        yield RoleFault(
            "the registry lies in the workspace's own directory, where stewards may not write",
            "Give it a directory: `registry: registry/registry.db` in pathcurate.yaml, and move the file there.", False,
        )  # fmt: skip
        return
    for path in (file.parent, file):
        if path.exists() and (path.stat().st_gid != gid or not path.stat().st_mode & stat.S_IWGRP):
            yield RoleFault(
                f"the group {group} cannot write the registry",
                f"Run `chgrp -R {group}` and `chmod -R g+rwX` on its directory.", False,
            )  # fmt: skip
            return


def _is_readable(path: Path, gid: int) -> bool:
    state = path.lstat()
    if state.st_mode & stat.S_IROTH:
        return not stat.S_ISDIR(state.st_mode) or bool(state.st_mode & stat.S_IXOTH)
    wanted = stat.S_IRGRP | (stat.S_IXGRP if stat.S_ISDIR(state.st_mode) else 0)
    return state.st_gid == gid and state.st_mode & wanted == wanted


def _gid(group: str) -> int | None:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def _is_member(uid: int, group: str) -> bool:
    if uid == 0:
        return True  # root reads everything
    entry = grp.getgrnam(group)
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return False
    return user.pw_gid == entry.gr_gid or user.pw_name in entry.gr_mem
