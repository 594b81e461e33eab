"""The SOP classes that results are sent as (PS3.4 B.5), by the names that people know."""

from collections.abc import Mapping
from types import MappingProxyType

from pydicom import uid

from agent.dicom.objects import encoding
from agent.dicom.objects.profiles import MapValues, Profile, ReportClass, Slices
from storage.enums import Role

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


_REPORTS: Mapping[ReportClass, uid.UID] = MappingProxyType(
    {
        ReportClass.COMPREHENSIVE_3D: uid.Comprehensive3DSRStorage,
        ReportClass.COMPREHENSIVE: uid.ComprehensiveSRStorage,
        ReportClass.ENHANCED: uid.EnhancedSRStorage,
    }
)


def wanted(profile: Profile) -> dict[str, str]:
    """The transfer syntax of each SOP class that a destination of this profile receives."""
    parts = (
        (True, _REPORTS[profile.report], Role.REPORT),
        (profile.segmentation, uid.SegmentationStorage, Role.SEGMENTATION),
        (profile.heatmap is not Slices.OFF, uid.SecondaryCaptureImageStorage, Role.HEATMAP),
        (
            profile.parametric_map is not MapValues.OFF,
            uid.ParametricMapStorage,
            Role.PARAMETRIC_MAP,
        ),
        (profile.key_images, uid.KeyObjectSelectionDocumentStorage, Role.KEY_IMAGES),
        (profile.rejection_note, uid.KeyObjectSelectionDocumentStorage, Role.REJECTION_NOTE),
        (profile.derived_series, uid.MRImageStorage, Role.DERIVED_SERIES),
    )
    return {
        str(sop_class): str(encoding.syntax_of(role, profile))
        for is_sent, sop_class, role in parts
        if is_sent
    }
