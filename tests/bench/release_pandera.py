"""What pandera can check of a release's tables, in a process and an environment of its own; prints seconds and findings.

Types, codes by pattern, closed sets, ranges, the key's uniqueness and required columns. It knows nothing of digests, of rows
between tables, of sides of a split or of persons in a class, which `pathcurate validate` checks besides.
"""

import json
import resource
import sys
import time
from pathlib import Path

import pandas as pd
import pandera.pandas as pa


def schema(declared: dict[str, object]) -> pa.DataFrameSchema:
    """The checks of one table, from the contract that pathcurate prints of it."""
    columns = {}
    for column in declared["columns"]:
        checks = []
        if column.get("values"):
            checks.append(pa.Check.isin(column["values"]))
        if column.get("pattern"):
            checks.append(pa.Check.str_matches(f"^(?:{column['pattern']})$"))
        columns[column["name"]] = pa.Column(checks=checks, nullable=not column["required"])
    return pa.DataFrameSchema(columns, unique=declared["key"] or None, strict=True)


def main() -> None:
    """Check each table that the order names."""
    order = json.loads(sys.stdin.read())
    begun, found = time.perf_counter(), 0
    for declared in order["tables"]:
        data = pd.concat([pd.read_parquet(Path(path)) for path in declared["paths"]], ignore_index=True)
        try:
            schema(declared).validate(data, lazy=True)
        except pa.errors.SchemaErrors as errors:
            found += len(errors.failure_cases)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"wall": time.perf_counter() - begun, "peak": peak, "found": found}))  # noqa: T201


if __name__ == "__main__":
    main()
