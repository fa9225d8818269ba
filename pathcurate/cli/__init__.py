"""The command line: a thin module per command group. Parse, read, call one function, write, show."""
