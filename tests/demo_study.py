"""The bundled study, as tests send and read it."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "agent" / "demo" / "study"
IMAGES = sorted(FOLDER.glob("*.dcm"))
