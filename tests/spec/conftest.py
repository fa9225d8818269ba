"""The engines that the drawn tables are asked on."""

from tests.sqlengines import connect, each_engine, engine  # noqa: F401 - fixtures
