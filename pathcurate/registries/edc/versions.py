"""Which version of the management API a connector speaks; only version 4 will do."""

from collections.abc import Iterator, Mapping
from typing import Any

from pathcurate.dataspace.bodies import query_body
from pathcurate.errors import InputOutputError
from pathcurate.registries.edc.calls import Calls

API = "v4"
_KNOWN = {"v3": "version 3", "v4beta": "version 4 beta", "v5beta": "version 5 beta"}
_MOST = 50


def demand_version(calls: Calls, version_address: str) -> str:
    """The version that is spoken, if the connector offers it.

    Args:
        calls: to the connector.
        version_address: of its version API; empty to ask the management API itself.

    Raises:
        InputOutputError: it offers others only, or does not answer as a connector.
        VaultError: it does not take the key.
    """
    if version_address:
        return _by_version_api(calls, version_address)
    answer = calls.ask(f"/{API}/assets/request", query_body(limit=1))
    if answer.status == 200 and isinstance(answer.body, list):
        return API
    if answer.status in {404, 405, 410}:
        other = calls.ask("/v3/assets/request", {"@context": {"@vocab": "https://w3id.org/edc/v0.0.1/ns/"}, "limit": 1})
        raise _unfit(calls, ["v3"] if other.status == 200 and isinstance(other.body, list) else [])
    raise calls.trouble(f"does not answer a question as version 4 does ({calls.said(answer)})", _ASK)


_ASK = "Ask its operator for the management API of version 4, and give its address in pathcurate.yaml."


def _by_version_api(calls: Calls, address: str) -> str:
    answer = calls.get("/v1/version", address=address, with_key=False)
    offered = answer.body.get("management") if answer.status == 200 and isinstance(answer.body, Mapping) else None
    if not isinstance(offered, list):
        raise calls.trouble("does not say its versions", "Check `version_address` of the space in pathcurate.yaml.")
    paths = list(_paths(offered))
    if API not in paths:
        raise _unfit(calls, paths)
    return API


def _paths(offered: list[Any]) -> Iterator[str]:
    for each in offered[:_MOST]:
        path = each.get("urlPath") if isinstance(each, Mapping) else None
        version = each.get("version") if isinstance(each, Mapping) else None
        if isinstance(path, str) and isinstance(version, str):
            name = path.strip("/")
            # A path that is called so and says another version is none that this program knows.
            if name != API or version.startswith("4."):
                yield name


def _unfit(calls: Calls, paths: list[str]) -> InputOutputError:
    known = [_KNOWN[path] for path in paths if path in _KNOWN]
    told = f"; it offers {', '.join(known)} only" if known else ""
    return calls.trouble(f"does not speak version 4 of the management API{told}", _ASK)
