"""Spark itself for the tests: a standalone cluster on loopback, of a master, workers and a Spark Connect server.

Each is a process of its own, as on machines of their own, but that all lie on this one. Spark comes from the package
`pyspark`, which shares a directory with the thin client and so lives in an environment of its own: `.venv-spark` beside the
checkout's `.venv` (`make spark` makes it), or the directory that SPARK_HOME names. Java 17 or later must be there.
"""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pathcurate.engines.spark import Connect

CHECKOUT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
START_SECONDS = 120.0
"""How long a process may take until it says that it is there; a machine with much else to do is slow."""
_SMALL = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData"
_PR_SET_PDEATHSIG = 1
_LOGGING = """rootLogger.level = info
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss.SSS} %p %c{1}: %m%n
"""


class SparkMissingError(Exception):
    """What a cluster needs is not on this machine; the message says what."""


def spark_home() -> Path:
    """Where Spark lies, of the same version as the thin client.

    Raises:
        SparkMissingError: it is not there, or Java is not.
    """
    if shutil.which("java") is None:
        raise SparkMissingError("no `java` on the PATH: Spark needs Java 17 or later")
    try:
        client = version("pyspark-client")
    except PackageNotFoundError:
        raise SparkMissingError("the thin client pyspark-client is not installed") from None
    named = os.environ.get("SPARK_HOME")
    places = [Path(named)] if named else sorted(CHECKOUT.glob(".venv-spark/lib/python3*/site-packages/pyspark"))
    for place in places:
        jars = list(place.glob("jars/spark-connect_*.jar"))
        if any(jar.name.endswith(f"-{client}.jar") for jar in jars):
            return place
    raise SparkMissingError(f"no Spark {client}, the thin client's version, in .venv-spark or SPARK_HOME: `make spark`")


@dataclass
class Process:
    """One of the cluster's processes, whose words are kept and can be waited for."""

    popen: "subprocess.Popen[str]"
    log: Path
    lines: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    is_silent: bool = False

    def listen(self) -> None:
        """Keep what it says until it ends."""
        assert self.popen.stderr is not None
        with self.log.open("w") as log:
            for line in self.popen.stderr:
                log.write(line)
                log.flush()
                with self.changed:
                    self.lines.append(line)
                    self.changed.notify_all()
        with self.changed:
            self.is_silent = True
            self.changed.notify_all()

    def said(self, pattern: str) -> str:
        """The group of a pattern in a line that it says now, said before, or says within :data:`START_SECONDS`."""

        def matches() -> Iterator[str]:
            return (found[1] for line in self.lines if (found := re.search(pattern, line)))

        with self.changed:
            self.changed.wait_for(lambda: self.is_silent or any(matches()), START_SECONDS)
            answer = next(matches(), None)
        if answer is None:
            faults = [line for line in self.lines if "ERROR" in line or "Exception" in line]
            raise RuntimeError(f"{self.log.name} never said {pattern!r}, but:\n{''.join(faults or self.lines[-20:])}")
        return answer

    def kill(self) -> None:
        """End it at once, with all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


@dataclass(frozen=True)
class Worker:
    """A worker of the cluster.

    Attributes:
        process: of the worker, which starts executors.
        page: ``host:port`` of its web page, by which people know it.
        directory: where its executors work.
    """

    process: Process
    page: str
    directory: Path

    def executor_pids(self) -> list[int]:
        """Processes of Spark's executors that it has started."""
        children = Path(f"/proc/{self.process.popen.pid}/task").glob("*/children")
        pids = [int(pid) for listed in children for pid in listed.read_text().split()]
        return [pid for pid in pids if b"ExecutorBackend" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def kill(self) -> None:
        """End worker and executors as when a machine loses its power: nobody says goodbye."""
        self.process.kill()


class Cluster:
    """A standalone cluster.

    Args:
        home: where Spark lies.
        directory: for configuration, logs and whatever executors write.
        settings: of Spark, besides those that keep it small and on loopback.
        python_path: directories whose modules the workers can import, besides what is installed where this runs.
    """

    def __init__(self, home: Path, directory: Path, settings: Mapping[str, str], python_path: Sequence[Path]) -> None:
        self._home = home
        self._directory = directory
        self._processes = ExitStack()
        self.workers: list[Worker] = []
        conf = directory / "conf"
        conf.mkdir(parents=True)
        lines = {**_settings(directory, python_path), **settings}
        (conf / "spark-defaults.conf").write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        (conf / "log4j2.properties").write_text(_LOGGING)
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))},
            "SPARK_HOME": os.fspath(home),
            "SPARK_CONF_DIR": os.fspath(conf),
            "SPARK_LOCAL_IP": HOST,
            "SPARK_LOCAL_HOSTNAME": HOST,
            "SPARK_DAEMON_MEMORY": "512m",  # also of the server, which refuses less
            "SPARK_DAEMON_JAVA_OPTS": _SMALL,
            "SPARK_LAUNCHER_OPTS": _SMALL,
            "PYSPARK_PYTHON": sys.executable,
            "TZ": "Asia/Shanghai",  # a clock that is not ours changes nothing
        }
        self._environment.pop("PYTHONPATH", None)

    def start(self, workers: int) -> str:
        """Start master, workers and server; the server's address once all of them are there."""
        master = self._started("master", ["org.apache.spark.deploy.master.Master", *_anywhere()])
        port = master.said(r"Starting Spark master at spark://[\w.]+:(\d+)")
        self._page = master.said(r"MasterWebUI.*started at (http://\S+?)/?$")
        self._master = f"spark://{HOST}:{port}"
        submitted = [
            "org.apache.spark.deploy.SparkSubmit", "--master", self._master,
            "--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "--name", "pathcurate", "spark-internal",
        ]  # fmt: skip
        server = self._started("connect", submitted)
        self.add_workers(workers)
        port = server.said(r"Spark Connect server started at: .*?:(\d+)")
        return f"sc://{HOST}:{port}"

    def add_workers(self, count: int, *, hidden: Path | None = None) -> list[Worker]:
        """More workers of one core each, once the master knows them.

        Args:
            count: how many.
            hidden: a directory that they shall not see: an empty one lies over it, as where a share is not mounted.
        """
        before = len(self.workers)
        for number in range(before, before + count):
            directory = self._directory / f"worker{number}"
            directory.mkdir()
            command = [
                "org.apache.spark.deploy.worker.Worker", *_anywhere(), "--cores", "1", "--memory", "512m",
                "--work-dir", os.fspath(directory), self._master,
            ]  # fmt: skip
            process = self._started(f"worker{number}", command, blindfold(hidden) if hidden else ())
            self.workers.append(Worker(process, "", directory))
        for number in range(before, before + count):
            worker = self.workers[number]
            page = worker.process.said(r"WorkerWebUI.*started at http://(\S+?)/?$")
            worker.process.said(r"(Successfully registered) with master")
            self.workers[number] = Worker(worker.process, page, worker.directory)
        return self.workers[before:]

    def state(self) -> dict[str, Any]:
        """What the master says of workers and applications."""
        with urllib.request.urlopen(f"{self._page}/json/", timeout=10) as answer:  # noqa: S310 - our own http://
            state: dict[str, Any] = json.load(answer)
        return state

    def wait_until(self, is_so: Callable[[], bool], what: str) -> None:
        """Ask again and again until it is so."""
        deadline = time.monotonic() + START_SECONDS
        while not is_so():
            if time.monotonic() > deadline:
                raise RuntimeError(f"waited in vain until {what}; the logs are in {self._directory}")
            time.sleep(0.05)

    def alive(self) -> list[Worker]:
        """Workers that have not been killed."""
        return [worker for worker in self.workers if worker.process.popen.poll() is None]

    def restore(self, count: int) -> None:
        """So many living workers again, each with an executor."""
        missing = count - len(self.alive())
        if missing > 0:
            self.add_workers(missing)
        self._wait_for_processes()

    def _wait_for_processes(self) -> None:
        self.wait_until(lambda: all(worker.executor_pids() for worker in self.alive()), "each worker has an executor")

    def wait_for_executors(self, engine: Connect) -> None:
        """Wait until the server gives jobs to every living worker."""
        self._wait_for_processes()
        pages = {worker.page for worker in self.alive()}
        self.wait_until(
            lambda: pages == {name.partition(" ")[0] for name in engine.workers()}, "the server knows all workers"
        )

    def stop(self) -> None:
        """End all of them."""
        self._processes.close()

    def _started(self, name: str, command: Sequence[str], wrapper: Sequence[str] = ()) -> Process:
        popen = subprocess.Popen(
            [*wrapper, os.fspath(self._home / "bin" / "spark-class"), *command],
            env={**self._environment, "SPARK_IDENT_STRING": name},
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - nothing but one call of the kernel
        )
        process = Process(popen, self._directory / f"{name}.log")
        listener = threading.Thread(target=process.listen, daemon=True)
        listener.start()
        # Whoever is started last ends first: executors say goodbye to a server that is still there.
        self._processes.callback(listener.join, 10)
        self._processes.callback(process.kill)
        return process


@contextmanager
def running(
    workers: int, *, settings: Mapping[str, str] | None = None, python_path: Sequence[Path] = ()
) -> Iterator[tuple[Cluster, str]]:
    """A new cluster and the address of its server.

    Raises:
        SparkMissingError: what it needs is not on this machine.
    """
    home = spark_home()
    with tempfile.TemporaryDirectory(prefix="sparkcluster_", ignore_cleanup_errors=True) as directory:
        cluster = Cluster(home, Path(directory), settings or {}, python_path)
        try:
            yield cluster, cluster.start(workers)
        finally:
            cluster.stop()


def blindfold(hidden: Path) -> list[str]:
    """Words before a command that let it see an empty directory in place of this one.

    Raises:
        SparkMissingError: neither root nor a user's namespace may do that here.
    """
    script = 'mount -t tmpfs none "$0" && exec "$@"'
    ways = (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"])
    for way in ways if shutil.which("unshare") else ():
        words = [*way, "sh", "-c", script, os.fspath(hidden)]
        if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
            return words
    raise SparkMissingError("this machine gives no mount namespace, in which a worker would not see a directory")


def _settings(directory: Path, python_path: Sequence[Path]) -> dict[str, str]:
    return {
        "spark.driver.bindAddress": HOST,
        "spark.driver.host": HOST,
        "spark.connect.grpc.binding.address": HOST,
        "spark.connect.grpc.binding.port": "0",
        "spark.ui.enabled": "false",
        "spark.authenticate": "true",
        "spark.authenticate.secret": os.urandom(16).hex(),
        "spark.local.dir": os.fspath(directory / "local"),
        "spark.sql.warehouse.dir": os.fspath(directory / "warehouse"),
        "spark.driver.extraJavaOptions": _SMALL,
        "spark.executor.cores": "1",
        "spark.executor.memory": "480m",
        "spark.executor.extraJavaOptions": _SMALL,
        "spark.executorEnv.PYTHONPATH": os.pathsep.join(map(str, (CHECKOUT, *python_path))),
        "spark.sql.shuffle.partitions": "2",
        "spark.scheduler.minRegisteredResourcesRatio": "0",
    }


def _anywhere() -> list[str]:
    return ["--host", HOST, "--port", "0", "--webui-port", "0"]


def _end_with_parent() -> None:
    """So that nothing is left behind by a test that is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
