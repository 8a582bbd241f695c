import pytest

from aura_core.chat.reply import Reply, TooManyPositionsError, room_for


def reply_of(text, stop=()):
    return Reply(
        iter(text.encode()),
        prompt_tokens=3,
        decode=lambda ids: bytes(ids).decode(errors="replace"),
        end_ids=(0,),
        stop=stop,
    )


@pytest.mark.parametrize(
    ("text", "stop", "answer", "tokens", "reason"),
    [
        ("ab\0never", (), "ab", 3, "stop"),
        ("ab", (), "ab", 2, "length"),
        ("ab, c", (", ",), "ab", 4, "stop"),
        ("\0", (), "", 1, "stop"),
    ],
)
def test_why_an_answer_ended_and_what_it_took(text, stop, answer, tokens, reason):
    reply = reply_of(text, stop)
    assert "".join(reply) == answer
    assert (reply.completion_tokens, reply.finish_reason) == (tokens, reason)


def test_nothing_is_decoded_before_it_is_asked_for():
    reply = reply_of("abc")
    assert reply.completion_tokens == 0
    assert next(iter(reply)) == "a"
    assert reply.completion_tokens == 1


def test_an_answer_has_the_room_that_the_conversation_leaves():
    assert room_for(100, 10, 64) == 54
    assert room_for(5, 10, 64) == 5
    with pytest.raises(TooManyPositionsError, match="takes 64 positions, and the model has 64"):
        room_for(1, 64, 64)
