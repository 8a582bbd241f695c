"""What to say of a name that nothing has: the one that was meant, and where all are listed."""

from collections.abc import Iterable
from difflib import get_close_matches

from aura_core.errors import AuraError


def unknown(what: str, name: str, choices: Iterable[str], listing: str | None = None) -> AuraError:
    """Return the error for a name that is none of the choices.

    Args:
        what: what the name should be of, as in "recipe".
        name: as the user wrote it.
        choices: every name there is.
        listing: where they can be read, if they are too many for a line.
    """
    return AuraError(f"no {what} {name!r}: {meant_or_choices(name, choices, listing)}")


def meant_or_choices(name: str, choices: Iterable[str], listing: str | None = None) -> str:
    """Return the choice that was probably meant, and all of them or where they are listed."""
    known = list(choices)
    close = get_close_matches(name, known, n=1)
    all_of_them = listing or f"choose one of {', '.join(known)}"
    return f"did you mean {close[0]}? ({all_of_them})" if close else all_of_them
