import pytest
from hypothesis import given
from hypothesis import strategies as st

from aura_core.chat.reply import Reply, TextPieces, TooManyPositionsError, room_for
from aura_core.models.llm import source_of


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(source_of("pinned:smollm2-135m-instruct")[0])


def bytes_of(ids):
    """A tokenizer whose tokens are bytes."""
    return bytes(ids).decode(errors="replace")


def pushed(ids, decode=bytes_of, stop=()):
    text = TextPieces(decode, stop)
    pieces = []
    for each in ids:
        pieces.append(text.push(each))
        if text.stopped:
            break
    return [*pieces, text.finish()]


def test_a_character_comes_whole():
    assert pushed("aé🎧b".encode()) == ["a", "", "é", "", "", "", "🎧", "b", ""]


def test_an_emoji_of_several_tokens_comes_whole(tokenizer):
    ids = tokenizer.encode("so 🎧 é\u0301!", add_special_tokens=False)
    assert max(tokenizer.decode([each]).count("\ufffd") for each in ids) > 0
    pieces = pushed(ids, tokenizer.decode)
    assert "".join(pieces) == "so 🎧 é\u0301!"
    assert not any("\ufffd" in each for each in pieces)


def test_spaces_around_an_answer_are_no_part_of_it():
    assert pushed(b" \na b \n") == ["", "", "a", "", " b", "", "", ""]


def test_bytes_that_never_become_a_character_are_shown_at_the_end():
    assert pushed(b"a\xf0\x9f") == ["a", "", "", "\ufffd"]
    assert pushed(b"a\xf0b") == ["a", "", "\ufffdb", ""]


def test_a_stop_string_ends_the_answer_and_its_beginning_is_held_back():
    assert pushed(b"one. two", stop=[". t"]) == ["o", "n", "e", "", "", "", ""]
    assert pushed(b"one. Two", stop=[". t"]) == ["o", "n", "e", "", "", ". T", "w", "o", ""]
    assert pushed(b"one.", stop=[". t"]) == ["o", "n", "e", "", "."]
    assert "".join(pushed(b"x\n\ny", stop=["\n\n"])) == "x"


@given(st.lists(st.integers(0, 255), max_size=40), st.lists(st.text(min_size=1, max_size=3)))
def test_pieces_are_the_answer_of_all_at_once(ids, stop):
    pieces = pushed(ids, stop=stop)
    whole = bytes_of(ids).lstrip()
    found = [at for each in stop if (at := whole.find(each)) >= 0]
    if not found:
        assert "".join(pieces) == whole.rstrip()
    assert whole.startswith("".join(pieces))


@given(st.data())
def test_random_tokens_of_a_real_tokenizer_too(tokenizer, data):
    ids = data.draw(st.lists(st.integers(0, 49151), max_size=30))

    def decode(some):
        return tokenizer.decode(some, skip_special_tokens=True)

    assert "".join(pushed(ids, decode)) == decode(ids).strip()


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
