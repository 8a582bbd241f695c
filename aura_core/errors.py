"""What is shown to a user as a single line, and what was meant by a name that nothing has."""

import errno
import os
from collections.abc import Iterable
from difflib import get_close_matches


class AuraError(Exception):
    """A mistake the user can mend: the message says what is wrong and what to do."""


# What the user can mend of what the operating system refuses.
ADVICE = {
    errno.ENOSPC: "make room and run again",
    errno.EDQUOT: "make room and run again",
    errno.EFBIG: "look at `ulimit -f` and the file system: neither may end there",
    errno.EACCES: "change its rights or name another place",
    errno.EPERM: "change its rights or name another place",
    errno.EROFS: "name a place that can be written to",
    errno.ENOTDIR: "a file is where a folder should be: name another place",
    errno.EEXIST: "a file is where a folder should be: name another place",
    errno.EISDIR: "name a file",
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.ELOOP: "mend its links",
    errno.EMFILE: "raise `ulimit -n`",
}


def system_error_line(error: OSError, where: object = None) -> str:
    """Say what the operating system refused, where, and what to do about it.

    Args:
        error: of a system call, or of a library whose errors are of its class.
        where: is named in place of the error's own path.
    """
    # Libraries give some neither number nor path, and some a text in the number's place.
    if not isinstance(error.errno, int):
        return " ".join(str(error).split()) or type(error).__name__
    place = where or error.filename
    said = os.strerror(error.errno) + (f": {place}" if place is not None else "")
    return f"{said}; {ADVICE[error.errno]}" if error.errno in ADVICE else said


# What to say of a name that nothing has: the one that was meant, and where all are listed.


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
