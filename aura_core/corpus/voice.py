"""Which voices speak the demo corpus. Light: a cached run only asks for the names."""

import shutil
from collections.abc import Collection

from aura_core.errors import AuraError

VOICE = "pinned:joe-medium"
PIPER = "piper"
SLOW_PIPER = "piper-slow"
# flite takes an unknown voice for its default one, in silence: so they are listed here.
_FLITE_VOICES = ("awb", "kal16", "rms", "slt")
COMMANDS: dict[str, tuple[str, ...]] = {
    "espeak-ng": ("espeak-ng", "-v", "en-us", "-s", "170", "--stdout"),
    "flite": ("flite", "-o", "/dev/stdout", "-t"),
    **{
        f"flite:{voice}": ("flite", "-voice", voice, "-o", "/dev/stdout", "-t")
        for voice in _FLITE_VOICES
    },
}
VOICES = (PIPER, *COMMANDS)


def second_voice(train_voices: Collection[str] = (PIPER,)) -> str:
    """The voice of the split `voice`: a synthesiser that is installed and speaks nothing else.

    Part of the corpus's identity, as it depends on the machine. Piper slowed, if there is none.
    """
    heard = {_program(voice) for voice in train_voices}
    unheard = (name for name in COMMANDS if _program(name) not in heard)
    return next((name for name in unheard if shutil.which(_program(name))), SLOW_PIPER)


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
