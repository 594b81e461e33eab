"""The candidate's report and card: figures of both models, what they rest on, what they are not."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.model_toml import ModelDescription
from model_training.evaluation import report
from model_training.evaluation.resampling import DRAWS
from model_training.evaluation.tables import number, table
from model_training.retraining import comparing
from model_training.retraining.checking import Checked
from model_training.retraining.comparing import Line

CARD_FILE = "card.md"
ALPHA_STUDIES = 19  # p-values of .05 need as many studies to be read from
CAUTION = """\
Nobody in this collection has a tumour, so nothing here says how well either model finds disease.
Lesions are drawn into each slice, which is shown once with and once without: irregular, from hardly
to clearly brighter than brain, and the same with the sign turned."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a candidate came from. `slices` are those it learnt from; `goes_on` tells whether it
    began with the base's weights; `steps` and `best_step` are where training stopped and where it
    looked best."""

    candidate: ModelDescription
    base: ModelDescription
    checked: Checked
    goes_on: bool
    recipe: str
    slices: int
    steps: int
    most_steps: int
    best_step: int


def as_report(of: Facts, found: list[Line], scores: str, figures: Mapping[str, str]) -> str:
    """The whole report."""
    held_back = of.checked.patients["test"]
    parts = [
        f"# {of.candidate.name} {of.candidate.version} beside {of.base.version}",
        "Research use only. " + said(of),
        f"## Both models on {held_back} held-back patients\n\n{CAUTION}\n\nBrackets: 95 % interval "
        f"from drawing scans anew, {DRAWS} times, for shares of scans the exact binomial one; the "
        "difference is drawn in pairs. With so few "
        "patients [.000, .000] says no more than that all drawn scans agree. Each model is judged "
        f"at its own thresholds.\n\n{comparing.as_table(found)}",
        f"## Scores of tumour-free slices\n\n{scores}",
        provenance(of),
        report.pictures(figures),
    ]
    return "\n\n".join(parts) + "\n"


def said(of: Facts) -> str:
    """In one sentence what the candidate is."""
    base = f"{of.base.name} {of.base.version}"
    learnt = f"{of.checked.patients['train']} tumour-free patients of the site"
    if of.goes_on:
        return f"It goes on from the weights of {base} with scans of {learnt}."
    return f"It learnt anew, by the recipe {of.recipe}, from scans of {learnt}."


def provenance(of: Facts) -> str:
    """Which graphs and data."""
    rows = [
        ["candidate, sha256", f"`{of.candidate.sha256}`"],
        ["base model, sha256", f"`{of.base.sha256}`"],
        ["brain network, sha256", f"`{of.candidate.brain_sha256}`"],
        ["training data, sha256", f"`{of.candidate.training_data_sha256}`"],
        ["made by", of.candidate.code_version],
    ]
    return "## Provenance\n\n" + table(["what", ""], rows)


def as_card(of: Facts, found: list[Line]) -> str:
    """What somebody must know before the candidate reads a study."""
    chosen = [line for line in found if line.what in KEY_FIGURES]
    parts = [
        f"# {of.candidate.name} {of.candidate.version}",
        "**RESEARCH USE ONLY.** A candidate made by a retraining at a site; no person has yet "
        "looked at it yet. The whole comparison is in [report.md](report.md).",
        f"## What it is\n\n{said(of)} {stopped(of)}\n\n{counts(of)}",
        f"## Figures\n\n{comparing.as_table(chosen)}",
        f"## What was learnt at the site, and what was carried over\n\n{learnt(of)}",
        f"## Limits\n\n{limits(of)}",
    ]
    return "\n\n".join(parts) + "\n"


KEY_FIGURES = (
    "scans with any mark",
    "slices with a mark",
    "error of restoration, untouched brain",
    "bright lesions: AUROC of slices",
    "dark lesions: AUROC of slices",
)


def stopped(of: Facts) -> str:
    """How long it learnt."""
    why = (
        "as many as the recipe allows"
        if of.steps >= of.most_steps
        else f"stopped early: it looked best at step {of.best_step} and not better afterwards"
    )
    return f"It learnt for {of.steps} steps from {of.slices} slices ({why})."


def counts(of: Facts) -> str:
    """How many patients did what."""
    checked = of.checked
    rows = [
        ["scans taken", str(checked.taken)],
        ["patients learnt from", str(checked.patients["train"])],
        [
            "patients for the thresholds and for stopping",
            str(checked.patients["calibration"]),
        ],
        ["patients held back for the comparison", str(checked.patients["test"])],
        ["scans whose white-matter lesions were cut out", str(checked.white_matter)],
        ["scans left out as unsuitable", str(len(checked.left_out))],
    ]
    return table([f"data ({checked.kind})", ""], rows)


def learnt(of: Facts) -> str:
    """One line for each part that decides an answer."""
    own = of.candidate.thresholds
    patients = of.checked.patients["calibration"]
    part = "carried over" if of.goes_on else "learnt on synthetic lesions in calibration slices"
    pixel = (
        "carried over: with the same weights of maps it means the same"
        if of.goes_on
        else "0.1 % of the pixels of the calibration slices pass"
    )
    carried = "carried over: tumour-free scans cannot teach it"
    rows = [
        ["networks", "the site's training patients"],
        ["weights of the kinds of maps", part],
        ["slice threshold", f"{number(own.slice)}: 5 % of the slices of {patients} patients pass"],
        ["p-values", f"slices and scans of the same {patients} patients"],
        ["pixel threshold", f"{number(own.pixel)}: {pixel}"],
        ["least volume of a region", f"{own.minimum_volume_ml:g} ml: carried over"],
        ["what parts masses from white-matter disease (`[pattern]`)", carried],
        [
            "which images are read (`[acceptance]`)",
            "carried over: the site's scans all lie inside, and are too few to set new limits",
        ],
        ["brain network", "carried over"],
    ]
    return table(["part", "where it comes from"], rows)


def limits(of: Facts) -> str:
    """What must not be read into the figures."""
    patients = of.checked.patients
    studies = len(of.candidate.study_reference)
    lines = [
        "No scan with disease took part: whether it finds tumours better or worse than the base "
        "model is not known. Try it beside the active model first (`neurosieve models shadow`).",
        f"Its slice threshold rests on {patients['calibration']} patients, by whom the training "
        "was also stopped. Calibrate it on more of the site's studies before it reads for anybody "
        "(`neurosieve thresholds calibrate`).",
        f"The comparison rests on {patients['test']} patients. If the base model learnt from scans "
        "of these patients before, it has an advantage there.",
        "The scans were taken as tumour-free because the site said so; nobody has checked it.",
    ]
    if studies < ALPHA_STUDIES:
        lines.insert(
            2,
            f"P-values of whole studies are read from {studies} scans and cannot go below "
            f"{number(1 / (studies + 1))}; .05 needs {ALPHA_STUDIES}.",
        )
    return "\n".join(f"- {line}" for line in lines)
