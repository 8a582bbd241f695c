"""Which voices speak the demo corpus. Light: a cached run only asks for the names."""

import shutil

VOICE = "pinned:joe-medium"
SLOW_PIPER = "piper-slow"
COMMANDS = {
    "espeak-ng": ("espeak-ng", "-v", "en-us", "-s", "170", "--stdout"),
    "flite": ("flite", "-o", "/dev/stdout", "-t"),
}


def second_voice() -> str:
    """The voice of the split `voice`: another synthesiser if one is installed, else piper slowed.

    Part of the corpus's identity, as it depends on the machine.
    """
    return next((name for name in COMMANDS if shutil.which(name)), SLOW_PIPER)
