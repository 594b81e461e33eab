"""Frame numbers of enhanced source objects in the multi-frame objects made from them."""

from pydicom.dataset import Dataset


def name_sources(result: Dataset, numbers: tuple[int, ...]) -> None:
    """Turn the frame numbers of the cut-down stand-in into those of the real enhanced object."""
    for groups in result.PerFrameFunctionalGroupsSequence:
        for derivation in groups.DerivationImageSequence:
            for image in derivation.SourceImageSequence:
                image.ReferencedFrameNumber = numbers[int(image.ReferencedFrameNumber) - 1]
