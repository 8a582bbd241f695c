"""The one exception that is shown to a user as a single line."""


class AuraError(Exception):
    """A mistake the user can mend: the message says what is wrong and what to do."""
