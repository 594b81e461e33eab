"""Images received per second from DCMTK's storescu: our node beside Orthanc and DCMTK's storescp.

Our node syncs file and folder before it says Success. Orthanc runs with its defaults (it syncs
each file, SyncStorageArea, and not the folder), storescp writes without syncing. Each image is new
to its receiver. What it costs besides: processor time, fsyncs, memory, and idle associations.
"""

import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import harness
from benchmarks.harness import OURS, Figure, Report
from benchmarks.receivers import ORTHANC, Receiver, Sender, receivers
from reception import association_to

SIDES = (256, 512)
ASSOCIATIONS = (1, 4)
SYNCED_IMAGES = 100  # of which the fsyncs are counted
IDLE = 10  # associations at a time
IDLE_SECONDS = 5.0


def main() -> int:
    """Print the figures; 1 when a wanted one was missed."""
    options = harness.parser(__doc__)
    options.add_argument("--images", type=int, default=240, help="images sent in each round")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="neurosieve-bench-") as folder:
        scratch = Path(folder)
        senders = {side: Sender(scratch, side) for side in SIDES}
        with receivers(scratch) as found:
            figures: list[Figure] = []
            for side in SIDES:
                for associations in ASSOCIATIONS:
                    figures += speed(
                        found,
                        senders[side],
                        what=f"images of {side} x {side}, {associations} at once",
                        associations=associations,
                        images=chosen.images,
                        rounds=chosen.rounds,
                    )
            figures += [syncs(found, senders[256])] if shutil.which("strace") else []
            figures += [memory(found[OURS]), idle(found[OURS])]
    missing = [] if ORTHANC in found else ["Orthanc (Debian package orthanc)"]
    missing += [] if shutil.which("strace") else ["fsyncs (Debian package strace)"]
    return harness.report(
        Report(benchmark="receive", figures=figures, missing=missing), chosen.json
    )


def speed(
    found: dict[str, Receiver],
    sender: Sender,
    *,
    what: str,
    associations: int,
    images: int,
    rounds: int,
) -> list[Figure]:
    """Images per second and processor time an image of all receivers, in turns."""
    used: dict[str, list[float]] = {name: [] for name in found}

    def rate(name: str) -> float:
        receiver = found[name]
        before = receiver.cpu_seconds()
        seconds = sender.send(receiver, images=images, associations=associations)
        used[name].append((receiver.cpu_seconds() - before) * 1000 / images)
        receiver.empty()
        return images / seconds

    rates = harness.interleave({name: partial(rate, name) for name in found}, rounds=rounds)
    figure = Figure(what=what, unit="images/s", values=rates, more_is_better=True)
    if ORTHANC in found:
        kept = figure.ratio(ORTHANC) >= 1.0
        figure = replace(figure, wanted="at least 1.0 x Orthanc", kept=kept)
    return [figure, Figure(what=f"processor, {what}", unit="ms an image", values=used)]


def syncs(found: dict[str, Receiver], sender: Sender) -> Figure:
    """Calls of fsync and fdatasync an image, with four associations at once."""
    values = {}
    for name, receiver in found.items():
        send = partial(sender.send, receiver, images=SYNCED_IMAGES, associations=4)
        values[name] = [receiver.syncs(send) / SYNCED_IMAGES]
        receiver.empty()
    return Figure(what="fsyncs, four at once", unit="an image", values=values)


def memory(ours: Receiver) -> Figure:
    """The most that our listener held."""
    return Figure(what="peak memory", unit="MB", values={OURS: [ours.peak_megabytes()]})


def idle(ours: Receiver) -> Figure:
    """What an open association costs that sends nothing."""
    without = _share(ours)
    with ExitStack() as stack:
        for _ in range(IDLE):
            stack.enter_context(association_to(ours.port))
        percent = (_share(ours) - without) * 100 / IDLE
    return Figure(
        what="an idle association",
        unit="% of a core",
        values={OURS: [percent]},
        wanted="under 1 % of a core",
        kept=percent < 1.0,
        remark=f"one of {IDLE}; without any the node takes {without * 100:.1f} %",
    )


def _share(ours: Receiver) -> float:
    before = ours.cpu_seconds()
    time.sleep(IDLE_SECONDS)
    return (ours.cpu_seconds() - before) / IDLE_SECONDS


if __name__ == "__main__":
    sys.exit(main())
