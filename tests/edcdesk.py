"""What tests of the connector share: an offering, how a listing of it is named there, and a connector to a server."""

from typing import Any

from pathcurate.dataspace.bodies import refs_of
from pathcurate.registries.edc import EdcConnector
from tests.edcserver import ACCESS, EdcServer
from tests.unit.offerings import an_offering

OFFERING = an_offering()
REFS = refs_of(OFFERING.asset_id)
KEY = "k3y-that-nobody-may-see"
OWN = "https://pathcurate.example/odrl#"
ODRL = "http://www.w3.org/ns/odrl/2/"
WHOLE = {
    "assets": [REFS["asset"]],
    "policydefinitions": [REFS["contract_policy"]],
    "contractdefinitions": [REFS["contract_definition"]],
}  # fmt: skip
PARTS = ["assets", "policydefinitions", "contractdefinitions"]


def connector(server: EdcServer, **changes: Any) -> EdcConnector:
    """A connector to the server; ``address`` and ``key`` among the changes replace its own."""
    settings = {"access_policy": ACCESS, "timeout_s": 5.0, "pause_s": 0, **changes}
    key = settings.pop("key", KEY)
    return EdcConnector(settings.pop("address", server.address), key, "hub", **settings)


def posts(server: EdcServer) -> list[str]:
    """The collections that something was posted to, in order."""
    return [path.removeprefix("/v4/") for method, path in server.calls if method == "POST" and path.count("/") == 2]
