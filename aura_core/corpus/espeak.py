"""espeak-ng, a synthesiser by rules, from the library that piper-tts brings for its phonemes.

Piper uses a part of what the library can do; it also speaks, some 200 times faster than real time
on one core. So there is a second synthesiser, with many voices, wherever piper is installed.
"""

import _ctypes
import ctypes
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from aura_core.corpus.voice import espeak_data, piper_folder
from aura_core.errors import AuraError

# Of espeak-ng's speak_lib.h.
_SYNCHRONOUS = 2
_RATE, _UTF8 = 1, 1
_LIBRARY = "espeak-ng.so"
_SpeechCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_int16), ctypes.c_int, ctypes.c_void_p
)


def speak(text: str, voice: str, words_per_minute: int) -> tuple[np.ndarray, int]:
    """Return float32 [samples] and their rate; the same arguments give the same samples.

    Args:
        text: what to say.
        voice: espeak-ng's name of a language and, after a plus, of a variant: `en-us+f2`.
        words_per_minute: 80 to 450.

    Raises:
        AuraError: if piper's library is not there or does not know the voice.
    """
    # The library keeps state from one call to the next, as far as random numbers. Loaded anew,
    # it has none, so that a clip depends on nothing that was spoken before it.
    library = ctypes.CDLL(str(Path(_library_copy().name, _LIBRARY)))
    try:
        return _speak(library, text.encode(), voice, words_per_minute)
    finally:
        _ctypes.dlclose(library._handle)


def _speak(
    library: ctypes.CDLL, text: bytes, voice: str, words_per_minute: int
) -> tuple[np.ndarray, int]:
    pieces: list[np.ndarray] = []

    def collect(samples: "ctypes._Pointer[ctypes.c_int16]", count: int, _events: int) -> int:
        if count > 0:
            pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    callback = _SpeechCallback(collect)
    data = espeak_data()
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, str(data).encode(), 0)
    library.espeak_SetSynthCallback(callback)
    if rate <= 0 or library.espeak_SetVoiceByName(voice.encode()):
        raise AuraError(f"espeak-ng has no voice {voice!r} in {data}: install piper-tts anew")
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))
    library.espeak_SetParameter(_RATE, words_per_minute, 0)
    size = ctypes.c_size_t(len(text) + 1)
    failed = library.espeak_Synth(text, size, 0, 0, 0, _UTF8, None, None)
    library.espeak_Terminate()
    if failed or not pieces:
        raise AuraError(f"espeak-ng cannot speak {text.decode()!r}")
    return np.concatenate(pieces).astype(np.float32) / 32768, int(rate)


@cache
def _library_copy() -> tempfile.TemporaryDirectory[str]:
    """The folder of a copy that only this module loads: piper's own stays loaded."""
    found = sorted(piper_folder().glob("espeakbridge*.so"))
    if not found:
        raise AuraError(f"no espeakbridge*.so in {piper_folder()}: install piper-tts anew")
    folder = tempfile.TemporaryDirectory(prefix="aura-espeak-")
    shutil.copy(found[0], Path(folder.name, _LIBRARY))
    return folder
