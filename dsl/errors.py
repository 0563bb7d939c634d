"""What went wrong, in words for a user: no traceback is owed for any of these."""


class UserError(Exception):
    """An error that the command line prints as it stands."""
