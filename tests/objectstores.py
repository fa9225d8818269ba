"""An object store of the tests' own. What the stand-in holds belongs to the whole process, so each begins empty."""

import contextlib
import http.client
from collections.abc import Iterator

from moto.server import ThreadedMotoServer


@contextlib.contextmanager
def object_store() -> Iterator[str]:
    """The address of a running store."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        with contextlib.closing(http.client.HTTPConnection(host, port, timeout=30)) as connection:
            connection.request("POST", "/moto-api/reset")
            connection.getresponse().read()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
