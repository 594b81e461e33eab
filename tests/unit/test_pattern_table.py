"""The table `[pattern]` of a `model.toml`: read whole, refused in part, and part of the version."""

from dataclasses import asdict, replace

import pytest

from agent import model_toml
from agent.imaging.pattern import ALL_MASS_LIKE
from answers import RULE


def test_the_rule_is_read_from_its_table() -> None:
    assert model_toml.pattern(asdict(RULE)) == RULE


def test_a_table_without_a_weight_is_incomplete() -> None:
    values = asdict(RULE)
    del values["contrast"]
    with pytest.raises(KeyError, match="contrast"):
        model_toml.pattern(values)


def test_another_rule_is_another_version_of_the_thresholds() -> None:
    names = {
        model_toml.thresholds_version(0.1, 2.0, 0.5, rule)
        for rule in (ALL_MASS_LIKE, RULE, replace(RULE, threshold=0.4))
    }
    assert len(names) == 3


def test_a_model_without_a_rule_keeps_the_version_it_had() -> None:
    assert model_toml.thresholds_version(0.1, 2.0, 0.5) == model_toml.thresholds_version(
        0.1, 2.0, 0.5, ALL_MASS_LIKE
    )
