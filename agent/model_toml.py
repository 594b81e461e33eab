"""Reads `model.toml`: what a model folder says of its model."""

import hashlib
import tomllib
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from agent.errors import UnusableModel
from agent.imaging.acceptance import NO_LIMITS, Limit, Limits
from agent.imaging.findings import Thresholds
from agent.imaging.pattern import ALL_MASS_LIKE, PatternRule
from agent.imaging.scoring import Fusion, Kind
from agent.imaging.traits import Trait

FILE_NAME = "model.toml"


class Precision(StrEnum):
    """What a model's graphs calculate in. All but fp32 were measured beside fp32 when they were
    made (`neurosieve-train precision`) and have thresholds of their own."""

    FP32 = "fp32"
    TF32 = "tf32"  # fp32 whose products CUDA rounds to 10 bits
    FP16 = "fp16"
    INT8 = "int8"  # convolutions of whole numbers, for processors


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """What `model.toml` says. The two reference tuples hold scores of tumour-free calibration
    slices and subjects, rising, from which p-values are read. `lean_sha256` is of the graph without
    the maps that no weight asks for, which gives the same findings to the last bit."""

    name: str
    version: str
    sha256: str
    brain_sha256: str
    lean_sha256: str | None = None
    precision: Precision = Precision.FP32
    sequence: str
    plane: str
    size: int
    context: int
    fusion: Fusion
    thresholds: Thresholds
    pattern: PatternRule
    acceptance: Limits = NO_LIMITS
    operating_point: str
    slice_reference: tuple[float, ...]
    study_reference: tuple[float, ...]
    training_data_sha256: str
    code_version: str

    @property
    def digest(self) -> str:
        """What names the model in results: SHA-256 over `sha256`, `brain_sha256`, the weights of
        the maps, the limits of acceptance and the precision; with others the same graph answers
        otherwise."""
        parts = [self.sha256, self.brain_sha256, repr(self.fusion), repr(self.acceptance)]
        if self.precision is not Precision.FP32:
            parts.append(self.precision)  # tf32 has the graphs of fp32
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def describe(folder: Path) -> ModelDescription:
    """What a folder's `model.toml` says."""
    text = read(folder / FILE_NAME)
    try:
        return from_toml(tomllib.loads(text.decode("utf-8")))
    except (KeyError, TypeError, ValueError) as error:
        raise UnusableModel(
            f"{folder / FILE_NAME} is incomplete or not TOML: {error!r}."
        ) from error


def at_precision(folder: Path, wanted: Precision) -> Path:
    """The folder of a model's wanted precision: itself, or the one of that name inside it."""
    described = describe(folder)
    if described.precision is wanted:
        return folder
    if (folder / wanted / FILE_NAME).is_file():
        return folder / wanted
    raise UnusableModel(
        f"Model {described.name} {described.version} ({folder}) has no {wanted}: make it with "
        f"`neurosieve-train precision {wanted} --model {folder} --data DATA`, or leave "
        "model.precision out of the configuration."
    )


def read(path: Path) -> bytes:
    """A file of the model folder."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnusableModel(f"{path} cannot be read: {error.strerror}.") from error


def from_toml(values: dict[str, Any]) -> ModelDescription:
    """The description in the tables of a `model.toml`."""
    model, grid, limits = values["model"], values["input"], values["thresholds"]
    pixel, slice_, volume_ml = (
        float(limits[key]) for key in ("pixel", "slice", "minimum_volume_ml")
    )
    rule = pattern(values["pattern"]) if "pattern" in values else ALL_MASS_LIKE
    return ModelDescription(
        name=model["name"],
        version=model["version"],
        sha256=model["sha256"],
        brain_sha256=values["brain"]["sha256"],
        lean_sha256=model.get("lean_sha256"),
        precision=Precision(model.get("precision", Precision.FP32)),
        sequence=model["sequence"],
        plane=model["plane"],
        size=int(grid["size"]),
        context=int(grid["context"]),
        fusion=fusion(values["fusion"]),
        thresholds=Thresholds(
            pixel=pixel,
            slice=slice_,
            minimum_volume_ml=volume_ml,
            version=thresholds_version(pixel, slice_, volume_ml, rule),
        ),
        pattern=rule,
        acceptance=acceptance(values.get("acceptance", {})),
        operating_point=limits["operating_point"],
        slice_reference=tuple(float(score) for score in values["reference"]["slice_scores"]),
        study_reference=tuple(float(score) for score in values["reference"]["study_scores"]),
        training_data_sha256=values["training"]["data_sha256"],
        code_version=values["training"]["code_version"],
    )


def fusion(values: dict[str, Any]) -> Fusion:
    """The weights in the table `[fusion]`, one for each kind of map."""
    map_weights, score_weights = (
        tuple(float(values[use][kind]) for kind in Kind) for use in ("map", "score")
    )
    return Fusion(map_weights=map_weights, score_weights=score_weights)


def pattern(values: dict[str, Any]) -> PatternRule:
    """The rule in the table `[pattern]`; a model without it calls every region mass-like."""
    return PatternRule(**{field.name: float(values[field.name]) for field in fields(PatternRule)})


def acceptance(values: dict[str, Any]) -> Limits:
    """The limits in the table `[acceptance]`; a model without it has none."""
    stack, single = (
        tuple(
            Limit(trait=Trait(name), **{side: float(value) for side, value in sides.items()})
            for name, sides in values.get(use, {}).items()
        )
        for use in ("stack", "single")
    )
    return Limits(stack=stack, single=single)


def thresholds_version(
    pixel: float,
    slice_: float,
    minimum_volume_ml: float,
    rule: PatternRule = ALL_MASS_LIKE,
    references: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
) -> str:
    """A short name for one set of threshold values and the rule that judges regions; `references`
    are those of slices and studies where they are not the model's own."""
    text = f"{pixel!r} {slice_!r} {minimum_volume_ml!r}"
    if rule != ALL_MASS_LIKE:
        text += f" {rule!r}"
    if references is not None:
        text += f" {references!r}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]
