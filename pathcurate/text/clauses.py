"""Clauses: how far a word of a report reaches."""

_ENDS = ("\n", "。", ";", ". ")


def clause_start(folded: str, position: int, reach: int) -> int:
    """Where the clause that holds a position begins, at most `reach` characters before it."""
    low = max(0, position - reach)
    for end in _ENDS:
        at = folded.rfind(end, low, position)
        if at >= 0:
            low = at + len(end)
    return low


def clause_end(folded: str, position: int, reach: int) -> int:
    """Where the clause that holds a position ends, at most `reach` characters after it."""
    high = min(len(folded), position + reach)
    for end in _ENDS:
        at = folded.find(end, position, high)
        if at >= 0:
            high = at
    return high
