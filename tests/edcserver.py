"""A connector's management API for tests: strict about every body, and as badly behaved as a test asks for.

What it takes for a right body is in ``edcbodies``.
"""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import unquote

from tests.edcbodies import CHECKS, OPERATORS, V2, WrongBodyError, check_plan_request, check_query, demand

ODRL = "http://www.w3.org/ns/odrl/2/"
BASE = "/api/management"
KINDS = {"assets": "Asset", "policydefinitions": "PolicyDefinition", "contractdefinitions": "ContractDefinition"}
ACCESS = "members"


# --- What it gives back ------------------------------------------------------------------------------------------------


def expanded(term: str) -> str:
    if term.startswith("odrl:"):
        return ODRL + term[5:]
    return ODRL + term if term in {*OPERATORS, "use"} else term


def compacted(policy: Any) -> Any:
    """A policy as EDC gives it back: lists of one stand alone here and there, and names come with their prefix."""
    if isinstance(policy, dict):
        node = {}
        for key, value in policy.items():
            shown = compacted(value)
            if key in {"permission", "prohibition", "obligation", "constraint"}:
                node[f"odrl:{key}"] = shown[0] if len(shown) == 1 else shown
            elif key in {"action", "leftOperand", "operator"}:
                node[f"odrl:{key}"] = {"@id": expanded(value).replace(ODRL, "odrl:")}
            elif key in {"duty", "and", "rightOperand"}:
                node[f"odrl:{key}"] = shown
            else:
                node[key] = shown
        return node
    return [compacted(each) for each in policy] if isinstance(policy, list) else policy


def plan_of(policy: dict[str, Any], scope: str, unbound: set[str]) -> dict[str, Any]:
    """An evaluation plan as ``PolicyEvaluationPlanner`` makes it."""

    def atom(constraint: dict[str, Any]) -> dict[str, Any]:
        if "and" in constraint:
            return {"@type": "AndConstraintStep", "constraintSteps": [atom(each) for each in constraint["and"]]}
        left = expanded(constraint["leftOperand"])
        reasons = [f"leftOperand '{left}' is not bound to scope '{scope}'"] if left in unbound else []
        step = {
            "@type": "AtomicConstraintStep", "isFiltered": bool(reasons), "filteringReasons": reasons,
            "functionParams": [f"'{left}'", constraint["operator"].upper(), f"'{constraint['rightOperand']}'"],
        }  # fmt: skip
        return step if reasons else {**step, "functionName": "CelExpressionFunction"}

    def rule(kind: str, node: dict[str, Any]) -> dict[str, Any]:
        action = expanded(node["action"])
        reasons = [f"action '{action}' is not bound to scope '{scope}'"] if action in unbound else []
        step = {
            "@type": kind, "isFiltered": bool(reasons), "filteringReasons": reasons, "ruleFunctions": [],
            "constraintSteps": [atom(each) for each in node.get("constraint", [])],
        }  # fmt: skip
        if kind == "PermissionStep":
            step["dutySteps"] = [rule("DutyStep", each) for each in node.get("duty", [])]
        return step

    return {
        "@context": [V2], "@type": "PolicyEvaluationPlan", "preValidators": [], "postValidators": [],
        "permissionSteps": [rule("PermissionStep", each) for each in policy.get("permission", [])],
        "prohibitionSteps": [rule("ProhibitionStep", each) for each in policy.get("prohibition", [])],
        "obligationSteps": [rule("DutyStep", each) for each in policy.get("obligation", [])],
    }  # fmt: skip


# --- The server --------------------------------------------------------------------------------------------------------


@dataclass
class Fault:
    """Something that goes wrong.

    Attributes:
        method: of the request that it befalls.
        path: what its path contains; with ``$`` at the end, how it ends.
        how: ``status`` with ``status``; ``drop``: hangs up without a word; ``made``: does it, then hangs up; ``late``: does
            it and answers 500; ``hang``: answers nothing; ``drip``: answers a byte at a time, and after two
            seconds ``content``; ``body``: answers
            200 with ``content``; ``redirect``; ``huge``; ``gzip``.
        times: how often.
        status: for ``status``.
        content: for ``body`` and ``status``: bytes.
        before: called when it happens.
    """

    method: str
    path: str
    how: str
    times: int = 1
    status: int = 500
    content: bytes = b""
    before: Callable[[], None] = lambda: None

    def befalls(self, method: str, path: str) -> bool:
        """Whether it is this request's turn."""
        is_there = path.endswith(self.path[:-1]) if self.path.endswith("$") else self.path in path
        return self.times > 0 and self.method == method and is_there


@dataclass
class EdcServer:
    """A connector on this machine, while the context lasts.

    Attributes:
        key: that it asks for.
        versions: ``urlPath`` of the versions of the management API that it has.
        stored: what it holds, by kind and id; an access policy :data:`ACCESS` from the start.
        calls: method and path of each request in order, without the base.
        keys: values of ``X-Api-Key`` that came, one for each request.
        faults: what goes wrong, each as often as it says.
        unbound: IRIs that nobody bound, by scope; ``*`` for all.
        plans: changes each plan before it is sent.
        keeps: changes each policy before it is kept, as a connector that drops what it does not know.
        invalid: whether ``validate`` finds policies wrong.
        agreements: by asset id, how many there are.
        transfers: by asset id, states of the transfers.
        visible: at each change: whether any asset could be seen by others.
    """

    key: str = "secret-key"
    versions: tuple[str, ...] = ("/v4",)
    stored: dict[str, dict[str, Any]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    calls: list[tuple[str, str]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    unbound: dict[str, set[str]] = field(default_factory=dict)
    plans: Callable[[dict[str, Any]], Any] = lambda plan: plan
    keeps: Callable[[dict[str, Any]], dict[str, Any]] = lambda policy: policy
    invalid: bool = False
    agreements: dict[str, int] = field(default_factory=dict)
    transfers: dict[str, list[str]] = field(default_factory=dict)
    visible: list[bool] = field(default_factory=list)

    def __enter__(self) -> "EdcServer":
        self.reset()
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"edc": self}))
        server.daemon_threads = True
        self._server = server
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reset(self) -> None:
        """As it was in the beginning."""
        for each in self.stored.values():
            each.clear()
        policy = {"@type": "Set", "permission": [{"action": "use"}]}
        self.stored["policydefinitions"][ACCESS] = {
            "@context": [V2], "@type": "PolicyDefinition", "@id": ACCESS, "policy": policy,
        }  # fmt: skip
        for several in (self.calls, self.keys, self.faults, self.unbound, self.agreements, self.transfers, self.visible):
            several.clear()
        self.plans, self.keeps, self.invalid = lambda plan: plan, lambda policy: policy, False
        self.versions = ("/v4",)

    @contextmanager
    def behind(self, context: ssl.SSLContext) -> Iterator[int]:
        """The same behind TLS; its port."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"edc": self}))
        server.daemon_threads = True
        # The handshake is for the thread of the connection; a refused one is no trouble of the server's.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server.server_port
        server.shutdown()
        server.server_close()

    @property
    def address(self) -> str:
        """Of the management API."""
        return f"http://127.0.0.1:{self._server.server_port}{BASE}"

    @property
    def version_address(self) -> str:
        """Of the version API."""
        return f"http://127.0.0.1:{self._server.server_port}/.well-known/api"

    @property
    def held(self) -> dict[str, list[str]]:
        """Ids of what it holds besides the access policy, by kind; kinds that hold nothing are not there."""
        ids = {kind: sorted(set(each) - {ACCESS}) for kind, each in self.stored.items()}
        return {kind: each for kind, each in ids.items() if each}

    def is_visible(self) -> bool:
        """Whether others see any asset: a definition chooses it, and all that the definition names is there."""
        for definition in self.stored["contractdefinitions"].values():
            criteria = definition["assetsSelector"]  # without one it chooses all
            is_chosen = criteria[0]["operandRight"] in self.stored["assets"] if criteria else bool(self.stored["assets"])
            if is_chosen and definition["contractPolicyId"] in self.stored["policydefinitions"]:
                return True
        return False


class _Handler(BaseHTTPRequestHandler):
    edc: ClassVar[EdcServer]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        """It says nothing."""

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def _answer(self, method: str) -> None:
        edc = self.edc
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.removeprefix(BASE)
        edc.calls.append((method, path))
        edc.keys.append(self.headers.get("X-Api-Key"))
        fault = next((each for each in edc.faults if each.befalls(method, path)), None)
        if fault is not None:
            fault.times -= 1
            fault.before()
            if fault.how in {"made", "late"}:
                self._handled(method, path, content)
            self._befall(fault)
            return
        status, body = self._handled(method, path, content)
        edc.visible.append(edc.is_visible())
        self._send(status, b"" if body is None else json.dumps(body, ensure_ascii=False).encode())

    def _befall(self, fault: Fault) -> None:
        self.close_connection = True
        match fault.how:
            case "status" | "late":
                self._send(fault.status if fault.how == "status" else 500, fault.content)
            case "body":
                self._send(200, fault.content)
            case "redirect":
                self._send(307, b"", ("Location", f"{self.edc.address}/elsewhere"))
            case "huge":
                self.send_response(200)
                self.end_headers()
                self._until_closed(b" " * 65536)
            case "gzip":
                self._send(200, b"", ("Content-Encoding", "gzip"))
            case "hang":
                self._until_closed(b"", 0.01)
            case "drip":
                self._until_closed(b"HTTP/1.1 200 OK\r\nX-Slow: ", 0.01, b"x", seconds=2)
                head = f"\r\nContent-Length: {len(fault.content)}\r\n\r\n"
                with suppress(OSError):
                    self.connection.sendall(head.encode() + fault.content)

    def _until_closed(self, first: bytes, pause: float = 0.0, then: bytes | None = None, seconds: float = 5) -> None:
        """Write until the other side has hung up, or that long."""
        end = time.monotonic() + seconds
        then = first if then is None else then
        try:
            self.connection.sendall(first)
            while time.monotonic() < end:
                self.connection.settimeout(max(pause, 0.001))
                try:
                    if pause and self.connection.recv(1) == b"":
                        return
                except TimeoutError:
                    pass
                self.connection.settimeout(1)
                if then:
                    self.connection.sendall(then)
        except OSError:
            return

    def _send(self, status: int, content: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (("Content-Length", str(len(content))), *headers):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _handled(self, method: str, path: str, content: bytes) -> tuple[int, Any]:  # noqa: PLR0911 (a case each)
        edc = self.edc
        if path == "/.well-known/api/v1/version":
            listed = [
                {"version": f"{each[2]}.1.0", "urlPath": each, "lastUpdated": "2026-01-01T00:00:00Z", "maturity": "stable"}
                for each in edc.versions
            ]
            return (200, {"management": listed}) if method == "GET" else (405, None)
        if self.headers.get("X-Api-Key") != edc.key:
            return 401, [{"message": f"Request could not be authenticated: {self.headers.get('X-Api-Key')}", "type": "x"}]
        version, *rest = path.strip("/").split("/")
        if f"/{version}" not in edc.versions or not rest:
            return 404, None
        if version == "v3":
            return (200, []) if rest[1:] == ["request"] else (404, None)
        if "%3A" not in path and any(":" in part for part in rest):
            return 400, [{"message": "an id is not percent-encoded", "type": "ValidationFailure"}]
        try:
            body = json.loads(content) if content else None
            return self._done(method, [unquote(part) for part in rest], body)
        except (ValueError, WrongBodyError) as error:
            return 400, [{"message": str(error), "type": "ValidationFailure"}]

    def _done(self, method: str, rest: list[str], body: Any) -> tuple[int, Any]:  # noqa: PLR0911 (a case each)
        edc, kind = self.edc, rest[0]
        match method, rest[1:]:
            case "POST", ["request"]:
                check_query(body)
                return 200, list(self._listed(kind, body))
            case "POST", []:
                if kind not in KINDS:
                    return 404, None
                CHECKS[KINDS[kind]](body)
                if body["@id"] in edc.stored[kind]:
                    return 409, [{"message": f"{kind} {body['@id']} already exists", "type": "ObjectConflict"}]
                kept = {**body, "policy": edc.keeps(body["policy"])} if kind == "policydefinitions" else body
                edc.stored[kind][body["@id"]] = kept
                return 200, {"@context": [V2], "@type": "IdResponse", "@id": body["@id"], "createdAt": 1}
            case "GET", [name]:
                held = edc.stored.get(kind, {}).get(name)
                if held is None:
                    return 404, [{"message": f"{name} not found", "type": "ObjectNotFound"}]
                return 200, {**held, "policy": compacted(held["policy"])} if "policy" in held else held
            case "DELETE", [name]:
                return self._deleted(kind, name)
            case "POST", [name, "validate"] if kind == "policydefinitions":
                demand(body is None, "validate takes no body")
                errors = ["leftOperand 'x' is not bound to any scopes"] if edc.invalid else []
                result = {"@type": "PolicyValidationResult", "isValid": not errors, "errors": errors}
                return (200, result) if name in edc.stored[kind] else (404, None)
            case "POST", [name, "evaluationplan"] if kind == "policydefinitions":
                check_plan_request(body)
                if name not in edc.stored[kind]:
                    return 404, None
                scope = body["policyScope"]
                unbound = edc.unbound.get("*", set()) | edc.unbound.get(scope, set())
                return 200, edc.plans(plan_of(edc.stored[kind][name]["policy"], scope, unbound))
        return 404, None

    def _listed(self, kind: str, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
        criteria = query.get("filterExpression") or []
        asset = criteria[0]["operandRight"] if criteria else ""
        if kind in KINDS:
            yield from list(self.edc.stored[kind].values())[: query["limit"]]
        elif kind == "contractagreements":
            yield from [{"@type": "ContractAgreement", "assetId": asset}] * self.edc.agreements.get(asset, 0)
        elif kind == "transferprocesses":
            yield from [{"@type": "TransferProcess", "state": state} for state in self.edc.transfers.get(asset, [])]

    def _deleted(self, kind: str, name: str) -> tuple[int, Any]:
        edc = self.edc
        if name not in edc.stored.get(kind, {}):
            return 404, None
        definitions = edc.stored["contractdefinitions"].values()
        named = {each[key] for each in definitions for key in ("contractPolicyId", "accessPolicyId")}
        is_used = edc.agreements.get(name) if kind == "assets" else kind == "policydefinitions" and name in named
        if is_used:
            return 409, [{"message": f"{name} cannot be deleted as it is referenced", "type": "ObjectConflict"}]
        del edc.stored[kind][name]
        return 204, None
