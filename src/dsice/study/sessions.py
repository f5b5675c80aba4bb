"""Tracking the current session of a study, event by event.

A session begins with an event that `opens` it and names the previous session. Events of a session
after the beginning of the next one do not count: their writer had stalled and was superseded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dsice.study.events import Event


@dataclass(slots=True)
class Sessions:
    """The sessions of a journal, as far as it is read.

    Attributes:
        token: of the current session.
    """

    token: str = ""
    _over: set[str] = field(default_factory=set)

    def knows(self, token: str) -> bool:
        """Whether a session with this token has begun; it may be over."""
        return token == self.token or token in self._over

    def counts(self, event: Event) -> bool:
        """Whether an event is of the current session, or begins one; call it once per event.

        Raises:
            ValueError: it begins a session after an unknown one: lines are missing or out of order.
        """
        if event.session == self.token:
            return True
        if not event.opens or event.session in self._over:
            return False
        if event.after and event.after != self.token:
            if event.after not in self._over:
                raise ValueError(f"session {event.after}, which came before it, is missing")
            self._over.add(event.session)  # another session took over before this one could begin
            return False
        self._over.add(self.token)
        self.token = event.session
        return True
