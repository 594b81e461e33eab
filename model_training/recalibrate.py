"""Fits a model folder to one site by a handful of its own studies without a tumour.

What is normal differs from scanner to scanner. The weights of the networks stay; the p-values are
read from the site's own slices and studies, and the slice threshold lets through the stated share
of its slices.
"""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent import model_toml, pipeline
from agent.imaging.results import NotAnalysed
from agent.inference import OnnxModel
from model_training import collection
from model_training.collection import Member

FEWEST_STUDIES = 5
NAME = r"[A-Za-z0-9][A-Za-z0-9.-]*"


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a site's tumour-free studies score: slices and highest slice of each study, rising.

    `refused` names the studies that could not be read, with the reason.
    """

    slice_scores: tuple[float, ...]
    study_scores: tuple[float, ...]
    refused: tuple[tuple[str, str], ...]


def measure(model: OnnxModel, members: Sequence[Member]) -> Site:
    """Runs the model on studies that are known to hold no tumour."""
    slices: list[float] = []
    studies: list[float] = []
    refused: list[tuple[str, str]] = []
    for member in members:
        volume = collection.read(member).volume
        found = pipeline.analyse(volume, model, model.description.thresholds)
        if isinstance(found, NotAnalysed):
            refused.append((member.name, found.sentence))
            continue
        slices += [float(score) for score in found.slice_scores if score > 0]
        studies.append(found.study_score)
    return Site(
        slice_scores=tuple(round(score, 3) for score in sorted(slices)),
        study_scores=tuple(round(score, 3) for score in sorted(studies)),
        refused=tuple(refused),
    )


def write(folder: Path, out: Path, site: Site, *, name: str, false_positive_rate: float) -> float:
    """Copies a model folder with the site's references; returns the new slice threshold.

    Raises ValueError for too few studies, a rate that is none or a name that no version can bear.
    """
    if not re.fullmatch(NAME, name):
        raise ValueError(
            f'"{name}" cannot be part of a version: name the site with letters, digits, dots and '
            "dashes only."
        )
    if len(site.study_scores) < FEWEST_STUDIES:
        raise ValueError(
            f"{len(site.study_scores)} studies could be read; a site needs at least "
            f"{FEWEST_STUDIES} tumour-free ones, and 19 or more for p-values of .05."
        )
    if not 0 < false_positive_rate < 1:
        raise ValueError("The false-positive rate is a share between 0 and 1, such as 0.05.")
    threshold = float(np.quantile(site.slice_scores, 1 - false_positive_rate))
    source = folder / model_toml.FILE_NAME
    text = source.read_text(encoding="utf-8")
    version = model_toml.describe(folder).version
    for key, value in (
        ("version", f'"{version}+{name}"'),
        ("slice", repr(threshold)),
        (
            "operating_point",
            f'"slice: {false_positive_rate:g} of the slices of {len(site.study_scores)} '
            f'tumour-free studies of {name} pass; pixel and volume as trained"',
        ),
        ("slice_scores", repr(list(site.slice_scores))),
        ("study_scores", repr(list(site.study_scores))),
    ):
        text = replaced(text, key, value)
    shutil.copytree(folder, out, dirs_exist_ok=True)
    (out / model_toml.FILE_NAME).write_text(text, encoding="utf-8")
    model_toml.describe(out)
    return threshold


def replaced(text: str, key: str, value: str) -> str:
    """The text with the first line of a key changed."""
    changed, count = re.subn(
        rf"^{key} = .*$", lambda _: f"{key} = {value}", text, count=1, flags=re.MULTILINE
    )
    if count == 0:
        raise ValueError(f"{model_toml.FILE_NAME} has no line for {key}.")
    return changed
