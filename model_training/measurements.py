"""Measures each training volume once for all that `calibrate` learns without the restoring network:
which images are accepted, and what position and size alone say of a slice.

Both are kept in the run's folder; what is there is not measured again.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from agent.imaging import preprocess
from agent.imaging.acceptance import Limits
from agent.imaging.brain import BrainNet
from agent.imaging.preprocess import ModelInput
from agent.imaging.results import NotAnalysed
from model_training import acceptance, collection, data, limits
from model_training.acceptance import Sample
from model_training.collection import Member, Subject
from model_training.config import Recipe
from model_training.evaluation import examine, metadata
from model_training.evaluation.examine import Examined
from model_training.evaluation.metadata import Shortcut, Table

View = tuple[Member, Subject, ModelInput]


def learn(
    folder: Path,
    data_folder: Path,
    recipe: Recipe,
    brain_net: BrainNet,
    calibration: Sequence[Examined],
) -> tuple[Limits, Shortcut | None]:
    """The limits of the images that are accepted, from training and calibration subjects, and the
    shortcut classifier, from the training patients. Takes minutes unless both are kept.

    Raises FileNotFoundError without training subjects, ValueError where none can be prepared.
    """
    kept_limits, kept_table = folder / limits.FILE_NAME, folder / metadata.FILE_NAME
    training = data.training_members(data_folder, recipe)
    accepted = [] if kept_limits.is_file() else training
    labelled = [] if kept_table.is_file() else patients(training, recipe)
    wanted = [member for member in training if member in accepted or member in labelled]
    samples, tables = measure(views(wanted, recipe, brain_net), accepted, labelled)
    if accepted:
        known = [acceptance.sample(one.subject, one.prepared) for one in calibration]
        limits.save(kept_limits, acceptance.fit([*samples, *known]))
    if labelled:
        metadata.save(kept_table, tables)
    return limits.load(kept_limits), metadata.learn(kept_table)


def patients(training: Sequence[Member], recipe: Recipe) -> list[Member]:
    """Those of the first collection; nobody where all are known to be without a tumour."""
    first = [one for one in training if one.folder.parent.name == recipe.collections[0]]
    return [] if all(member.abnormal is False for member in first) else first


def views(members: Sequence[Member], recipe: Recipe, brain_net: BrainNet) -> Iterator[View]:
    """Reads and prepares subject after subject; those in which no head is found are left out."""
    for member in members:
        subject = collection.read(member)
        prepared = preprocess.prepare(
            subject.volume, size=recipe.size, context=recipe.context, brain_net=brain_net
        )
        if not isinstance(prepared, NotAnalysed):
            yield member, subject, prepared


def measure(
    seen: Iterator[View], accepted: Collection[Member], labelled: Collection[Member]
) -> tuple[list[Sample], list[Table]]:
    """What the limits need of the accepted and what the shortcut needs of the labelled, one volume
    in memory at a time."""
    samples, tables = [], []
    for member, subject, prepared in seen:
        if member in accepted:
            samples.append(acceptance.sample(subject, prepared))
        if member in labelled:
            tables.append(metadata.table(subject, prepared, least_head=examine.MIN_HEAD_SHARE))
    return samples, tables
