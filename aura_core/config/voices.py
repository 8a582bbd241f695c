"""Which voices speak the demo corpus. Light: a cached run only asks for the names."""

import shutil
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path

import xxhash

from aura_core.errors import AuraError

VOICE = "pinned:joe-medium"
PIPER = "piper"
_ESPEAK, _FLITE = "espeak-ng", "flite"
# Our name -> espeak-ng's. They come with piper: the same everywhere.
ESPEAK_VOICES: dict[str, str] = {
    _ESPEAK: "en-us",
    **{
        f"{_ESPEAK}:{variant}": f"en-us+{variant}"
        for variant in ("f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m7", "m8")
    },
    f"{_ESPEAK}:gb": "en",
    f"{_ESPEAK}:gb-f2": "en+f2",
    f"{_ESPEAK}:nyc": "en-us-nyc",
    f"{_ESPEAK}:nyc-f2": "en-us-nyc+f2",
}
# flite takes an unknown voice for its default one, in silence: so they are listed here.
FLITE_COMMANDS: dict[str, tuple[str, ...]] = {
    _FLITE: ("flite", "-o", "/dev/stdout", "-t"),
    **{
        f"{_FLITE}:{voice}": ("flite", "-voice", voice, "-o", "/dev/stdout", "-t")
        for voice in ("awb", "kal16", "rms", "slt")
    },
}
VOICES = (PIPER, *ESPEAK_VOICES, *FLITE_COMMANDS)


def second_voice(train_voices: Collection[str] = (PIPER,)) -> str:
    """The voice of the split `voice`: of a synthesiser that speaks nothing else, if there is one.

    That is espeak-ng, or flite where espeak-ng is trained on and flite is installed: so it is part
    of the corpus's identity. Where all are trained on, it is a voice of espeak-ng that is not.

    Raises:
        AuraError: if every voice is trained on.
    """
    heard = {_program(voice) for voice in train_voices}
    if _ESPEAK not in heard:
        return _ESPEAK
    if _FLITE not in heard and shutil.which(_FLITE):
        return _FLITE
    unheard = [voice for voice in ESPEAK_VOICES if voice not in train_voices]
    if not unheard:
        raise AuraError("ingest.demo.train_voices leave no voice for the split `voice`: drop one")
    return unheard[-1]


def require_installed(voices: Collection[str]) -> None:
    """Raise AuraError if a voice of `VOICES` needs a program that this machine lacks."""
    if any(_program(voice) == _FLITE for voice in voices) and not shutil.which(_FLITE):
        voice = next(voice for voice in voices if _program(voice) == _FLITE)
        raise AuraError(
            f"the voice {voice} needs flite, which is not installed: "
            "apt-get install flite, or choose other ingest.demo.train_voices"
        )


def piper_folder() -> Path:
    """Where piper-tts is installed, without importing it. Raises AuraError if it is not."""
    spec = find_spec("piper")
    if spec is None or spec.origin is None:
        raise AuraError("piper-tts is not installed: install aura anew")
    return Path(spec.origin).parent


def espeak_data() -> Path:
    """espeak-ng's rules, dictionaries and voices: piper reads its phonemes there."""
    return piper_folder() / "espeak-ng-data"


def espeak_digest() -> str:
    """What pins how espeak-ng speaks English, and the phonemes it gives to piper."""
    total = xxhash.xxh3_128()
    for name in ("en_dict", "intonations", "phondata", "phonindex", "phontab"):
        total.update((espeak_data() / name).read_bytes())
    return f"xxh3:{total.hexdigest()}"


def _program(voice: str) -> str:
    return voice.partition(":")[0]
