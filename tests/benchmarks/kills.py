"""Kill the node many times under load, and count what was lost.

    python tests/benchmarks/kills.py --kills 100 --backend sqlite
    python tests/benchmarks/kills.py --kills 100 --backend postgresql --lease 5 --restarts 10

One process on SQLite; a listener and two workers on PostgreSQL. Each kill is a SIGKILL at a point
of a study's way, all points in turn: while it is received, between a file and its row, between the
last row and the enqueueing, at each step and somewhere in it, between an object at the PACS and
its note, and at any moment. `--restarts` stops PostgreSQL at once (`pg_ctl stop -m immediate`) that
often between the kills. It prints one line, and ends with 1 where anything is not zero.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import killed
from agent.demo.pacs import SimulatedPacs
from killing import ALL, POINTS, Site
from postgres import Postgres
from running import wait_until


def main() -> None:
    """Print one line of a table."""
    asked = _arguments()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="nsv-kills-") as scratch:
        folder = Path(scratch)
        with SimulatedPacs(folder / "pacs") as pacs:
            if asked.backend == "sqlite":
                verdict, line = _run(asked, Site(folder, pacs, seed=asked.seed), None)
            else:
                with Postgres(folder / "pg") as server:
                    site = Site(
                        folder,
                        pacs,
                        database_url=server.url,
                        lease_seconds=asked.lease,
                        seed=asked.seed,
                    )
                    verdict, line = _run(asked, site, server)
        print(f"| {line} | {verdict.line()} | {time.monotonic() - started:.0f} s |", flush=True)
        for name in ("lost", "stuck", "failed", "doubled", "absent", "changed"):
            for one in getattr(verdict, name)[:20]:
                print(f"  {name}: {one}")
        if not verdict.is_clean and asked.keep:
            folder.rename(asked.keep)
    sys.exit(0 if verdict.is_clean else 1)


def _run(
    asked: argparse.Namespace, site: Site, server: Postgres | None
) -> tuple[killed.Verdict, str]:
    points = (*POINTS, ALL) if server else POINTS
    every = asked.kills // (asked.restarts + 1) if asked.restarts else 0
    restarts = 0
    with site.running():
        for number in range(asked.kills):
            point = points[number % len(points)]
            site.kill_at(point)
            taken = site.takeover_seconds
            print(f"{number + 1} {point}: last takeover {taken[-1:]}", file=sys.stderr, flush=True)
            if server and every and number % every == every - 1 and restarts < asked.restarts:
                site.outlast(server.restart)
                restarts += 1
        wait_until(lambda: not site.unfinished(), timeout_seconds=300, what="the end of all")
        verdict = killed.examine(site)
    taken = sorted(site.takeover_seconds) or [float("nan")]
    return verdict, (
        f"{asked.backend}, lease {asked.lease:g} s | {sum(site.kills.values())} kills,"
        f" {restarts} restarts of the database | {len(taken)} takeovers in"
        f" {taken[0]:.1f} / {statistics.median(taken):.1f} / {taken[-1]:.1f} s"
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
    parser.add_argument("--keep", type=Path, help="where to leave everything if something is wrong")
    return parser.parse_args()


if __name__ == "__main__":
    main()
