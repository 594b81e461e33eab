"""The tables of tumour-free subjects and of the p-values, in Markdown."""

from collections.abc import Sequence

from model_training.evaluation.reliability import Coverage
from model_training.evaluation.studies import Alarms
from model_training.evaluation.tables import count, number, table, text
from model_training.evaluation.tumour_free import Marked

SHOWN_ALPHAS = (0.01, 0.05, 0.1, 0.2, 0.5)
COLUMNS = (
    "marked by",
    "subjects",
    "abnormal",
    "mass-like",
    "slices marked",
    "slices marked elsewhere",
    "regions per study",
    "regions elsewhere per study",
    "ml per study",
    "ml elsewhere per study",
)


def section(marked: Marked, coverage: Sequence[Coverage]) -> str:
    """Both tables with what their words mean."""
    parts = ["## Subjects without a tumour"]
    if marked:
        parts += [
            'Final regions. "Elsewhere": regions that come within 3 mm of no known lesion (white '
            "matter, multiple sclerosis) in any slice; for millilitres, what lies farther away "
            "than that. These subjects are not healthy, and the study reference was read from "
            "them: a rate of false alarms in healthy people cannot be stated from this data.",
            alarms(marked),
        ]
    parts += [
        "### Do the p-values hold?",
        "Share of tumour-free slices or studies with a p-value of at most alpha; it should be no "
        "more than alpha. Studies are compared with the other studies of the reference; over all "
        "groups together that gives even ranks whatever the scores are, so each group is shown.",
        coverages(coverage),
    ]
    return "\n\n".join(parts)


def alarms(marked: Marked) -> str:
    """Marks by way of scoring and group of subjects."""
    rows = [row(name, one) for name, groups in marked.items() for one in groups]
    total = next(iter(marked.values()))[-1]
    nothing = [f"{total.name} ({total.studies})", f"0 of {total.studies}", f"0 of {total.studies}"]
    rows.append(["nothing marked (majority)", *nothing, *[".000"] * 6])
    return table(COLUMNS, rows)


def row(name: str, one: Alarms) -> list[str]:
    """One way of scoring in one group."""
    return [
        name,
        f"{one.name} ({one.studies})",
        count(one.abnormal, one.studies),
        count(one.mass_like, one.studies),
        text(one.slices_marked),
        text(one.slices_marked_elsewhere),
        text(one.regions, 2),
        text(one.regions_elsewhere, 2),
        text(one.marked_ml, 1),
        text(one.marked_elsewhere_ml, 1),
    ]


def coverages(found: Sequence[Coverage]) -> str:
    """The observed share at some alphas, beside what p-values that hold would give."""
    rows = []
    for one in found:
        known = dict(zip(one.alphas, one.observed, strict=True))
        rows.append(
            [
                one.name,
                str(one.subjects),
                str(one.values),
                *(text(known[alpha]) for alpha in SHOWN_ALPHAS),
            ]
        )
    rows.append(["what should be (at most)", "", "", *(number(alpha) for alpha in SHOWN_ALPHAS)])
    head = ["p-values of", "subjects", "values", *(f"at most {number(a)}" for a in SHOWN_ALPHAS)]
    return table(head, rows)
