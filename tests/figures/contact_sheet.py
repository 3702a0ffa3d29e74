"""A page of random synthetic people to look at: `python -m tests.figures.contact_sheet sheet.png`."""

import sys
from pathlib import Path

from harness.synthesis.contact_sheet import contact_sheet

if __name__ == "__main__":
    contact_sheet(Path(sys.argv[1] if len(sys.argv) > 1 else "sheet.png"))
