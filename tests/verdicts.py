"""What a model may have said: an analysis and lesions as rows, without a study behind them."""

import math

from received import NOW, UID
from storage.enums import Outcome, Pattern, Side
from storage.records import Analysis, Lesion, SeriesUid

ANALYSIS = Analysis(
    outcome=Outcome.ABNORMAL,
    reason_code=None,
    reason=None,
    series_uid=SeriesUid(f"{UID}.1"),
    study_score=0.1 + 0.2,
    study_p_value=1e-300,
    slice_scores=(0.1, 1 / 3, math.inf),
    slice_p_values=(1.0, 5e-324, 0.5),
    pattern=Pattern.WHITE_MATTER,
    symmetry=1 / 3,
    near_ventricle=0.1 + 0.2,
    model_name="flair-gan",
    model_version="1.0.0",
    model_sha256="a" * 64,
    threshold_version="1",
    input_sha256="b" * 64,
    runtime="onnxruntime 1.28 CPU",
    code_version="0.1.0",
    created_at=NOW,
)


def lesion(number: int) -> Lesion:
    """A lesion with a value in every field that may have one."""
    return Lesion(
        number=number,
        tracking_uid=f"2.25.{number}",
        volume_ml=12.5 / number,
        diameter_mm=31.25,
        centroid_mm=(-10.1, 20.2, 30.3),
        peak_score=9.75,
        mean_score=4.5,
        slice_index=11,
        mass_like=number == 1,
        mass_score=1 / 3,
        extent_mm=30.0,
        thickness_mm=12.4,
        compactness=0.7,
        asymmetry=0.1 + 0.2,
        contrast=-0.05,
        ventricle_mm=None,
        near_ventricle=None,
        surface_mm=2.5,
        side=Side.LEFT,
        level=None,
    )
