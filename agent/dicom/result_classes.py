"""The SOP classes that results are sent as (PS3.4 B.5), by the names that people know."""

from collections.abc import Mapping
from types import MappingProxyType

from pydicom import uid

NAMES: Mapping[str, str] = MappingProxyType(
    {
        str(uid.SegmentationStorage): "Segmentation",
        str(uid.Comprehensive3DSRStorage): "Comprehensive 3D SR",
        str(uid.ComprehensiveSRStorage): "Comprehensive SR",
        str(uid.EnhancedSRStorage): "Enhanced SR",
        str(uid.SecondaryCaptureImageStorage): "Secondary Capture",
        str(uid.ParametricMapStorage): "Parametric Map",
        str(uid.KeyObjectSelectionDocumentStorage): "Key Object Selection",
        str(uid.MRImageStorage): "MR Image",
    }
)


def wanted(*, heatmaps: bool) -> frozenset[str]:
    """The classes of what a destination receives: report, segmentation, and heatmaps if any."""
    always = {str(uid.Comprehensive3DSRStorage), str(uid.SegmentationStorage)}
    pictures = {str(uid.SecondaryCaptureImageStorage)} if heatmaps else set()
    return frozenset(always | pictures)
