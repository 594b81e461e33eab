"""The tables of one group of patients with tumours or other lesions, in Markdown."""

from model_training.evaluation.cohorts import Cohort, Line
from model_training.evaluation.comparison import PIXELS, SLICES
from model_training.evaluation.tables import count, number, table, text

SLICE_COLUMNS = {
    "auroc": "AUROC",
    "average_precision": "AUPRC",
    "accuracy": "accuracy",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "sensitivity_at_5_percent": "sensitivity at 5 %",
    "false_positives_at_5_percent": "its real false-positive rate",
}
PART_COLUMNS = {
    "auroc_small": "tumour < 100 px",
    "auroc_large": "tumour >= 100 px",
    "auroc_height_matched": "same height",
}
PIXEL_COLUMNS = {
    "pixel_average_precision": "pixel AP",
    "best_dice": "best Dice (upper bound)",
    "dice_pooled": "Dice pooled",
    "dice_patient_mean": "Dice, patient mean",
    "dice_slice_mean": "Dice, tumour-slice mean",
}
SHARES = {"tumours_hit": "tumours hit (10 %)", "tumours_touched": "any overlap"}
MARK_COLUMNS = {
    "lesions_found": "lesions found (10 %)",
    "components_per_clean_slice": "detections per tumour-free slice",
    "clean_slices_that_fire": "tumour-free slices that fire",
    "false_regions_per_study": "false regions per study",
    "dice_pooled": "Dice pooled",
    "dice_patient_mean": "Dice, patient mean",
}
DIFFERENCE_COLUMNS = SLICE_COLUMNS | {"auroc_small": "AUROC, < 100 px"} | PIXEL_COLUMNS


def section(found: Cohort) -> str:
    """All tables of one group."""
    parts = [
        f"## {found.name}",
        f"{found.patients} patients, {found.slices} slices, {found.tumour_slices} of them with "
        f"lesion, {found.small_tumour_slices} with less than 100 pixels of it.",
        "### Slices",
        slices(found),
        "### Slice AUROC of parts",
        parts_of_slices(found),
        "### Pixels",
        pixels(found),
        "### Lesions and regions",
        regions(found),
        "### Lesions found over false regions per study (FROC)",
        free_response(found),
        "### By size of lesion, final regions",
        sizes(found),
        "### Studies",
        studies(found),
        "### The model less another way of scoring, paired by patient",
        differences(found),
        "### What the model's slice p-value meant here",
        meanings(found),
    ]
    return "\n\n".join(parts)


def slices(found: Cohort) -> str:
    """How well slices with and without tumour are parted; the majority's answer last."""
    rows = [
        [line.name, *(text(line.figures[key]) for key in SLICE_COLUMNS)] for line in found.lines
    ]
    tumour = found.tumour_slices * 2 > found.slices
    name = "always 'tumour' (majority)" if tumour else "never 'tumour' (majority)"
    always = {
        "auroc": ".500",
        "average_precision": number(found.tumour_slices / max(found.slices, 1)),
        "accuracy": text(found.majority_accuracy),
        "sensitivity": number(float(tumour)),
        "specificity": number(float(not tumour)),
    }
    rows.append([name, *(always.get(key, "") for key in SLICE_COLUMNS)])
    return table(["scored by", *SLICE_COLUMNS.values()], rows)


def parts_of_slices(found: Cohort) -> str:
    """AUROC of small and of large sections, and between slices of the same height."""
    rows = [[line.name, *(text(line.figures[key]) for key in PART_COLUMNS)] for line in found.lines]
    rows.append(["one answer for all (majority)", *[".500"] * len(PART_COLUMNS)])
    return table(["scored by", *PART_COLUMNS.values()], rows)


def with_map(found: Cohort) -> list[Line]:
    """The ways of scoring that draw a map."""
    return [line for line in found.lines if line.sizes]


def pixels(found: Cohort) -> str:
    """How well maps cover the lesion."""
    rows = [
        [line.name, *(text(line.figures[key]) for key in PIXEL_COLUMNS)] for line in with_map(found)
    ]
    rows.append(["nothing marked (majority)", "", ".000", ".000", ".000", ".000"])
    return table(["map of", *PIXEL_COLUMNS.values()], rows)


def regions(found: Cohort) -> str:
    """What is marked, by lesion and region: the map above its threshold, and the final regions."""
    rows = []
    for line in with_map(found):
        for kind, marks in (("map", line.map_marks), ("regions", line.region_marks)):
            shares = [count(marks[key], found.patients) for key in SHARES]
            rows.append([line.name, kind, *shares, *(text(marks[key]) for key in MARK_COLUMNS)])
    rows.append(["nothing marked (majority)", "", *[f"0 of {found.patients}"] * 2, *[".000"] * 6])
    return table(["marked by", "mask", *SHARES.values(), *MARK_COLUMNS.values()], rows)


def free_response(found: Cohort) -> str:
    """Sensitivity at fixed numbers of false regions per study."""
    curves = [line.froc for line in found.lines if line.froc is not None]
    if not curves:
        return "No way of scoring draws a map."
    rows = [
        [one.name, *(text(value) for value in one.sensitivity), text(one.mean_sensitivity)]
        for one in curves
    ]
    rows.append(["nothing marked (majority)", *[".000"] * (len(rows[0]) - 1)])
    rates = [f"at {number(rate)}" for rate in curves[0].false_regions]
    return table(["map of", *rates, "mean"], rows)


def sizes(found: Cohort) -> str:
    """Share of lesions found, and their overlap, by size."""
    rows = [
        [line.name, one.name, str(one.lesions), text(one.found), text(one.dice)]
        for line in with_map(found)
        for one in line.sizes
        if one.lesions
    ]
    rows.append(["nothing marked (majority)", "any", "", ".000", ".000"])
    return table(["marked by", "lesion, ml", "lesions", "found (10 %)", "Dice"], rows)


def studies(found: Cohort) -> str:
    """Verdicts on whole studies."""
    rows = [
        [
            line.name,
            count(line.studies.abnormal, line.studies.studies),
            count(line.studies.mass_like, line.studies.studies),
        ]
        for line in found.lines
        if line.studies is not None
    ]
    rows.append(["always 'abnormal' (majority)", f"{found.patients} of {found.patients}", ""])
    return table(["marked by", "abnormal", "mass-like"], rows)


def differences(found: Cohort) -> str:
    """The model's figures less those of each other way of scoring."""
    keys = (*SLICES, *PIXELS)
    rows = []
    for line in found.lines:
        known = {one.figure: text(one.difference) for one in line.model_less_this}
        if known:
            rows.append([line.name, *(known.get(key, "") for key in keys)])
    return table(["model less", *(DIFFERENCE_COLUMNS[key] for key in keys)], rows)


def meanings(found: Cohort) -> str:
    """The share of slices with tumour by range of the p-value."""
    share = found.tumour_slices / max(found.slices, 1)
    rows, below = [], 0.0
    for one in found.meanings:
        reach = f"{number(below, 2)} to {number(one.up_to, 2)}"
        rows.append([reach, str(one.slices), number(one.with_tumour)])
        below = one.up_to
    rows.append(["any (what the group holds)", str(found.slices), number(share)])
    return table(["p-value", "slices", "share with lesion"], rows)
