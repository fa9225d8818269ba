"""A recipe as SQL: the portable subset of DuckDB's dialect that every engine answers alike."""
