"""An algorithm that tries every way out of its isolation and returns what it found, as a table.

It also looks whether databases can be read. It needs nothing but Python: no shell, no curl, no name resolution, no
internet.
"""

from diagnostics.databases import databases
from diagnostics.holding import hold
from diagnostics.probing import probe

__all__ = ["databases", "hold", "probe"]
