"""The states and kinds that what is stored can have."""

from enum import StrEnum


class StudyState(StrEnum):
    """Where one revision of a study stands."""

    RECEIVING = "RECEIVING"  # images may still come
    COMPLETE = "COMPLETE"  # all is here, the work is enqueued
    ANALYSING = "ANALYSING"  # a worker has it
    COMPOSED = "COMPOSED"  # the result objects are on disk
    DELIVERING = "DELIVERING"  # results are on their way to the destinations
    DELIVERED = "DELIVERED"  # every destination stored every result
    NOT_ANALYSED = "NOT_ANALYSED"  # ended with a report that says why there is no result
    FAILED = "FAILED"  # ended after the last try; a person must look
    CANCELLED = "CANCELLED"  # a person stopped it


TERMINAL_STATES = frozenset(
    {StudyState.DELIVERED, StudyState.NOT_ANALYSED, StudyState.FAILED, StudyState.CANCELLED}
)


class Priority(StrEnum):
    """How urgent a study is; STAT goes first."""

    STAT = "STAT"
    ROUTINE = "ROUTINE"


class Outcome(StrEnum):
    """How an analysis ended."""

    ABNORMAL = "ABNORMAL"
    NO_ABNORMALITY = "NO_ABNORMALITY"
    NOT_ANALYSED = "NOT_ANALYSED"


class Pattern(StrEnum):
    """What the findings of a study look like together; never a diagnosis."""

    NONE = "NONE"  # no lesion
    MASS_LIKE = "MASS_LIKE"  # at least one lesion looks like a mass
    WHITE_MATTER = "WHITE_MATTER"  # lesions, none of which does


class Side(StrEnum):
    """On which side of the brain a lesion lies."""

    LEFT = "LEFT"
    RIGHT = "RIGHT"
    MIDLINE = "MIDLINE"


class Level(StrEnum):
    """In which third of the brain's height a lesion lies."""

    UPPER = "UPPER"
    MIDDLE = "MIDDLE"
    LOWER = "LOWER"


class Role(StrEnum):
    """What a result object is for."""

    REPORT = "REPORT"
    SEGMENTATION = "SEGMENTATION"
    HEATMAP = "HEATMAP"
    PARAMETRIC_MAP = "PARAMETRIC_MAP"
    KEY_IMAGES = "KEY_IMAGES"
    DERIVED_SERIES = "DERIVED_SERIES"
    REJECTION_NOTE = "REJECTION_NOTE"


class Origin(StrEnum):
    """Where a model folder came from."""

    SHIPPED = "SHIPPED"  # with the package
    CONFIGURED = "CONFIGURED"  # named in the configuration at the first start
    IMPORTED = "IMPORTED"  # brought by a person
    RETRAINED = "RETRAINED"  # learnt here


class Change(StrEnum):
    """What a row in the history of activations did."""

    ACTIVATED = "ACTIVATED"  # another model
    THRESHOLDS = "THRESHOLDS"  # other thresholds for the same model
    ROLLED_BACK = "ROLLED_BACK"  # what was in force before


class Mark(StrEnum):
    """What a radiologist says of a study after the node has spoken."""

    NORMAL = "normal"  # nothing is there
    LESION = "lesion"  # something is there, and was found
    FALSE_POSITIVE = "false-positive"  # something was found that is nothing
    MISSED = "missed"  # something is there, and was not found


class TrainingState(StrEnum):
    """Where a training stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    REGISTERED = "REGISTERED"  # the candidate is known, and not active
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class DeliveryState(StrEnum):
    """How far one object has come on its way to one destination."""

    PENDING = "PENDING"
    STORED = "STORED"  # the peer said Success; whether it kept the object is another question
    COMMITTED = "COMMITTED"  # the peer has proven that it holds the object
    FAILED = "FAILED"


class Proof(StrEnum):
    """What says that a destination holds an object."""

    COMMITMENT = "COMMITMENT"  # storage commitment, PS3.4 annex J
    QUERY = "QUERY"  # it was found there by C-FIND or QIDO-RS
    NONE = "NONE"  # nobody asked, or the peer offers neither; STORED is the end then
