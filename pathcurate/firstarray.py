"""The first Arrow array of a worker process, made without pandas.

Arrow imports pandas before the first array that it makes, and never asks again: a third of a second of each worker. It is
for processes that run kernels and nothing else: Arrow does not know pandas' own values afterwards, such as ``NaT``.
"""

import sys

import pyarrow as pa


class _WithoutPandas:
    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name=name)


def first_array_without_pandas() -> None:
    """Make an array while pandas cannot be imported; nothing if it has been."""
    if "pandas" in sys.modules:
        return
    # Arrow imports it when it meets the first array of numpy, which would be the first row's time.
    import numpy.ma  # noqa: F401, PLC0415

    sys.meta_path.insert(0, _WithoutPandas)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(_WithoutPandas)
