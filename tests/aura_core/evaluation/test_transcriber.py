import pytest
import torch

from aura_core.evaluation.transcriber import Spelling, Transcriber
from aura_core.models.whisper_encoder import load_whisper

CPU = torch.device("cpu")


def test_a_corpus_in_plain_words_is_recognised():
    assert Spelling.of(["turn on the lamp", "at five o'clock"]) == Spelling(True, True)
    assert Spelling.of(["turn on the lamp", "at 5 o'clock"]) == Spelling(True, False)
    assert Spelling.of(["Turn on the lamp."]) == Spelling(False, True)


def test_an_asr_transcript_is_brought_to_it():
    plain = Spelling(plain=True, numbers_in_words=True)
    assert plain.apply(" Twenty-one, at  five o'clock. ") == "twenty one at five o'clock"
    assert Spelling(plain=False, numbers_in_words=True).apply(" Hi,  there. ") == "Hi, there."


@pytest.fixture(scope="module")
def whisper():
    return load_whisper("pinned:whisper-tiny.en", CPU)


def test_speech_becomes_text_in_the_corpus_spelling(whisper, speak):
    audio = speak("Set a timer for twelve minutes.")
    written = Transcriber(whisper, Spelling(plain=False, numbers_in_words=False))
    spoken = Transcriber(whisper, Spelling(plain=True, numbers_in_words=True))
    assert "12 minutes" in written.transcribe([audio])[0]
    assert "a timer for twelve minutes" in spoken.transcribe([audio])[0]


def test_a_transcript_does_not_depend_on_the_loudness_of_its_neighbours(whisper, speak):
    quiet, loud = 0.02 * speak("Send a message to Anna."), speak("What is five plus nine?")
    transcriber = Transcriber(whisper, Spelling(plain=False, numbers_in_words=False))
    assert transcriber.transcribe([quiet, loud])[0] == transcriber.transcribe([quiet])[0]
