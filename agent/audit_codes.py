"""What each audited action is in the codes of DICOM audit messages (PS3.15 A.5.3, PS3.16 D)."""

from dataclasses import dataclass

from agent import audit_trail as trail
from storage.records import AuditEvent

Code = tuple[str, str, str]  # code, coding scheme, meaning

_DETAILS_OF_OURS = frozenset({trail.IMAGES_RECEIVED, trail.RESULTS_SENT, trail.RESULTS_NOT_SENT})


def _dcm(code: str, meaning: str) -> Code:
    return code, "DCM", meaning


APPLICATION_ACTIVITY = _dcm("110100", "Application Activity")
EXPORTED = _dcm("110106", "Export")
AUDIT_LOG_USED = _dcm("110101", "Audit Log Used")
ACCESSED = _dcm("110103", "DICOM Instances Accessed")
TRANSFERRED = _dcm("110104", "DICOM Instances Transferred")
STUDY_DELETED = _dcm("110105", "DICOM Study Deleted")
PROCEDURE_RECORD = _dcm("110111", "Procedure Record")
SECURITY_ALERT = _dcm("110113", "Security Alert")
USER_AUTHENTICATION = _dcm("110114", "User Authentication")
_SOFTWARE_CONFIGURATION = _dcm("110131", "Software Configuration")
_USER_SECURITY = _dcm("110137", "User Security Attributes Changed")

APPLICATION = _dcm("110150", "Application")
LAUNCHER = _dcm("110151", "Application Launcher")
DESTINATION_ROLE = _dcm("110152", "Destination Role ID")
SOURCE_ROLE = _dcm("110153", "Source Role ID")

STUDY_UID = _dcm("110180", "Study Instance UID")
NODE_ID = _dcm("110182", "Node ID")
PATIENT_NUMBER: Code = ("2", "RFC-3881", "Patient Number")
URI: Code = ("12", "RFC-3881", "URI")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What an action is in the terms of PS3.15 A.5.3; `act` is the EventActionCode."""

    event: Code
    act: str  # Create, Read, Update, Delete, Execute
    type: Code | None = None
    failed: bool = False


_KINDS = {
    trail.NODE_STARTED: Kind(
        event=APPLICATION_ACTIVITY, act="E", type=_dcm("110120", "Application Start")
    ),
    trail.NODE_STOPPED: Kind(
        event=APPLICATION_ACTIVITY, act="E", type=_dcm("110121", "Application Stop")
    ),
    trail.IMAGES_RECEIVED: Kind(event=TRANSFERRED, act="C"),
    trail.RESULTS_SENT: Kind(event=TRANSFERRED, act="R"),
    trail.RESULTS_NOT_SENT: Kind(event=TRANSFERRED, act="R", failed=True),
    trail.ASSOCIATION_REJECTED: Kind(
        event=SECURITY_ALERT, act="E", type=_dcm("110126", "Node Authentication"), failed=True
    ),
    trail.SIGNED_IN: Kind(event=USER_AUTHENTICATION, act="E", type=_dcm("110122", "Login")),
    trail.SIGN_IN_FAILED: Kind(
        event=USER_AUTHENTICATION, act="E", type=_dcm("110122", "Login"), failed=True
    ),
    trail.SIGNED_OUT: Kind(event=USER_AUTHENTICATION, act="E", type=_dcm("110123", "Logout")),
    trail.NAMES_SEEN: Kind(event=ACCESSED, act="R"),
    trail.STUDY_CANCELLED: Kind(event=PROCEDURE_RECORD, act="U"),
    trail.STUDY_RETRIED: Kind(event=PROCEDURE_RECORD, act="U"),
    trail.STUDY_REREAD: Kind(event=PROCEDURE_RECORD, act="U"),
    trail.STUDY_REMOVED: Kind(event=STUDY_DELETED, act="D"),
    trail.AUDIT_EXPORTED: Kind(event=AUDIT_LOG_USED, act="R"),
    trail.BACKED_UP: Kind(event=EXPORTED, act="R"),
    "user added": Kind(event=SECURITY_ALERT, act="E", type=_USER_SECURITY),
    "user removed": Kind(event=SECURITY_ALERT, act="E", type=_USER_SECURITY),
}
OF_A_STUDY = frozenset({ACCESSED, TRANSFERRED, STUDY_DELETED, PROCEDURE_RECORD})


def kind_of(action: str) -> Kind:
    """What an action is; what is not known is a change of the configuration."""
    if action.startswith("study marked"):
        return Kind(event=PROCEDURE_RECORD, act="U")
    changed = Kind(event=SECURITY_ALERT, act="E", type=_SOFTWARE_CONFIGURATION)
    return _KINDS.get(action, changed)


def detail_of(event: AuditEvent, *, in_full: bool) -> str:
    """What else was noted: in full, or only what the node wrote and no person."""
    return event.detail if in_full or event.action in _DETAILS_OF_OURS else ""
