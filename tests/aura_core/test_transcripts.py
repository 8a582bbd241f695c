import json

from aura_core.transcripts import FORMATS, Piece, render

PIECES = [Piece(0.0, 29.9996, "one"), Piece(29.9996, 40, ""), Piece(40, 3725.5, "zwei ü")]


def whole(kind, pieces=PIECES):
    return "".join(render("a.wav", pieces, kind))


def test_text_is_a_line_for_each_piece_with_words():
    assert whole("txt") == "one\nzwei ü\n"
    assert whole("txt", []) == ""


def test_json_names_the_file_and_keeps_letters():
    text = whole("json")
    assert "ü" in text
    assert json.loads(text) == {
        "file": "a.wav",
        "pieces": [
            {"start_s": 0.0, "stop_s": 29.9996, "text": "one"},
            {"start_s": 40, "stop_s": 3725.5, "text": "zwei ü"},
        ],
    }
    assert json.loads(whole("json", [])) == {"file": "a.wav", "pieces": []}


def test_subtitles_are_numbered_and_carry_hours():
    assert whole("srt") == (
        "1\n00:00:00,000 --> 00:00:30,000\none\n\n2\n00:00:40,000 --> 01:02:05,500\nzwei ü\n"
    )


def test_a_piece_is_written_before_the_next_is_heard():
    for kind in FORMATS:
        heard = []

        def pieces(heard=heard):
            for piece in PIECES:
                heard.append(piece)
                yield piece

        parts = iter(render("a.wav", pieces(), kind))
        assert any("one" in next(parts) for _ in range(2))
        assert heard == PIECES[:1]
