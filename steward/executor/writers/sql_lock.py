"""One executor per database, whichever home it runs from, by a lock that dies with its holder.

PostgreSQL: an advisory lock of a session of its own. SQLite: an operating-system lock on a file beside the database.
Left to others: one executor per home (``steward.executor.gates``).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from steward.crm.sql_engine import crm_error
from steward.errors import ExecutionError
from steward.messages import N_

_LOCK = 0x5354_4557_4152_45
_TRIES, _PAUSE = 20, 0.1


class DatabaseLock:
    """Held from :meth:`take` to :meth:`release`, or until the process ends."""

    def __init__(self) -> None:
        self._fd = -1
        self._session: Connection | None = None

    def take(self, engine: Engine) -> None:
        """Take the lock.

        Raises
        ------
        ExecutionError
            Another executor holds it.
        """
        if engine.dialect.name == "postgresql":
            session: Connection | None = None
            try:
                session = engine.connect()
                taken = self._try(session)
                session.commit()  # the lock is the session's; no transaction stays open
            except SQLAlchemyError as error:
                if session is not None:
                    session.close()
                raise crm_error(error, engine) from None
            if not taken:
                session.close()
                raise _other()
            self._session = session
            return
        database = (engine.url.database or "").removeprefix("file:").partition("?")[0]
        if not database:
            return
        self._fd = os.open(f"{database}.steward-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.release()
            raise _other() from None

    @staticmethod
    def _try(session: Connection) -> bool:
        """Ask for a few seconds: the server may not have noticed yet that the last holder was killed."""
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_PAUSE)
            if session.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}).scalar():
                return True
        return False

    def release(self) -> None:
        """Let the next one in."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._session is not None:
            session, self._session = self._session, None
            # Not back into the pool: a pooled session would keep the lock. A dead server has let go of it by itself.
            with contextlib.suppress(SQLAlchemyError):
                session.invalidate()
            with contextlib.suppress(SQLAlchemyError):
                session.close()


def _other() -> ExecutionError:
    return ExecutionError(
        N_("Another executor is at work in this CRM."), next_step=N_("One executor per CRM; wait for it, or stop it.")
    )


__all__ = ["DatabaseLock"]
