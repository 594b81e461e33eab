"""Slices and patients for the variants, each prepared once and shared by all that see the same."""

import hashlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from agent.imaging.brain import BrainNet, Image
from agent.imaging.scoring import Kind, Maps
from model_training import data
from model_training.ablation.variants import Mask, Variant
from model_training.collection import Member
from model_training.data import SliceSet
from model_training.evaluation import examine
from model_training.evaluation.examine import Examined

log = logging.getLogger(__name__)

RIM_PIXELS = 4  # of the brain network's square: about 5 mm
EMPTY = np.zeros((0, 0, 0), dtype=np.float32)
UNANSWERED = Maps(  # until a variant's network has answered
    restoration=EMPTY,
    raw=np.zeros((0, len(Kind), 0, 0), dtype=np.float32),
    deviations=np.zeros((0, len(Kind), 0, 0), dtype=np.float32),
)


def widened(brain_net: BrainNet) -> BrainNet:
    """A `BrainNet` that finds too much, as a mask by brightness would."""

    def wide(slices: Image) -> Image:
        size = 2 * RIM_PIXELS + 1
        found = ndimage.maximum_filter(brain_net(slices), size=(1, size, size))
        return np.asarray(found, dtype=np.float32)

    return wide


class Preparations:
    """Slices are kept in `folder`, for a later start too, patients in memory."""

    def __init__(self, folder: Path, data_folder: Path, nets: dict[Mask, BrainNet]) -> None:
        self._folder = folder
        self._data_folder = data_folder
        self._nets = nets
        self._patients: dict[str, list[Examined]] = {}

    def slices(self, variant: Variant) -> SliceSet:
        """What a variant is trained on."""
        return self._kept(data.training_members(self._data_folder, variant.recipe), variant)

    def watched(self, variant: Variant) -> SliceSet:
        """Other patients' tumour-free slices, on which the fusion is learnt."""
        return self._kept(data.watched_members(self._data_folder, variant.recipe), variant)

    def patients(self, variant: Variant) -> list[Examined]:
        """The calibration patients of the first collection; their maps are `UNANSWERED`."""
        recipe = variant.recipe
        members = data.watched_members(self._data_folder, recipe)
        key = _key(members, variant)
        if key not in self._patients:
            net = self._nets[variant.mask]
            self._patients[key] = examine.examine(members, lambda _: UNANSWERED, recipe, net)
        return self._patients[key]

    def _kept(self, members: Sequence[Member], variant: Variant) -> SliceSet:
        """Subject by subject, so that variants with fewer subjects find theirs prepared. Those in
        whom a variant's mask is no brain are left out: the table counts who is left."""
        parts = []
        for member in members:
            try:
                parts.append(self._of_subject(member, variant))
            except data.Untrainable as refusal:
                log.warning("%s is left out: %s", variant.name, refusal)
        return joined(parts)

    def _of_subject(self, member: Member, variant: Variant) -> SliceSet:
        path = self._folder / f"{_key([member], variant)}.npz"
        if not path.is_file():
            self._folder.mkdir(parents=True, exist_ok=True)
            # Another process may prepare the same: each writes its own file, the last one stays.
            part = path.with_suffix(f".{os.getpid()}.npz")
            data.kept_slices(part, [member], variant.recipe, self._nets[variant.mask])
            part.replace(path)
        return data.read_slices(path)


def joined(parts: Sequence[SliceSet]) -> SliceSet:
    """The slices of several subjects."""
    digest = hashlib.sha256("\n".join(part.digest for part in parts).encode())
    return SliceSet(
        images=np.concatenate([part.images for part in parts]),
        brain=np.concatenate([part.brain for part in parts]),
        positions=np.concatenate([part.positions for part in parts]),
        subjects=sum(part.subjects for part in parts),
        digest=digest.hexdigest(),
    )


def _key(members: Sequence[Member], variant: Variant) -> str:
    """The same for all variants that see the same of the same subjects."""
    recipe = variant.recipe
    seen = [variant.mask.value, str(recipe.size), str(recipe.context), recipe.collections[0]]
    seen += [f"{member.folder.parent.name}/{member.name}" for member in members]
    return hashlib.sha256("\n".join(seen).encode()).hexdigest()[:16]
