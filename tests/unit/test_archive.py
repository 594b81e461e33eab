"""Findings survive being stored."""

import dataclasses

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
