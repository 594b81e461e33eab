"""Reading the headers of whatever files there are."""

from collections.abc import Callable
from pathlib import Path

import builders
from agent.dicom import series


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_headers_are_read_and_each_other_file_is_named_with_its_fault(tmp_path: Path) -> None:
    good = tmp_path / "good.dcm"
    dataset = builders.flair_series(slices=1, rows=8, columns=8)[0]
    dataset.save_as(good, enforce_file_format=True)
    content = good.read_bytes()
    bad: dict[Path, Callable[[str], bool]] = {
        write(tmp_path / "text.txt", b"hello"): lambda said: "not a DICOM file" in said,
        write(tmp_path / "cut.dcm", content[:200]): lambda said: "cut.dcm" in said,
        tmp_path / "gone.dcm": lambda said: "cannot be opened" in said,
    }

    headers, unreadable = series.read_headers([good, *bad])

    assert [header.SOPInstanceUID for header in headers] == [dataset.SOPInstanceUID]
    assert "PixelData" not in headers[0]
    assert [one.path for one in unreadable] == list(bad)
    assert all(bad[one.path](one.sentence) for one in unreadable)
    assert [one.damaged for one in unreadable] == [False, True, True]
