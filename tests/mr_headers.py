"""The headers that every MR data set of the builders carries."""

import uuid
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import UID, ExplicitVRLittleEndian

from phantom import Plane

NAMESPACE = uuid.UUID("6f1d5f0e-5a0a-4f55-8d3c-3b0b6c8f2a11")


def uid(*parts: object) -> str:
    """A UID that is the same on every run."""
    return f"2.25.{uuid.uuid5(NAMESPACE, '|'.join(map(str, parts))).int}"


def study_headers(study: str) -> Dataset:
    """Patient, study and equipment headers."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "Phantom^Ellipsoid"
    dataset.PatientID = "PHANTOM-1"
    dataset.IssuerOfPatientID = "BUILDERS"
    dataset.PatientBirthDate = "19700102"
    dataset.PatientSex = "O"
    dataset.StudyInstanceUID = uid("study", study)
    dataset.StudyID = "S1"
    dataset.StudyDate = "20260304"
    dataset.StudyTime = "040506"
    dataset.StudyDescription = "MRI brain"
    dataset.AccessionNumber = "ACC-1"
    dataset.ReferringPhysicianName = "Referrer^Ruth"
    dataset.TimezoneOffsetFromUTC = "+0000"
    dataset.Modality = "MR"
    dataset.Manufacturer = "Builder"
    dataset.ManufacturerModelName = "Phantom 1"
    dataset.DeviceSerialNumber = "1"
    dataset.SoftwareVersions = "1"
    dataset.MagneticFieldStrength = "1.5"
    return dataset


def series_headers(
    dataset: Dataset, study: str, series: str, description: str, number: int, plane: Plane
) -> None:
    dataset.SeriesInstanceUID = uid("series", study, series)
    dataset.SeriesNumber = number
    dataset.SeriesDate = "20260304"
    dataset.SeriesTime = "040600"
    dataset.SeriesDescription = description
    dataset.ProtocolName = description
    dataset.BodyPartExamined = "HEAD"
    dataset.PatientPosition = plane.patient_position
    dataset.FrameOfReferenceUID = uid("frame of reference", study)
    dataset.PositionReferenceIndicator = ""


def set_pixels(dataset: Dataset, voxels: NDArray[np.uint16]) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = voxels.shape[-2:]
    dataset.BitsAllocated = 16
    dataset.BitsStored = 12
    dataset.HighBit = 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = voxels.astype("<u2").tobytes()


def set_identity(dataset: Dataset, sop_class: UID, sop_uid: str) -> None:
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = UID(sop_uid)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = UID(sop_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta


def decimals(values: Iterable[float]) -> list[str]:
    return [f"{value:.8g}"[:16] for value in values]


def item(**values: object) -> Items:
    """A sequence of one item."""
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return Items([item])
