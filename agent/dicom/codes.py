"""Coded concepts that our objects use, each named once.

Public codes come from SNOMED CT, DICOM (PS3.16 Annex D), LOINC and UCUM. Where none says what is
meant (no standard knows an anomaly score), the code is ours, under the scheme `PRIVATE_SCHEME`,
which every object that uses it identifies in (0008,0110).
"""

from typing import Final

from pydicom.sr.coding import Code

PRIVATE_SCHEME: Final = "99NEUROSIEVE"
PRIVATE_SCHEME_NAME: Final = "NeuroSieve anomaly detection"

BRAIN: Final = Code("12738006", "SCT", "Brain")
BRAIN_MRI: Final = Code("24590-2", "LN", "Brain MRI")
REPORT_TITLE: Final = Code("126000", "DCM", "Imaging Measurement Report")
COMMENT: Final = Code("121106", "DCM", "Comment")
IMAGE_LIBRARY: Final = Code("111028", "DCM", "Image Library")
IMPRESSION: Final = Code("121073", "DCM", "Impression")

# "Lesion" and not "neoplasm": the model knows that something deviates, not what it is.
ABNORMAL_STRUCTURE: Final = Code("49755003", "SCT", "Morphologically Abnormal Structure")
LESION_OF_BRAIN: Final = Code("301766008", "SCT", "Lesion of Brain")

ARTIFICIAL_INTELLIGENCE: Final = Code("123110", "DCM", "Artificial Intelligence")
DEVICE: Final = Code("121007", "DCM", "Device")
ACQUISITION_EQUIPMENT: Final = Code("109101", "DCM", "Acquisition Equipment")
PROCESSING_EQUIPMENT: Final = Code("109102", "DCM", "Processing Equipment")
SOURCE_IMAGE: Final = Code("121322", "DCM", "Source image for image processing operation")

VOLUME: Final = Code("118565006", "SCT", "Volume")
DIAMETER: Final = Code("81827009", "SCT", "Diameter")
MAXIMUM: Final = Code("56851009", "SCT", "Maximum")
MEAN: Final = Code("373098007", "SCT", "Mean")
LEFT: Final = Code("7771000", "SCT", "Left")
RIGHT: Final = Code("24028007", "SCT", "Right")
MIDLINE: Final = Code("261129000", "SCT", "Midline")
SUPERIOR: Final = Code("264217000", "SCT", "Superior")
INFERIOR: Final = Code("261089000", "SCT", "Inferior")

MILLILITRE: Final = Code("ml", "UCUM", "milliliter")
MILLIMETRE: Final = Code("mm", "UCUM", "millimeter")
NO_UNITS: Final = Code("1", "UCUM", "no units")

ABNORMAL: Final = Code("263654008", "SCT", "Abnormal")
NORMALITY_UNDETERMINED: Final = Code("371934000", "SCT", "Normality Undetermined")
# Not SCT 17621005 "Normal": that speaks of the patient, and a silent model does not prove health.
NO_ABNORMALITY_DETECTED: Final = Code(
    "NOABNORMALITY", PRIVATE_SCHEME, "No abnormality detected by the model"
)

# CID 6047: what a machine reads to tell "nothing found" from "not looked at".
PROCESSING_SUMMARY: Final = Code("111017", "DCM", "CAD Processing and Findings Summary")
SUCCEEDED_WITHOUT_FINDINGS: Final = Code(
    "111241", "DCM", "All algorithms succeeded; without findings"
)
SUCCEEDED_WITH_FINDINGS: Final = Code("111242", "DCM", "All algorithms succeeded; with findings")
NONE_SUCCEEDED: Final = Code("111245", "DCM", "No algorithms succeeded; without findings")

# Not SCT 4147007 "Mass" nor a code for white-matter disease: both would name a disease, and the
# model only says what its marks look like.
PATTERN: Final = Code("PATTERN", PRIVATE_SCHEME, "Pattern of the marked regions")
KIND_OF_REGION: Final = Code("REGIONKIND", PRIVATE_SCHEME, "What the marked region looks like")
MASS_LIKE: Final = Code("MASSLIKE", PRIVATE_SCHEME, "Mass-like")
WHITE_MATTER: Final = Code(
    "WHITEMATTER", PRIVATE_SCHEME, "White-matter changes, no mass-like region"
)
WHITE_MATTER_LIKE: Final = Code("WHITEMATTERLIKE", PRIVATE_SCHEME, "Like white-matter changes")
NO_REGION: Final = Code("NOREGION", PRIVATE_SCHEME, "No marked region")

MASS_SCORE: Final = Code("MASSSCORE", PRIVATE_SCHEME, "Mass score, 0 white-matter-like to 1 mass")
THICKNESS: Final = Code("THICKNESS", PRIVATE_SCHEME, "Diameter of the largest ball inside")
EXTENT: Final = Code("EXTENT", PRIVATE_SCHEME, "Extent across slices")
COMPACTNESS: Final = Code("COMPACTNESS", PRIVATE_SCHEME, "Volume over that of a ball as wide")
ASYMMETRY: Final = Code("ASYMMETRY", PRIVATE_SCHEME, "Share that no other region mirrors")
SYMMETRY: Final = Code("SYMMETRY", PRIVATE_SCHEME, "Share that another region mirrors")
CONTRAST: Final = Code("CONTRAST", PRIVATE_SCHEME, "Brighter than the other half, share of tissue")
NEAR_VENTRICLE: Final = Code("NEARVENTRICLE", PRIVATE_SCHEME, "Share within 10 mm of a ventricle")
VENTRICLE_DISTANCE: Final = Code("VENTRICLEDIST", PRIVATE_SCHEME, "Distance to the ventricles")
SURFACE_DISTANCE: Final = Code("SURFACEDIST", PRIVATE_SCHEME, "Distance to the brain's surface")

VERDICT: Final = Code("VERDICT", PRIVATE_SCHEME, "Verdict of the model")
ANOMALY_SCORE: Final = Code("ANOMSCORE", PRIVATE_SCHEME, "Anomaly score")
P_VALUE: Final = Code("PVALUE", PRIVATE_SCHEME, "p-value of the anomaly score")
INTENDED_USE: Final = Code("INTENDEDUSE", PRIVATE_SCHEME, "Intended use")
RESEARCH_ONLY: Final = Code("RESEARCHONLY", PRIVATE_SCHEME, "Research use only, not for diagnosis")
REASON_NOT_ANALYSED: Final = Code("NOTANALYSED", PRIVATE_SCHEME, "Reason for no analysis")

# No standard list knows thirds of a brain; above and below are SCT Superior and Inferior.
MIDDLE_THIRD: Final = Code("MIDDLETHIRD", PRIVATE_SCHEME, "Middle third")
# What the values of the Parametric Map are (CID 217), and where the values lie.
SALIENCY: Final = Code("130404", "DCM", "Saliency")
OF_INTEREST: Final = Code("113000", "DCM", "Of Interest")
# The IHE IOCM title under which archives hide what has been replaced (CID 7010).
REJECTED_FOR_QUALITY: Final = Code("113001", "DCM", "Rejected for Quality Reasons")

_REASONS: Final = {
    "NO_SUITABLE_SERIES": Code("NOSERIES", PRIVATE_SCHEME, "No suitable series"),
    "NOT_A_HEAD": Code("NOTAHEAD", PRIVATE_SCHEME, "Images do not show a head"),
    "BAD_GEOMETRY": Code("BADGEOMETRY", PRIVATE_SCHEME, "Slices do not form a volume"),
    "UNREADABLE_PIXELS": Code("UNREADABLE", PRIVATE_SCHEME, "Pixels cannot be decoded"),
    "UNFAMILIAR_IMAGES": Code(
        "UNFAMILIAR", PRIVATE_SCHEME, "Images unlike those the model was made for"
    ),
    "DRIFTED_SCANNER": Code("DRIFTED", PRIVATE_SCHEME, "Scores of the scanner have drifted"),
    "TECHNICAL_FAILURE": Code("FAILURE", PRIVATE_SCHEME, "Technical failure"),
}
_OTHER_REASON: Final = Code("OTHER", PRIVATE_SCHEME, "Other reason")


def reason(reason_code: str | None) -> Code:
    """The concept for an `agent.imaging.results.Reason`; a later reason reads "Other reason"."""
    return _REASONS.get(reason_code or "", _OTHER_REASON)
