"""What goes wrong with a server, each in one sentence."""

from scripts.foundation.errors import StudyError


class ServerError(StudyError):
    """A server did not do what it was asked."""


class MissingServerError(ServerError):
    """The server's program is not there; the technique can't run here."""


class ServerOutOfMemoryError(ServerError):
    """The server ended for lack of memory."""


class PortTakenError(ServerError):
    """Another program took the port before the server could listen on it."""


class WrongModelError(ServerError):
    """The server holds another model than it was asked for."""
