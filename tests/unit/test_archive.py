"""Findings survive being stored."""

import dataclasses
import io
import json

import numpy as np

import builders
from agent.imaging import archive


def test_findings_come_back_as_they_were_stored() -> None:
    found = builders.findings(builders.volume(builders.flair_series(slices=6)))
    again = archive.from_bytes(archive.to_bytes(found))
    for field in dataclasses.fields(found):
        before, after = getattr(found, field.name), getattr(again, field.name)
        if isinstance(before, np.ndarray):
            assert before.dtype == after.dtype
            assert np.array_equal(before, after)
        else:
            assert before == after


def test_what_was_stored_before_regions_were_described_counts_as_mass_like() -> None:
    """A study may have been analysed by the version before and be composed by this one."""
    found = builders.findings(builders.volume(builders.flair_series(slices=6)), mass_like=False)
    again = archive.from_bytes(as_first_version(archive.to_bytes(found)))
    assert [region.shape for region in again.regions] == [None] * len(found.regions)
    assert all(region.mass_like for region in again.regions)
    assert again.regions[0].volume_ml == found.regions[0].volume_ml


def as_first_version(data: bytes) -> bytes:
    """An archive without what was added to the regions later."""
    arrays = dict(np.load(io.BytesIO(data)))
    numbers = json.loads(arrays["numbers"].tobytes())
    for region in numbers["regions"]:
        for name in ("shape", "mass_score", "mass_like"):
            del region[name]
    arrays["numbers"] = np.frombuffer(json.dumps(numbers).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
