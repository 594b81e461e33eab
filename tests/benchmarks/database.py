"""What the database's size costs: the same work over 1,000 and over 100,000 studies.

`python tests/benchmarks/database.py [--studies 1000 100000] [--backend postgresql] [--folder F]`.
A study has 100 images, so that the larger database holds ten million. Both are filled first, as
they are after months (`tests/many_studies.py`), or found in the folder where they were left; then
each thing that a node does with them is timed on both in turns. Processor and disk are the same
for both, so the ratio is what counts: above 1 the larger one was quicker.
"""

import gc
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import many_studies
import status_page
from agent import bootstrap, models_in_use
from benchmarks import harness
from benchmarks.harness import Figure
from databases import postgres_database
from grown_node import ASKED, GrownNode, command, grown, idle_worker, timed
from postgres import Postgres
from storage.database import open_database

MOST = 1.5  # times as long as over the smaller database
ROUNDS = 5

Work = Callable[[], object]


def main() -> int:
    """Fill, measure, print."""
    parser = harness.parser(__doc__, rounds=ROUNDS)
    parser.add_argument("--studies", type=int, nargs=2, default=(1000, 100_000))
    parser.add_argument("--backend", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--folder", type=Path, help="SQLite: where the databases are kept")
    wanted = parser.parse_args()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nsv-grow-")))
        folder = wanted.folder or scratch
        urls = stack.enter_context(_urls(wanted.backend, wanted.studies, folder))
        nodes = {size: _node(folder / str(size), urls[size], size) for size in wanted.studies}
        figures = [*_figures(nodes, wanted.rounds)]
        for node in nodes.values():
            node.jobs.close()
            node.database.close()
    return harness.report(
        harness.Report(benchmark=f"database on {wanted.backend}", figures=figures), wanted.json
    )


@contextmanager
def _urls(backend: str, sizes: tuple[int, int], folder: Path) -> Iterator[dict[int, str]]:
    folder.mkdir(parents=True, exist_ok=True)
    if backend == "sqlite":
        yield {size: f"sqlite:///{folder / f'{size}.db'}" for size in sizes}
        return
    with Postgres() as server, ExitStack() as stack:
        yield {size: stack.enter_context(postgres_database(server.url)) for size in sizes}


def _node(folder: Path, url: str, size: int) -> GrownNode:
    """A node over a database of that size, which is filled where it is new."""
    database = open_database(url)
    database.migrate()
    storage = bootstrap.Storage(
        database=database, store=bootstrap.open_store(status_page.settings(folder / "data"))
    )
    values = status_page.settings(folder / "data")
    bootstrap.open_models(values, storage)
    with database.read() as session:
        described = models_in_use.described_in_force(session, bootstrap.model_store(values))
        filled = many_studies.is_filled(session)
    if not filled:
        begin = time.perf_counter()
        many_studies.fill(
            database, studies=size, read_by=(described.digest, described.thresholds.version)
        )
        print(
            f"{size} studies, {size * many_studies.IMAGES} images: filled in "
            f"{time.perf_counter() - begin:.0f} s, {many_studies.megabytes(database):.0f} MB",
            file=sys.stderr,
        )
    return grown(folder, database, size)


def _figures(nodes: dict[int, GrownNode], rounds: int) -> Iterator[Figure]:
    for one in _measured():
        works = {_name(size): one.of(node) for size, node in nodes.items()}
        yield _figure(one.what, works, rounds, repeats=one.repeats, bound=one.bound)
    for path in ("/", "/studies", "/studies?state=FAILED"):
        with ExitStack() as stack:
            pages = {
                _name(size): stack.enter_context(node.page(path)) for size, node in nodes.items()
            }
            yield _figure(f"status page {path}", pages, rounds, repeats=5)
    idle = {_name(size): partial(_milliseconds_of_a_second, node) for size, node in nodes.items()}
    yield _judged("an idle worker's statements", "ms/s", harness.interleave(idle, rounds=3), "")


@dataclass(frozen=True)
class Measured:
    """One thing that a node does; `of` makes the call that is timed, the middle of some repeats."""

    what: str
    of: Callable[[GrownNode], Work]
    repeats: int = 20
    bound: bool = True


def _measured() -> Iterator[Measured]:
    for words in (("studies", "list"), ("studies", "show"), ("audit", "list")):
        yield Measured(f"`{' '.join(words)}`", partial(_command, words), 1)
    yield from (
        Measured("queries of `studies list`", lambda node: node.list_studies),
        Measured("queries of its later pages", lambda node: node.list_an_old_page),
        Measured("queries of `studies show`", lambda node: node.show_study),
        Measured("by the end of a UID alone", lambda node: node.show_study_by_its_end, 20, False),
        Measured("queries of `audit list`", lambda node: node.list_audit),
        Measured("completion check", GrownNode.look_for_complete_studies),
        Measured("enqueue an analysis", lambda node: node.enqueue),
        Measured("record 20 images of a new study", lambda node: node.record_a_new_study),
        Measured("record 20 more of a study", lambda node: node.record_more_of_a_study),
        Measured("is an object ours?", lambda node: node.ask_whether_it_is_ours),
        Measured("what is still to be sent", lambda node: node.look_for_what_is_to_be_sent),
        Measured("append to the audit", lambda node: node.append_to_audit),
        Measured(f"storage commitment of {ASKED} images", _commitment),
        Measured("reconcile", lambda node: node.reconcile),
        Measured("metrics, scraped again and again", GrownNode.scrape_metrics, 5),
        Measured("alarms for `doctor`", GrownNode.look_for_alarms, 1, False),
        Measured("retention: what may go first", lambda node: node.look_for_what_may_go),
        Measured("start: 200 files beside their rows", _comparison),
        Measured("backup: all files named", lambda node: node.name_all_files, 1, False),
    )


def _command(words: tuple[str, ...], node: GrownNode) -> Work:
    config = node.settings.node.data_dir.parent / "agent.toml"
    study = (node.middle,) if "show" in words else ()
    return partial(command, config, *words, *study)


def _milliseconds_of_a_second(node: GrownNode) -> float:
    return 1000 * idle_worker(node, seconds=5.0)


def _commitment(node: GrownNode) -> Work:
    wanted = node.sop_uids(ASKED)
    return lambda: node.answer_commitment(wanted)


def _comparison(node: GrownNode) -> Work:
    paths = node.paths(ASKED)
    return lambda: node.compare_files_with_rows(paths)


def _figure(
    what: str, works: Mapping[str, Work], rounds: int, *, repeats: int, bound: bool = True
) -> Figure:
    for work in works.values():
        work()
    gc.collect()
    contestants = {
        name: partial(_milliseconds, work, repeats=repeats) for name, work in works.items()
    }
    values = harness.interleave(contestants, rounds=rounds)
    return _judged(what, "ms", values, f"within {MOST} x" if bound else "")


def _milliseconds(work: Work, *, repeats: int) -> float:
    return 1000 * timed(work, repeats=repeats)


def _judged(what: str, unit: str, values: dict[str, list[float]], wanted: str) -> Figure:
    small, large = values
    figure = Figure(
        what=what, unit=unit, values={large: values[large], small: values[small]}, ours=large
    )
    kept = figure.ratio(small) >= 1 / MOST if wanted else None
    made = Figure(**{**vars(figure), "wanted": wanted, "kept": kept})
    print(what, {name: harness.spread(one) for name, one in made.values.items()}, file=sys.stderr)
    return made


def _name(size: int) -> str:
    return f"at {size:,}"


if __name__ == "__main__":
    sys.exit(main())
