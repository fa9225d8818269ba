"""Tool: a delivery is cut into volumes, encrypted for its recipient, and brought to a directory or an object store.

====================  ==============================================================================
``names``             which paths within every system can have
``volumes``           which file goes into which volume; tar, age
``targets``           a directory, such as of a disk that travels; what any target can do
``buckets``           an object store
``journal``           how far a delivery has come
``sending``           brings volumes to a target, goes on after any interruption
``checkscripts``      what lies beside them, so that they can be checked without this program
====================  ==============================================================================
"""

from pathcurate.delivering.sending import announce, send
from pathcurate.delivering.targets import Target, target_of
from pathcurate.delivering.volumes import Volume, plan

__all__ = ["Target", "Volume", "announce", "plan", "send", "target_of"]
