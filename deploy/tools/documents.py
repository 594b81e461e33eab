"""Fill what deploy/docs says that follows from the code, and draw its diagrams.

    python deploy/tools/documents.py

Between `<!-- begin: NAME -->` and `<!-- end -->` stands what one of `TABLES` makes under that name;
all else in the documents is written by hand.
"""

from pathlib import Path

import conformance
import diagram
import evidence
import measured
import operation
import regions

FOLDER = Path(__file__).resolve().parents[1] / "docs"
TABLES: regions.Tables = {
    **conformance.TABLES,
    **operation.TABLES,
    **evidence.TABLES,
    **measured.TABLES,
}


def made() -> dict[Path, str]:
    """Every document and diagram as it ought to be."""
    texts = {
        path: regions.filled(path.read_text("utf-8"), TABLES)
        for path in sorted(FOLDER.glob("*.md"))
    }
    return {**texts, FOLDER / "pictures" / "network.svg": diagram.network()}


def main() -> None:
    """Write what has changed."""
    for path, text in made().items():
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(path)


if __name__ == "__main__":
    main()
