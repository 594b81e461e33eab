"""Make the bundled demo study: one TCGA-LGG FLAIR stack, from NIfTI to classic MR DICOM.

    python deploy/tools/make_demo_study.py FLAIR.nii.gz TCGA_HT_7874_19950902 agent/demo/study

Runs the same way twice: equal input gives equal bytes. What is not known is left empty or said to
be nominal; what was changed stands in the Derivation Description of every image.
"""

import argparse
import uuid
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from agent import readers
from agent.imaging.volume import Volume

NAMESPACE = uuid.UUID("5a0f3c6e-8f4b-4c55-9f0e-2d1f6b7d9a10")

DERIVATION = (
    "Axial T2-FLAIR of the TCGA-LGG collection, The Cancer Imaging Archive, as published in the "
    "LGG Segmentation data set with 256 x 256 pixels of 8 bits. Stored as NIfTI, then as DICOM by "
    "NeuroSieve; grey values were not changed in these two steps. No segmentation is included."
)
COMMENTS = (
    "NOT FOR CLINICAL USE: demonstration data. Pixel spacing, slice distance, positions, "
    "orientation and patient position are nominal: the source does not carry them. Which side is "
    "left is assumed. Echo, repetition and inversion time, sequence variant, field strength and "
    "scanner are unknown. Images: TCGA-LGG, TCIA, doi:10.7937/K9/TCIA.2016.L4LTD3TK, CC BY 3.0."
)


def main() -> None:
    """Read the NIfTI file and write one DICOM file a slice."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("nifti", type=Path)
    parser.add_argument("patient", help="as in the data set: TCGA_<site>_<number>_<date>")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    volume = readers.read_nifti(arguments.nifti)
    for index in range(len(volume.voxels)):
        image = build(volume, index, arguments.patient)
        image.save_as(arguments.out / f"{index + 1:04d}.dcm", enforce_file_format=True)


def build(volume: Volume, index: int, patient: str) -> Dataset:
    """One slice as a classic MR image."""
    name, _, date = patient.rpartition("_")
    image = Dataset()
    _identify(image, name, date, index)
    _describe(image)
    _place(image, volume, index)
    _fill(image, volume.voxels[index])
    return image


def _uid(*parts: object) -> UID:
    return UID(f"2.25.{uuid.uuid5(NAMESPACE, '|'.join(map(str, parts))).int}")


def _identify(image: Dataset, name: str, date: str, index: int) -> None:
    """Patient, study and instance. The identifier is the public pseudonym of the collection."""
    identifier = name.replace("_", "-")
    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID = MRImageStorage
    image.SOPInstanceUID = _uid(name, "image", index)
    image.StudyInstanceUID, image.SeriesInstanceUID = _uid(name, "study"), _uid(name, "series")
    image.FrameOfReferenceUID = _uid(name, "frame of reference")
    image.PatientName, image.PatientID = f"TCGA^{identifier}", identifier
    image.IssuerOfPatientID = "TCGA"
    image.PatientBirthDate = image.PatientSex = ""
    image.PatientIdentityRemoved = "YES"
    image.DeidentificationMethod = "By The Cancer Imaging Archive, before publication"
    image.StudyDate, image.StudyTime = date, ""  # the date is part of the published name
    image.StudyID = image.AccessionNumber = image.ReferringPhysicianName = ""
    image.StudyDescription = "TCGA-LGG demonstration study"
    image.SeriesNumber, image.InstanceNumber = 1, index + 1
    image.AcquisitionNumber = None
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta = meta


def _describe(image: Dataset) -> None:
    """What the image is. FLAIR is an inversion recovery by definition; its times are unknown."""
    image.Modality = "MR"
    image.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    image.SeriesDescription = "AX T2 FLAIR"
    image.BodyPartExamined = "BRAIN"
    region = codes.SCT.Brain
    anatomy = Dataset()
    anatomy.CodeValue, anatomy.CodeMeaning = region.value, region.meaning
    anatomy.CodingSchemeDesignator = region.scheme_designator
    image.AnatomicRegionSequence = Sequence([anatomy])
    image.PatientPosition = "HFS"
    image.Manufacturer = "Unknown (data from The Cancer Imaging Archive)"
    image.ScanningSequence, image.SequenceVariant = "IR", "NONE"
    image.ScanOptions = image.MRAcquisitionType = ""
    image.RepetitionTime = image.EchoTime = image.InversionTime = None
    image.EchoTrainLength = None
    image.DerivationDescription = DERIVATION
    image.ImageComments = COMMENTS
    image.BurnedInAnnotation = "NO"


def _place(image: Dataset, volume: Volume, index: int) -> None:
    across, down, along = volume.spacing_mm
    cosines = np.r_[volume.affine[:3, 2] / along, volume.affine[:3, 1] / down]
    image.ImageOrientationPatient = [f"{value + 0.0:g}" for value in cosines]  # + 0.0: no "-0"
    image.ImagePositionPatient = [f"{v:.8g}" for v in volume.position_mm((index, 0, 0))]
    image.PixelSpacing = [f"{down:g}", f"{along:g}"]
    image.SliceThickness = image.SpacingBetweenSlices = f"{across:g}"
    image.PositionReferenceIndicator = ""


def _fill(image: Dataset, voxels: NDArray[np.float32]) -> None:
    stored = voxels.astype("<u2")
    if not np.array_equal(stored, voxels):
        raise ValueError("The grey values are no 16-bit integers.")
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = stored.shape
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelRepresentation = 0
    image.WindowCenter, image.WindowWidth = "128", "256"
    image.PixelData = stored.tobytes()


if __name__ == "__main__":
    main()
