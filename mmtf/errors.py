"""The one exception that says: this is yours to mend, and the message says how."""


class UserError(ValueError):
    """Bad input, found before any long work: what was wanted, what came, which flag or file to change.

    Scripts print its message without a traceback.
    """
