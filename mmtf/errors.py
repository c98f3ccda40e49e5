"""The one exception that says: this is yours to mend, and the message says how."""


class UserError(ValueError):
    """Bad input, found before any long work: what was wanted, what came, which flag or file to change.

    Scripts print its message without a traceback.
    """


def first_line(error: Exception, longest: int = 300) -> str:
    """What an error of another library says, for a sentence of ours: its first line, or what kind of error it is."""
    text = (getattr(error, "message", None) or str(error)).strip() or type(error).__name__
    return text.splitlines()[0][:longest]
