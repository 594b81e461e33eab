"""The phantom as one Enhanced MR data set."""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import EnhancedMRImageStorage

from mr_headers import decimals, item, series_headers, set_identity, set_pixels, study_headers, uid
from phantom import AXIAL, Head, Plane, affine_of, phantom


def enhanced_flair(
    *,
    slices: int = 24,
    rows: int = 64,
    columns: int = 64,
    spacing_mm: tuple[float, float, float] | None = None,
    plane: Plane = AXIAL,
    lesion: bool = True,
    study: str = "1",
    series: str = "enhanced flair",
    description: str = "AX T2 FLAIR",
    number: int = 4,
    seed: int = 0,
    head: Head | None = None,
) -> Dataset:
    """The same head as one Enhanced MR data set; frame `n` is slice `n - 1`."""
    shape = (slices, rows, columns)
    affine = affine_of(plane, shape, spacing_mm or (144 / slices, 220 / rows, 220 / columns))
    dataset = study_headers(study)
    series_headers(dataset, study, series, description, number, plane)
    set_identity(dataset, EnhancedMRImageStorage, uid("image", study, series))
    _enhanced_headers(dataset, slices)
    voxels = head(affine, shape) if head else phantom(affine, shape, lesion=lesion, seed=seed)
    set_pixels(dataset, voxels)
    dataset.SharedFunctionalGroupsSequence = Items([_shared_groups(affine, plane)])
    dataset.PerFrameFunctionalGroupsSequence = Items(
        [_frame_groups(affine, index) for index in range(slices)]
    )
    return dataset


MR_KIND: dict[str, object] = {
    "PixelPresentation": "MONOCHROME",
    "VolumetricProperties": "VOLUME",
    "VolumeBasedCalculationTechnique": "NONE",
    "ComplexImageComponent": "MAGNITUDE",
    "AcquisitionContrast": "FLUID_ATTENUATED",
}

PULSE_SEQUENCE: dict[str, object] = {
    "PulseSequenceName": "flair",
    "MRAcquisitionType": "2D",
    "EchoPulseSequence": "SPIN",
    "MultipleSpinEcho": "NO",
    "MultiPlanarExcitation": "NO",
    "PhaseContrast": "NO",
    "TimeOfFlightContrast": "NO",
    "SteadyStatePulseSequence": "NONE",
    "EchoPlanarPulseSequence": "NO",
    "SaturationRecovery": "NO",
    "SpectrallySelectedSuppression": "NONE",
    "OversamplingPhase": "NONE",
    "GeometryOfKSpaceTraversal": "RECTILINEAR",
    "SegmentedKSpaceTraversal": "FULL",
    "RectilinearPhaseEncodeReordering": "LINEAR",
    "NumberOfKSpaceTrajectories": 1,
}


def _enhanced_headers(dataset: Dataset, slices: int) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.InstanceNumber = 1
    dataset.AcquisitionNumber = 1
    dataset.AcquisitionDateTime = "20260304040601"
    dataset.AcquisitionDuration = 180.0
    dataset.AcquisitionContextSequence = Items()
    dataset.ContentDate, dataset.ContentTime = "20260304", "040601"
    dataset.ContentQualification = "PRODUCT"
    for keyword, value in (MR_KIND | PULSE_SEQUENCE).items():
        setattr(dataset, keyword, value)
    dataset.ResonantNucleus = "1H"
    dataset.KSpaceFiltering = "NONE"
    dataset.ApplicableSafetyStandardAgency = "IEC"
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.NumberOfFrames = slices
    organization = uid("dimensions", dataset.SeriesInstanceUID)
    dataset.DimensionOrganizationSequence = item(DimensionOrganizationUID=organization)
    dataset.DimensionIndexSequence = item(
        DimensionOrganizationUID=organization,
        DimensionIndexPointer=0x00209057,  # In-Stack Position Number
        FunctionalGroupPointer=0x00209111,  # Frame Content Sequence
    )


def _shared_groups(affine: NDArray[np.float64], plane: Plane) -> Dataset:
    across, down, along = (float(np.linalg.norm(affine[:3, axis])) for axis in range(3))
    brain = item(CodeValue="12738006", CodingSchemeDesignator="SCT", CodeMeaning="Brain")
    shared = Dataset()
    shared.PixelMeasuresSequence = item(
        SliceThickness=f"{across * 0.9:.6g}",
        SpacingBetweenSlices=f"{across:.6g}",
        PixelSpacing=decimals((down, along)),
    )
    shared.PlaneOrientationSequence = item(
        ImageOrientationPatient=decimals((*plane.along_row, *plane.along_column))
    )
    shared.MRImagingModifierSequence = item(
        MagnetizationTransfer="NONE",
        BloodSignalNulling="NO",
        Tagging="NONE",
        TransmitterFrequency=63.9,
        PixelBandwidth=200.0,
    )
    shared.MRFOVGeometrySequence = item(
        InPlanePhaseEncodingDirection="ROW",
        MRAcquisitionFrequencyEncodingSteps=64,
        MRAcquisitionPhaseEncodingStepsInPlane=64,
        PercentSampling=100.0,
        PercentPhaseFieldOfView=100.0,
    )
    shared.MRReceiveCoilSequence = item(
        ReceiveCoilName="Head",
        ReceiveCoilManufacturerName="",
        ReceiveCoilType="VOLUME",
        QuadratureReceiveCoil="YES",
    )
    shared.MRTransmitCoilSequence = item(
        TransmitCoilName="Body", TransmitCoilManufacturerName="", TransmitCoilType="BODY"
    )
    shared.MRAveragesSequence = item(NumberOfAverages=1.0)
    shared.FrameAnatomySequence = item(FrameLaterality="U", AnatomicRegionSequence=brain)
    shared.PixelValueTransformationSequence = item(
        RescaleIntercept="0", RescaleSlope="1", RescaleType="US"
    )
    shared.FrameVOILUTSequence = item(WindowCenter="320", WindowWidth="640")
    shared.MRImageFrameTypeSequence = item(
        FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], **MR_KIND
    )
    shared.MRTimingAndRelatedParametersSequence = item(
        RepetitionTime="9000",
        FlipAngle="90",
        EchoTrainLength="20",
        RFEchoTrainLength=20,
        GradientEchoTrainLength=0,
        SpecificAbsorptionRateSequence=item(
            SpecificAbsorptionRateDefinition="IEC_HEAD", SpecificAbsorptionRateValue=0.5
        ),
        GradientOutputType="DB_DT",
        GradientOutput=10.0,
        OperatingModeSequence=item(OperatingModeType="STATIC FIELD", OperatingMode="IEC_NORMAL"),
    )
    shared.MREchoSequence = item(EffectiveEchoTime=120.0)
    shared.MRModifierSequence = item(
        InversionRecovery="YES",
        InversionTimes=2500.0,
        FlowCompensation="NONE",
        Spoiling="NONE",
        T2Preparation="NO",
        SpectrallySelectedExcitation="NONE",
        SpatialPresaturation="NONE",
        PartialFourier="NO",
        ParallelAcquisition="NO",
    )
    return shared


def _frame_groups(affine: NDArray[np.float64], index: int) -> Dataset:
    frame = Dataset()
    frame.FrameContentSequence = item(
        FrameAcquisitionNumber=1,
        StackID="1",
        InStackPositionNumber=index + 1,
        TemporalPositionIndex=1,
        DimensionIndexValues=[index + 1],
        FrameReferenceDateTime="20260304040601",
        FrameAcquisitionDateTime="20260304040601",
        FrameAcquisitionDuration=1000.0,
    )
    frame.PlanePositionSequence = item(
        ImagePositionPatient=decimals((affine @ (index, 0, 0, 1))[:3])
    )
    return frame
