"""Errors that the agent raises, each with whether trying again can help.

AgentError
 ├── ConfigurationError   a setting is missing or wrong                    not retryable
 ├── UnreadableInput      a file or data set cannot be read as an image    not retryable
 ├── UnusableModel        a model folder is incomplete or damaged          not retryable
 └── PeerError            a DICOM peer refused, broke off or is not there  retryable
      └── NotOffered      it does not know the service, or not for us      retryable
"""

from typing import ClassVar


class AgentError(Exception):
    """The agent could not do what was asked."""

    retryable: ClassVar[bool] = False


class ConfigurationError(AgentError):
    """A setting is missing or wrong."""


class UnreadableInput(AgentError):
    """A file or data set cannot be read as an image."""


class UnusableModel(AgentError):
    """A model folder is incomplete or damaged."""


class PeerError(AgentError):
    """A DICOM peer refused, broke off or is not there."""

    retryable: ClassVar[bool] = True


class NotOffered(PeerError):
    """A DICOM peer does not know the service that was asked for, or not for us."""
