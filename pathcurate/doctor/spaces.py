"""Whether the data spaces of a workspace can be used."""

from collections.abc import Iterator, Mapping

from pathcurate.doctor.check import Check, failed
from pathcurate.errors import PathcurateError
from pathcurate.registries.edc.configured import connector
from pathcurate.spacesettings import SpaceSettings, is_local
from pathcurate.workspace import Workspace

_ANSWER_SECONDS = 5.0


def look_at_spaces(workspace: Workspace, environment: Mapping[str, str]) -> Iterator[Check]:
    """Whether each connector answers, takes its key and speaks what we speak; nothing is changed there."""
    for name, settings in workspace.settings.spaces.items():
        if settings.kind == "files":
            yield Check(f"space {name}", "ok", "takes files; nothing is asked")
            continue
        yield _connector(name, settings, environment)
        if any(address.startswith("http:") and not is_local(address) for address in _addresses(settings)):
            yield Check(
                f"way to space {name}", "warning", "it is not encrypted, and the key goes over it",
                "Write https://, unless something else protects the way.",
            )  # fmt: skip


def _connector(name: str, settings: SpaceSettings, environment: Mapping[str, str]) -> Check:
    try:
        quick = settings.model_copy(update={"timeout_s": min(settings.timeout_s, _ANSWER_SECONDS)})
        version = connector(name, quick, environment).check()
    except PathcurateError as error:
        return failed(f"space {name}", error)
    return Check(f"space {name}", "ok", f"the connector answers, takes the key and speaks {version}")


def _addresses(settings: SpaceSettings) -> Iterator[str]:
    yield from (address for address in (settings.address, settings.version_address) if address is not None)
