"""Which session of a study is the present one, judged event by event.

A session begins with an event that `opens` it and that names the session before. The events of a
session after which another one began do not count: their writer had stalled and been taken over.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dsice.study.events import Event


@dataclass(slots=True)
class Sessions:
    """The sessions of a journal, as far as it was read.

    Attributes:
        token: of the present session.
    """

    token: str = ""
    _over: set[str] = field(default_factory=set)

    def knows(self, token: str) -> bool:
        """Whether a session with this token has begun, be it over or not."""
        return token == self.token or token in self._over

    def counts(self, event: Event) -> bool:
        """Whether an event is of the present session, or begins one; to be asked once of each.

        Raises:
            ValueError: it begins a session after one that never began: lines are missing, or not
                where they were written.
        """
        if event.session == self.token:
            return True
        if not event.opens or event.session in self._over:
            return False
        if event.after and event.after != self.token:
            if event.after not in self._over:
                raise ValueError(f"session {event.after}, which came before it, is missing")
            self._over.add(event.session)  # another one took over before this one could begin
            return False
        self._over.add(self.token)
        self.token = event.session
        return True
