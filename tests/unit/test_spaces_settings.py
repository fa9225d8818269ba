"""The setting ``spaces:``: each fault where it stands, and no key in any message."""

from pathlib import Path
from typing import Any

import pytest

from pathcurate.errors import UsageError
from pathcurate.registryaddress import Secret
from pathcurate.spacesettings import SpaceSettings, is_local
from pathcurate.workspace import load_workspace

CANARY = "hunter2CANARY"
GOOD = {
    "kind": "edc",
    "address": "https://h.example/api/management",
    "key": "${file:secrets/key}",
    "access_policy": "members",
}


def read(folder: Path, text: str) -> dict[str, SpaceSettings]:
    file = folder / "pathcurate.yaml"
    file.write_text(f"workspace: 1\nname: x\n{text}", encoding="utf-8")
    return dict(load_workspace(file).settings.spaces)


def block(**parts: Any) -> str:
    lines = [f"    {key}: {value}\n" for key, value in {**GOOD, **parts}.items() if value is not None]
    return "spaces:\n  a:\n" + "".join(lines)


def test_without_spaces_there_are_none(tmp_path: Path) -> None:
    assert read(tmp_path, "") == {}


def test_every_key_arrives(tmp_path: Path) -> None:
    more = {"version_address": "https://h.example/version/", "transfer": "[HttpData-PULL, tre-session]", "timeout_s": 5,
            "insecure": "true"}  # fmt: skip
    found = read(tmp_path, f"{block(**more)}  b-2: {{kind: files, access_policy: p, transfer: [x]}}\n")
    a = found["a"]
    assert (a.kind, a.address, a.version_address) == ("edc", "https://h.example/api/management", "https://h.example/version")
    assert a.key == Secret("file", str(tmp_path / "secrets/key"), "the connector's key", "spaces")
    assert (a.access_policy, a.transfer, a.timeout_s, a.insecure) == ("members", ("HttpData-PULL", "tre-session"), 5.0, True)
    b = found["b-2"]
    assert (b.kind, b.address, b.key, b.timeout_s, b.insecure) == ("files", None, None, 30.0, False)


@pytest.mark.parametrize(
    "address",
    ["https://h/api/management", "https://h:8181", "http://127.0.0.1:8181/api", "http://[::1]:1/a", "http://localhost/a"],
)
def test_addresses_that_can_be(tmp_path: Path, address: str) -> None:
    assert read(tmp_path, block(address=f"'{address}'"))["a"].address == address


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"kind": "ftp"}, "Input should be 'edc' or 'files'"), ({"kind": None}, "key `kind` is missing in data space"),
        ({"address": None}, "a connector needs `address`"), ({"key": None}, "a connector needs `key`"),
        ({"access_policy": None}, "a connector needs `access_policy`"), ({"access_policy": "''"}, "must not be empty"),
        ({"address": f"https://u:{CANARY}@h/a"}, "address is written"), ({"address": "ftp://h/a"}, "address is written"),
        ({"address": f"https://{CANARY}@h/a"}, "address is written"), ({"address": "https:///a"}, "address is written"),
        ({"address": f"'https://h/a?key={CANARY}'"}, "address is written"), ({"address": "https://h/#a"}, "is written"),
        ({"address": "https://h:0/a"}, "address is written"), ({"address": "https://h:99999/a"}, "address is written"),
        ({"address": "'https://h h/a'"}, "address is written"), ({"address": "7"}, "address is written"),
        ({"address": "'https://[h/a'"}, "address is written"), ({"address": "https://ｈ/a"}, "address is written"),
        ({"address": "http://h/a"}, "without TLS"), ({"version_address": "http://h/a"}, "without TLS"),
        ({"address": "http://127.0.0.1.evil.example/a"}, "without TLS"), ({"insecure": "1"}, "true or false"),
        ({"insecure": "'yes'"}, "true or false"),
        ({"timeout_s": 0}, "greater than 0"), ({"timeout_s": "true"}, "valid number"),
        ({"timeout_s": 601}, "less than or equal to 600"),
        ({"timeout_s": ".inf"}, "finite number"), ({"timeout_s": ".nan"}, "finite number"),
        ({"transfer": "HttpData-PULL"}, "a list"), ({"transfer": "['']"}, "must not be empty"),
        ({"transfer": '["a\\nb"]'}, "should match pattern"),
        ({"tiemout_s": 4}, "did you mean `timeout_s`"),
        ({"key": CANARY}, "key is never written"), ({"key": f"'{CANARY}'"}, "key is never written"),
        ({"key": f'"\\x68{CANARY}"'}, "key is never written"), ({"key": 4711471147}, "key is never written"),
        ({"key": f"[{CANARY}]"}, "key is never written"), ({"key": f"${{vault:{CANARY}}}"}, "is never written here"),
        ({"key": "${env:a-b}"}, "the name of a variable"), ({"api_key": CANARY}, "unknown key `api_key`"),
        ({"password": CANARY, "address": "x"}, "unknown key `password`"), ({"key": "${file:a} "}, ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_where_it_stands(tmp_path: Path, parts: dict[str, Any], message: str) -> None:
    if not message:
        assert read(tmp_path, block(**parts))
        return
    for text in (block(**parts), _flow(parts)):
        with pytest.raises(UsageError) as refused:
            read(tmp_path, text)
        assert message in refused.value.message
        assert f"{tmp_path / 'pathcurate.yaml'}:" in refused.value.message
        assert "4711471147" not in refused.value.message
        assert CANARY not in str(refused.value)


def _flow(parts: dict[str, Any]) -> str:
    """The same on one line, where the key stands beside what is wrong."""
    said = {**GOOD, **parts}
    quoted = {key: f"'{value}'" if str(value).startswith("$") else value for key, value in said.items() if value is not None}
    return f"spaces: {{a: {{{', '.join(f'{key}: {value}' for key, value in quoted.items())}}}}}\n"


@pytest.mark.parametrize("name", ["A", "a b", "'-a'", "空间", "'a\\n'", "x" * 41, "'../a'", '""'])
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="1 to 40 of a-z"):
        read(tmp_path, f"spaces:\n  {name}: {{kind: files}}\n")


@pytest.mark.parametrize(
    "key", ["address: https://h/a", "version_address: https://h/a", "key: '${env:X}'", "timeout_s: 3", "insecure: false"]
)
def test_a_platform_that_takes_files_has_no_door(tmp_path: Path, key: str) -> None:
    with pytest.raises(UsageError, match=rf"`{key.partition(':')[0]}` is for a connector"):
        read(tmp_path, f"spaces: {{a: {{kind: files, {key}}}}}\n")


def test_a_connector_is_one_space(tmp_path: Path) -> None:
    text = block()
    with pytest.raises(UsageError, match="this connector is the space `a` already") as refused:
        read(tmp_path, f"{text}{text.removeprefix('spaces:').replace('  a:', '  b:').replace('management', 'management/')}")
    assert "pathcurate.yaml:12:14: error" in refused.value.message


@pytest.mark.parametrize("text", ["spaces: [a]", "spaces: files", "spaces: {a: files}", "spaces: {a: }", "spaces:"])
def test_what_is_no_mapping_of_spaces_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        read(tmp_path, f"{text}\n")


def test_a_key_that_cannot_be_read_is_called_what_it_is(tmp_path: Path) -> None:
    key = read(tmp_path, block())["a"].key
    assert key is not None
    with pytest.raises(UsageError, match=r"the file of the connector's key, .*secrets/key, cannot be read") as refused:
        key.read({})
    assert refused.value.hint == "Check `spaces` in pathcurate.yaml."
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key").touch(0o600)
    with pytest.raises(UsageError, match="holds no key"):
        key.read({})
    variable = read(tmp_path, block(key="${env:EDC_KEY}"))["a"].key
    assert variable is not None
    assert variable.read({"EDC_KEY": "k"}) == "k"
    with pytest.raises(UsageError, match="the connector's key is to be in the variable EDC_KEY"):
        variable.read({})


def test_what_is_of_this_machine() -> None:
    local = ("http://127.0.0.1/a", "http://127.9.9.9", "http://[::1]:8/", "http://localhost:1", "http://LOCALHOST/")
    others = ("http://0.0.0.0/", "http://10.0.0.1", "http://localhost.example/", "http://127.0.0.1.example", "http://[::2]/")
    assert [is_local(one) for one in (*local, *others)] == [True] * len(local) + [False] * len(others)
