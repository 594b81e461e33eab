"""What a process of the node forbids itself: files for others to read, dumps of its memory."""

import ctypes
import os
import sys

_PR_SET_DUMPABLE = 4  # <linux/prctl.h>
_FOR_THE_OWNER_ALONE = 0o077


def keep_files_private() -> None:
    """Every file and folder made from now on is for the account that runs this, and nobody else.

    Also those that SQLite and the engine make, which no mode of ours would reach.
    """
    os.umask(_FOR_THE_OWNER_ALONE)


def forbid_core_dumps() -> None:
    """A crash leaves no image of the memory, which holds patients' names and pixels.

    The limit of 0 bytes holds for this process and its children, but not where the kernel pipes
    dumps to a program (core(5)); there, on Linux, only a process that is marked as not dumpable
    leaves none. The mark also keeps other processes of the account from reading its memory.
    """
    if sys.platform == "win32":
        return
    import resource

    if resource.getrlimit(resource.RLIMIT_CORE) != (0, 0):  # systemd forbids the call, and sets it
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
