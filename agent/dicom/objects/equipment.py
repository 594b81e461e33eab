"""What every result object says about patient, study, maker, time and intended use."""

from copy import copy, deepcopy
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any, Final

import highdicom
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.sr.coding import Code
from pydicom.uid import UID, ExplicitVRLittleEndian

from agent.dicom import codes, identifiers
from agent.dicom.frames import Frame
from agent.dicom.identifiers import Part
from agent.dicom.objects import profiles
from agent.dicom.objects.context import ResultContext
from agent.dicom.objects.profiles import LONGEST_DESCRIPTION
from agent.dicom.wire import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from storage.enums import Outcome, Role

MANUFACTURER: Final = "NeuroSieve"

# Patient (PS3.3 C.7.1.1, C.7.2.2) and study (C.7.2.1): the objects belong where the images are.
_REQUIRED: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
)
# Some scanners write "0000" or "X"; archives refuse what is not one of these (PS3.3 C.7.1.1).
_SEXES: Final = ("M", "F", "O")
_COPIED: Final = (
    *_REQUIRED,
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "TypeOfPatientID",
    "OtherPatientIDsSequence",
    "PatientBirthTime",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyDescription",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianIdentificationSequence",
    "ProcedureCodeSequence",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
)


def stand_in(image: Dataset) -> Dataset:
    """An image reduced to its names, with the attributes highdicom insists on left empty.

    highdicom refuses what scanners write (a sex "X", a date "19700000", no Study ID); the real
    values are copied unread afterwards, by `stamp`.
    """
    reduced = Dataset({tag: copy(element) for tag, element in _blank().items()})
    reduced.update(named(image))
    reduced.Modality = Frame(image).text("Modality") or "OT"
    return reduced


def named(image: Dataset) -> Dataset:
    """An image reduced to its UIDs."""
    reduced = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(reduced, keyword, UID(str(image.get(keyword))))
    return reduced


@cache
def _blank() -> Dataset:
    """The required attributes, empty."""
    blank = Dataset()
    for keyword in _REQUIRED:
        setattr(blank, keyword, "")
    return blank


def series_uid(context: ResultContext, role: Role) -> str:
    """The series that holds the objects of a role."""
    return identifiers.uid(context.namespace, context.identity, Part.SERIES, role, *context.form)


def instance_uid(context: ResultContext, role: Role, *parts: object) -> str:
    """One object of a role; `parts` tell several of them apart."""
    return identifiers.uid(context.namespace, context.identity, role, *context.form, *parts)


def names(context: ResultContext, role: Role) -> dict[str, Any]:
    """What highdicom's constructors ask of the one object of a role."""
    return {
        "series_instance_uid": series_uid(context, role),
        "series_number": context.series_number(role),
        "sop_instance_uid": instance_uid(context, role),
        "instance_number": 1,
        "manufacturer": MANUFACTURER,
    }


def device(context: ResultContext) -> dict[str, Any]:
    """What its constructors of images ask of the maker beside that."""
    return {
        "manufacturer_model_name": model_title(context)[:64],
        "software_versions": context.analysis.code_version[:64],
        "device_serial_number": serial_number(context),
        "content_creator_name": f"{context.device_name}^",
        "transfer_syntax_uid": ExplicitVRLittleEndian,
    }


def software_versions(context: ResultContext) -> list[str]:
    """Versions of the agent and of its model."""
    return [f"agent {context.analysis.code_version}"[:64], model_title(context)[:64]]


def model_title(context: ResultContext) -> str:
    """Name and version of the model."""
    return f"{context.analysis.model_name} {context.analysis.model_version}".strip() or "no model"


def serial_number(context: ResultContext) -> str:
    """Tells installations apart."""
    return context.namespace.hex[:16]


def local_time(context: ResultContext) -> datetime:
    """When the result was made, in the time zone that the other times of the study are in.

    Where the study does not say, that is taken to be this machine's.
    """
    offset = Frame(context.head).text("TimezoneOffsetFromUTC")
    try:
        minutes = int(offset[:-2]) * 60 + int(offset[0] + offset[-2:])
        return context.analysis.created_at.astimezone(timezone(timedelta(minutes=minutes)))
    except (ValueError, IndexError):
        return context.analysis.created_at.astimezone()


def series_description(context: ResultContext, role: Role) -> str:
    """What a list of series shows. That nothing was analysed must be seen without opening it."""
    described = printable(context.profile.series_description(role), context)
    if context.analysis.outcome is not Outcome.NOT_ANALYSED:
        return described
    warned = f"NOT ANALYSED - {described}"
    if len(warned) > LONGEST_DESCRIPTION:
        warned = f"NOT ANALYSED - {profiles.USUAL.series_description(role)}"
    return warned


def stamp(result: Dataset, context: ResultContext, role: Role) -> None:
    """Write the headers that every result object has, over whatever stood there."""
    _copy_patient_and_study(context.head, result)
    made = local_time(context)
    for kind in ("InstanceCreation", "Content", "Series"):
        setattr(result, f"{kind}Date", made.strftime("%Y%m%d"))
        setattr(result, f"{kind}Time", made.strftime("%H%M%S.%f"))
    result.SeriesInstanceUID = UID(series_uid(context, role))
    result.SeriesNumber = context.series_number(role)
    result.SeriesDescription = series_description(context, role)
    result.ContentQualification = "RESEARCH"
    result.Manufacturer = MANUFACTURER
    result.ManufacturerModelName = model_title(context)[:64]
    result.SoftwareVersions = software_versions(context)
    result.DeviceSerialNumber = serial_number(context)
    result.ContributingEquipmentSequence = Sequence(_contributors(context))
    result.file_meta = _file_meta(result)


def coded(concept: Code) -> Dataset:
    """A concept as the item of a code sequence."""
    return highdicom.sr.CodedConcept(concept.value, concept.scheme_designator, concept.meaning)


def coding_scheme() -> Sequence:
    """Who answers for our private codes (PS3.3 C.12.1, Coding Scheme Identification)."""
    item = Dataset()
    item.CodingSchemeDesignator = codes.PRIVATE_SCHEME
    item.CodingSchemeName = codes.PRIVATE_SCHEME_NAME
    item.CodingSchemeResponsibleOrganization = MANUFACTURER
    return Sequence([item])


def printable(text: str, context: ResultContext) -> str:
    """Text with a question mark for each character that the study's character set lacks."""
    named = context.head.get("SpecificCharacterSet") or "ISO_IR 6"
    known = convert_encodings(named if isinstance(named, str) else list(named))
    # pydicom takes the default repertoire for Latin-1; it is ASCII alone (PS3.5 6.1.2.1).
    encodings = [encoding for encoding in known if encoding != default_encoding]
    return "".join(sign if _encodable(sign, encodings) else "?" for sign in text)


def _encodable(sign: str, encodings: list[str]) -> bool:
    if sign.isascii():
        return sign.isprintable()
    for encoding in encodings:
        try:
            sign.encode(encoding)
        except (UnicodeError, LookupError):
            continue
        return True
    return False


def _copy_patient_and_study(image: Dataset, result: Dataset) -> None:
    for keyword in _COPIED:
        if Frame(image).value(keyword) is not None:
            result[keyword] = deepcopy(image[keyword])
        elif keyword in _REQUIRED:
            setattr(result, keyword, "")
        elif keyword in result:
            delattr(result, keyword)
    result.StudyInstanceUID = image.StudyInstanceUID
    if result.PatientSex not in _SEXES:
        result.PatientSex = ""


def _contributors(context: ResultContext) -> list[Dataset]:
    """The scanner and the model (PS3.3 C.12.1, Contributing Equipment Sequence)."""
    frame = Frame(context.head)
    scanner = Dataset()
    scanner.PurposeOfReferenceCodeSequence = Sequence([coded(codes.ACQUISITION_EQUIPMENT)])
    scanner.Manufacturer = frame.text("Manufacturer") or "unknown"
    for keyword in ("InstitutionName", "StationName", "ManufacturerModelName"):
        if frame.text(keyword):
            setattr(scanner, keyword, frame.text(keyword))
    model = Dataset()
    model.PurposeOfReferenceCodeSequence = Sequence([coded(codes.PROCESSING_EQUIPMENT)])
    model.Manufacturer = MANUFACTURER
    model.ManufacturerModelName = model_title(context)[:64]
    model.SoftwareVersions = software_versions(context)
    model.DeviceSerialNumber = serial_number(context)
    model.DeviceUID = UID(identifiers.model_uid(context.namespace, context.analysis.model_sha256))
    model.ContributionDateTime = local_time(context).strftime("%Y%m%d%H%M%S.%f%z")
    model.ContributionDescription = "Anomaly detection, research use only"
    toolkit = Dataset()
    toolkit.PurposeOfReferenceCodeSequence = Sequence([coded(codes.PROCESSING_EQUIPMENT)])
    toolkit.Manufacturer = "highdicom developers"
    toolkit.ManufacturerModelName = "highdicom"
    toolkit.SoftwareVersions = highdicom.__version__
    toolkit.ContributionDescription = "Encoding of the object"
    return [scanner, model, toolkit]


def name_dimensions(result: Dataset, context: ResultContext, role: Role) -> None:
    """Replace the random UID that highdicom gives the dimensions (PS3.3 C.7.6.17)."""
    parts = (Part.DIMENSIONS, role, *context.form)
    name = UID(identifiers.uid(context.namespace, context.identity, *parts))
    result.DimensionOrganizationSequence[0].DimensionOrganizationUID = name
    for index in result.DimensionIndexSequence:
        index.DimensionOrganizationUID = name


def _file_meta(result: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(result.SOPClassUID)
    meta.MediaStorageSOPInstanceUID = UID(result.SOPInstanceUID)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    return meta
