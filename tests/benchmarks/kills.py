"""Kill the node many times under load, and count what was lost.

    python tests/benchmarks/kills.py --kills 100 --backend sqlite
    python tests/benchmarks/kills.py --kills 100 --backend postgresql --lease 5 --restarts 10

One process on SQLite; a listener and two workers on PostgreSQL. Each kill is a SIGKILL at a point
of a study's way, all points in turn: while it is received, between a file and its row, between the
last row and the enqueueing, at each step and somewhere in it, between an object at the PACS and
its note, and at any moment. The processes are forked from one that has imported everything, since
imports would take most of the time. `--restarts` stops PostgreSQL without a word (`pg_ctl stop -m
immediate`) that often between the kills, under load. It prints one line of a table, and ends with
1 where anything is not zero.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import killed
from agent.demo.pacs import SimulatedPacs
from killing import ALL, POINTS, Site
from postgres import Postgres
from preloaded import Preloaded


def main() -> None:
    """Print one line of a table."""
    asked = _arguments()
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="nsv-kills-"))
    with (
        Preloaded() as preloaded,
        SimulatedPacs(folder / "pacs") as pacs,
        Postgres() if asked.backend == "postgresql" else nullcontext() as server,
    ):
        site = Site(
            folder,
            pacs,
            database_url=server.url if server else "",
            lease_seconds=asked.lease,
            seed=asked.seed,
            launch=preloaded.launch,
        )
        with site.running():
            restarts = _kill(site, asked, server)
            site.settle()
            verdict = killed.examine(site)
    seconds = time.monotonic() - started
    print(f"| {_figures(site, asked, restarts)} | {verdict.line()} | {seconds:.0f} s |", flush=True)
    for one in (*verdict.lost, *verdict.stuck, *verdict.failed, *verdict.doubled):
        print(one)
    for one in (*verdict.absent, *verdict.changed):
        print(one)
    if not verdict.is_clean:
        sys.exit(f"Everything lies in {folder}.")
    shutil.rmtree(folder)


def _kill(site: Site, asked: argparse.Namespace, server: Postgres | None) -> int:
    """Kill at all points in turn, and restart the database now and then; how often that was."""
    points = (*POINTS, ALL) if server else POINTS
    due = {asked.kills * (n + 1) // (asked.restarts + 1) for n in range(asked.restarts)}
    for number in range(asked.kills):
        if server and number in due:
            away_seconds = site.chance.choice((0.0, 1.0, 3.0, 10.0))
            site.outlast(partial(server.restart, away_seconds=away_seconds))
            print(f"the database was away {away_seconds:g} s", file=sys.stderr, flush=True)
        point = points[number % len(points)]
        before = len(site.takeover_seconds)
        site.kill_at(point)
        taken = [f"{one:.1f}" for one in site.takeover_seconds[before:]]
        print(f"{number + 1} {point}: taken over {taken}", file=sys.stderr, flush=True)
    return len(due) if server else 0


def _figures(site: Site, asked: argparse.Namespace, restarts: int) -> str:
    taken = sorted(site.takeover_seconds) or [float("nan")]
    lease = f", lease {asked.lease:g} s" if asked.backend == "postgresql" else ""
    return (
        f"{asked.backend}{lease} | {site.kills.total()} kills, {restarts} restarts of the database"
        f" | {len(taken)} takeovers in {taken[0]:.1f} / {statistics.median(taken):.1f}"
        f" / {taken[-1]:.1f} s"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--backend", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--lease", type=float, default=5.0, help="seconds; PostgreSQL only")
    parser.add_argument("--restarts", type=int, default=0, help="of PostgreSQL")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
