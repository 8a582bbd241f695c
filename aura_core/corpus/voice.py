"""Which voices speak the demo corpus. Light: a cached run only asks for the names."""

import shutil
from collections.abc import Collection

from aura_core.errors import AuraError

VOICE = "pinned:joe-medium"
PIPER = "piper"
SLOW_PIPER = "piper-slow"
# flite takes an unknown voice for its default one, in silence: so they are listed here.
COMMANDS = {
    "espeak-ng": ("espeak-ng", "-v", "en-us", "-s", "170", "--stdout"),
    "flite": ("flite", "-o", "/dev/stdout", "-t"),
    "flite:awb": ("flite", "-voice", "awb", "-o", "/dev/stdout", "-t"),
    "flite:kal16": ("flite", "-voice", "kal16", "-o", "/dev/stdout", "-t"),
    "flite:rms": ("flite", "-voice", "rms", "-o", "/dev/stdout", "-t"),
    "flite:slt": ("flite", "-voice", "slt", "-o", "/dev/stdout", "-t"),
}
VOICES = (PIPER, *COMMANDS)
_SECOND_VOICES = ("espeak-ng", "flite")


def second_voice(train_voices: Collection[str] = (PIPER,)) -> str:
    """The voice of the split `voice`: a synthesiser that is installed and speaks nothing else.

    Part of the corpus's identity, as it depends on the machine. Piper slowed, if there is none.
    """
    heard = {_program(voice) for voice in train_voices}
    return next(
        (name for name in _SECOND_VOICES if name not in heard and shutil.which(name)), SLOW_PIPER
    )


def require_installed(voices: Collection[str]) -> None:
    """Raise AuraError if a voice of `VOICES` needs a program that this machine lacks."""
    for voice in voices:
        program = _program(voice)
        if program != PIPER and not shutil.which(program):
            raise AuraError(
                f"the voice {voice} needs {program}, which is not installed: "
                f"apt-get install {program}, or choose other ingest.demo.train_voices"
            )


def _program(voice: str) -> str:
    return voice.partition(":")[0]
