from aura_core.evaluation.transcriber import Spelling


def test_a_corpus_in_plain_words_is_recognised():
    assert Spelling.of(["turn on the lamp", "at five o'clock"]) == Spelling(True, True)
    assert Spelling.of(["turn on the lamp", "at 5 o'clock"]) == Spelling(True, False)
    assert Spelling.of(["Turn on the lamp."]) == Spelling(False, True)


def test_an_asr_transcript_is_brought_to_it():
    plain = Spelling(plain=True, numbers_in_words=True)
    assert plain.apply(" Twenty-one, at  five o'clock. ") == "twenty one at five o'clock"
    assert Spelling(plain=False, numbers_in_words=True).apply(" Hi,  there. ") == "Hi, there."
