"""What tumour-free scans of one site can set, and what is carried over from the base model.

Learnt here: the slice threshold and the scores that p-values are read from. Carried over, because
nothing tumour-free can teach it: the rule that parts masses from white-matter disease, the least
volume, the limits of acceptance, and for a model that goes on also the weights of the kinds of maps
with the pixel threshold, which were chosen on drawn lesions.
"""

from dataclasses import replace

import numpy as np

from agent.model_toml import ModelDescription
from model_training import calibrate as calibration
from model_training import data, fusion, graph, runs
from model_training.calibrate import Calibration
from model_training.evaluation import examine
from model_training.evaluation.examine import MODEL, Examined
from model_training.retraining.order import COLLECTION, Order


def choose(order: Order, base: ModelDescription) -> Calibration:
    """Freezes the candidate's thresholds by the calibration patients, and keeps them."""
    recipe, shipped, _ = runs.finished(order.running)
    members = data.calibration_members(order.collections, [COLLECTION])
    subjects = [
        tumour_free(one)
        for one in examine.examine(
            members,
            lambda prepared: graph.maps(shipped, prepared),
            recipe,
            runs.brain_of(order.running),
        )
    ]
    goes_on = order.recipe is None
    if goes_on:
        learnt = base.fusion, dict[str, float]()
    else:
        learnt = fusion.learn(shipped, data.read_slices(order.running / runs.WATCHED_FILE))
    chosen = calibration.calibrate(subjects, subjects, learnt, acceptance=base.acceptance)
    rows = dict(chosen.rows)
    if goes_on:
        rows[MODEL] = replace(rows[MODEL], pixel=base.thresholds.pixel)
    frozen = replace(
        chosen,
        rows=rows,
        minimum_volume_ml=base.thresholds.minimum_volume_ml,
        operating_point=operating_point(goes_on, len({one.group for one in members})),
    )
    calibration.save(order.running, frozen)
    return frozen


def tumour_free(one: Examined) -> Examined:
    """A subject without its white-matter lesions: a mark on them is no hit."""
    subject = replace(one.subject, lesion=np.zeros_like(one.subject.lesion))
    return replace(one, subject=subject, labels=np.zeros_like(one.labels))


def operating_point(goes_on: bool, patients: int) -> str:
    """How the thresholds came about."""
    pixel = (
        "as in the model it goes on from" if goes_on else "0.1 % of the pixels of the same slices"
    )
    return (
        f"slice: 5 % of the tumour-free slices of {patients} patients of the site pass; pixel: "
        f"{pixel}; minimum volume: carried over"
    )
