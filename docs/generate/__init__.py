"""What is not typed by hand: `python -m docs.generate` writes it, tests compare it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
