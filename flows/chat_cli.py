"""`aura chat`: turns of text and audio files in the terminal."""

import re
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from aura_core.config.instructions import TRANSCRIBE
from aura_core.errors import AuraError
from flows.options import Count
from flows.request import resolve_root
from flows.speak_cli import read_audio

if TYPE_CHECKING:
    from aura_core.chat.reply import ChatModel
    from aura_core.turns import Turn

# A file, quoted if it has spaces, and the rest of the line: a question may hold an apostrophe.
_AUDIO = re.compile(r"""("[^"]+"|'[^']+'|\S+)\s*(.*)""")
_HELP = """\
TEXT                     say something
/audio FILE [QUESTION]   play a file of at most 30 s (quote a name with spaces), by default
                         with the question "Transcribe."
/reset                   start a new conversation
/quit                    end; so does Ctrl-D. Ctrl-C cuts an answer short
A model trained on single turns with one clip does those best: later turns are what its LLM
makes of them."""


def chat(
    model: str | None = None,
    *,
    root: str | None = None,
    max_new_tokens: Count = 256,
) -> None:
    """Talk to a model in turns, by text and audio files; answers stream.

    For example:
      aura chat --model my-model
      printf '/audio talk.wav "Who speaks?"\\n' | aura chat --model cascade

    Answers go to the standard output; prompts, times to the first token and errors to the other.

    Parameters
    ----------
    model:
        A distil artifact, a folder of `aura export`, or a run; or the name of one of the run's
        models: aura, a variant of it, or cascade. [default: the newest run below the root]
    root:
        Folder or s3:// URI of all artifacts. [default: $AURA_ROOT, else ./runs]
    max_new_tokens:
        The longest answer.
    """
    from aura_core.chat.run_models import find_models

    models = find_models(model, resolve_root(root))
    _say(models.describe(models.main))
    models.prepare(models.main)
    session = Session(models[models.main], max_new_tokens)
    _say("say something, or /audio FILE [QUESTION]; /help for more")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        session.run(_typed() if sys.stdin.isatty() else map(str.rstrip, sys.stdin))


class Session:
    """One conversation after the other with a model."""

    def __init__(self, model: "ChatModel", max_new_tokens: int) -> None:
        self._model = model
        self._max_new_tokens = max_new_tokens
        self._turns: list[Turn] = []

    def run(self, lines: Iterable[str]) -> None:
        """Go through lines until they or the user end."""
        for line in lines:
            command, _, rest = line.strip().partition(" ")
            if command in ("/quit", "/exit"):
                return
            try:
                self._take(line.strip(), command, rest)
            except AuraError as error:
                _say(f"error: {error}")
            except KeyboardInterrupt:
                _say("\nstopped; the conversation is as it was before")

    def _take(self, line: str, command: str, rest: str) -> None:
        if not line:
            return
        if command == "/help":
            _say(_HELP)
        elif command == "/reset":
            self._turns.clear()
            _say("a new conversation")
        elif command == "/audio":
            self._answer(*_audio_parts(rest))
        elif command.startswith("/"):
            raise AuraError(f"no command {command}: /help lists them")
        else:
            self._answer(line)

    def _answer(self, *parts: object) -> None:
        """Stream an answer; a turn that fails leaves the conversation as it was."""
        from aura_core.turns import Turn

        asked = Turn("user", parts)  # type: ignore[arg-type]
        began, first_s, said = time.perf_counter(), None, ""
        reply = self._model.reply([*self._turns, asked], self._max_new_tokens)
        for piece in reply:
            first_s = first_s or time.perf_counter() - began
            said += piece
            print(piece, end="", flush=True)
        print(flush=True)
        first_s = first_s or time.perf_counter() - began
        cut = ", cut at its longest" if reply.finish_reason == "length" else ""
        _say(f"[first token {1000 * first_s:.0f} ms, {reply.completion_tokens} tokens{cut}]")
        self._turns += [asked, Turn("assistant", (said,))]


def _audio_parts(rest: str) -> tuple[object, str]:
    found = _AUDIO.fullmatch(rest.strip())
    if found is None:
        raise AuraError("/audio: name a file, as in /audio talk.wav What is wanted?")
    from aura_core.config.stage import MAX_CLIP_S
    from aura_core.speech_check import has_speech

    file, question = (each.strip("\"'") for each in found.groups())
    audio = read_audio(Path(file).expanduser(), MAX_CLIP_S)
    if not has_speech(audio):
        raise AuraError(f"{file}: nobody speaks in it")
    return audio, question or TRANSCRIBE


def _typed() -> Iterator[str]:
    """Lines of a terminal, until Ctrl-D."""
    # Lets a line be edited.
    import readline  # noqa: F401

    while True:
        try:
            yield input("> ")
        except EOFError:
            return


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
