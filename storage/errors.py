"""Errors that storage raises.

StorageError
 ├── NotFound     the named row or file does not exist
 ├── Conflict     the change contradicts what is already stored
 ├── StoreFull    no room to keep another file safely
 ├── DamagedFile  a file is not what was written
 └── DatabaseAway the database does not answer, or is locked by others for too long
"""


class StorageError(Exception):
    """Storage could not do what was asked."""


class NotFound(StorageError):
    """The named row or file does not exist."""


class Conflict(StorageError):
    """The change contradicts what is already stored."""


class StoreFull(StorageError):
    """There is no room to keep another file safely."""


class DamagedFile(StorageError):
    """A file is not what was written, or not all of it came."""


class DatabaseAway(StorageError):
    """The database does not answer, or is locked by others for too long: it may come back."""
