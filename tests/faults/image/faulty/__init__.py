"""The launcher in an environment that is out to get it: tests are asked at each step of a run what shall happen.

The product has no hook for that. Its callables that reach out of the process are wrapped from outside (seam.py), by a
process that then becomes the launcher (child.py), under another that starts it anew when it was killed (__main__.py).
"""

import tempfile
from pathlib import Path

DIRECTOR = "FAULTY_DIRECTOR"
"""Variable with address and port of the test that directs; without it the program is the product's, unchanged."""
STRUCK = Path(tempfile.gettempdir()) / "v6-node-test-struck"
"""There while the process was killed by the test: any other end is an end, as it is in the product's image."""
