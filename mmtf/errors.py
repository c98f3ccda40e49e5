"""The one exception that says: this is yours to mend, and the message says how."""

# A file of the other distribution that installs a module of this name, and what to say of it.
FOREIGN_FILE = ("api", "mmtf_reader.py")
FOREIGN = (
    "mmtf-python, a parser of macromolecular structures, is installed into the same folder as this mmtf, and the two cannot "
    "share an environment: uninstall both, and install one of them in an environment of its own (docs/install.md)."
)


class UserError(ValueError):
    """Bad input, found before any long work: what was wanted, what came, which flag or file to change.

    Commands print its message without a traceback.
    """


def first_line(error: Exception, longest: int = 300) -> str:
    """Return what an error of another library says, for a sentence of ours: its first line, or what kind of error it is."""
    text = (getattr(error, "message", None) or str(error)).strip() or type(error).__name__
    return text.splitlines()[0][:longest]
