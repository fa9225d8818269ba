"""The connector of a data space, as ``pathcurate.yaml`` describes it."""

from collections.abc import Mapping

from pathcurate.errors import UsageError
from pathcurate.registries.edc import KIND, EdcConnector
from pathcurate.spacesettings import SpaceSettings


def connector(name: str, settings: SpaceSettings, environment: Mapping[str, str]) -> EdcConnector:
    """The connector; nothing is asked of it yet.

    Args:
        name: of the space.
        settings: of it.
        environment: where its key may be.

    Raises:
        UsageError: it is no connector, its key cannot be found, or the extra ``edc`` is not installed.
        VaultError: the file of its key is open to others.
    """
    if settings.kind != KIND or settings.address is None or settings.key is None or settings.access_policy is None:
        raise UsageError(f"the space {name} is no connector", "Check `spaces` in pathcurate.yaml.")
    return EdcConnector(
        settings.address,
        settings.key.read(environment),
        name,
        access_policy=settings.access_policy,
        version_address=settings.version_address or "",
        transfer=settings.transfer,
        timeout_s=settings.timeout_s,
        insecure=settings.insecure,
    )
