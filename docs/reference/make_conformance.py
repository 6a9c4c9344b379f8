"""Write dicom-conformance.md: `python docs/reference/make_conformance.py`.

A test compares the page with what this would write.
"""

from __future__ import annotations

from pathlib import Path

from groundglass.node.conformance import conformance_statement

PAGE = Path(__file__).with_name("dicom-conformance.md")

if __name__ == "__main__":
    PAGE.write_text(conformance_statement(), encoding="utf-8")
