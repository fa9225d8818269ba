"""Torture: every stage is killed, starved of disk, moved in time, locked out, run twice and fed rubbish, again and again.

``python -m tests.torture --minutes 30 --seed 1`` (or ``make torture``). Each round copies a workspace from before a stage to
the same place, disturbs the stage's own command in a process of its own, asks every invariant, lets the command run to its
end, and compares what it has left with what an undisturbed run has left.
"""
