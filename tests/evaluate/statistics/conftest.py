"""What the tests of evaluating use."""

from __future__ import annotations

import sys
from pathlib import Path

# made_predictions lies beside this file.
sys.path.insert(0, str(Path(__file__).parent))
