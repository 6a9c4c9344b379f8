"""What the tests of validation use."""

from __future__ import annotations

import sys
from pathlib import Path

# made_answers lies beside this file.
sys.path.insert(0, str(Path(__file__).parent))
