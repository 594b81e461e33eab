"""A line between two programs that is slow, in crumbs, held up, or cut: a TCP proxy."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from reception import HOST


@dataclass(frozen=True, kw_only=True)
class Link:
    """How the line is, towards the receiver; answers come back at once."""

    crumb_bytes: int = 65536  # passed on at a time
    pause_seconds: float = 0.0  # after each crumb
    hold_seconds: float = 0.0  # before the first
    cut_after_bytes: int | None = None


@contextmanager
def link_to(port: int, link: Link) -> Iterator[int]:
    """The port of a line that ends at the given one."""
    with socket.create_server((HOST, 0)) as listening:
        thread = threading.Thread(target=_serve, args=(listening, port, link), daemon=True)
        thread.start()
        yield int(listening.getsockname()[1])
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def _serve(listening: socket.socket, port: int, link: Link) -> None:
    threads = []
    while True:
        try:
            near, _ = listening.accept()
        except OSError:  # closed at the end of the test
            break
        threads.append(threading.Thread(target=_relay, args=(near, port, link), daemon=True))
        threads[-1].start()
    for thread in threads:
        thread.join(10)


def _relay(near: socket.socket, port: int, link: Link) -> None:
    with near, socket.create_connection((HOST, port)) as far:
        back = threading.Thread(target=_pass_on, args=(far, near, Link()), daemon=True)
        back.start()
        time.sleep(link.hold_seconds)
        _pass_on(near, far, link)
        if link.cut_after_bytes is None:
            back.join(10)
        for one in (near, far):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        back.join(10)


def _pass_on(source: socket.socket, target: socket.socket, link: Link) -> None:
    left = link.cut_after_bytes
    with contextlib.suppress(OSError):
        while left is None or left > 0:
            crumb = source.recv(link.crumb_bytes if left is None else min(link.crumb_bytes, left))
            if not crumb:
                break
            target.sendall(crumb)
            left = None if left is None else left - len(crumb)
            if link.pause_seconds:
                time.sleep(link.pause_seconds)
        if left is None:
            target.shutdown(socket.SHUT_WR)
