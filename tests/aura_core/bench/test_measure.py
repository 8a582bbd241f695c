import numpy as np
import pytest

from aura_core.bench.measure import Speech, in_turns, median_ratio


def test_clips_have_their_length_to_the_sample_and_real_speech_in_them(ingest_uri):
    speech = Speech(ingest_uri)
    clips = speech.clips(7.3, 3, 0)
    assert [len(audio) for audio in clips.audios] == [round(7.3 * 16_000)] * 3
    assert all(np.abs(audio).max() > 0.01 for audio in clips.audios)
    assert len({audio.tobytes() for audio in clips.audios}) == 3


def test_a_batch_is_the_same_every_time_and_others_are_others(ingest_uri):
    one, again = (Speech(ingest_uri).clips(1, 2, 1) for _ in range(2))
    assert np.array_equal(one.audios, again.audios)
    assert one.texts == again.texts
    assert not np.array_equal(one.audios, Speech(ingest_uri).clips(1, 2, 0).audios)


def test_a_cut_clip_is_said_to_say_a_like_share_of_the_words(ingest_uri):
    speech = Speech(ingest_uri)
    short, long = speech.clips(0.5, 1, 0).texts[0], speech.clips(20, 1, 0).texts[0]
    assert speech.texts[0].startswith(short)
    assert 0 < len(short) < len(speech.texts[0])
    assert long.startswith(" ".join(speech.texts))


def test_every_round_has_all_of_them_and_begins_one_further_on():
    assert [in_turns(["a", "b", "c"], number) for number in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def test_a_slow_round_is_slow_for_both():
    assert median_ratio([2.0, 20.0, 2.2], [1.0, 10.0, 1.0]) == pytest.approx(2.0)


def test_rounds_must_be_equally_many():
    with pytest.raises(ValueError, match="shorter"):
        median_ratio([1.0, 2.0], [1.0])
