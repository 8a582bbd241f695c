import json

from aura_core.transcripts import Piece, render

PIECES = [Piece(0.0, 29.9996, "one"), Piece(29.9996, 3725.5, "zwei ü")]


def test_text_is_one_line():
    assert render("a.wav", PIECES, "txt") == "one zwei ü\n"
    assert render("a.wav", [], "txt") == "\n"


def test_json_names_the_file_and_keeps_letters():
    text = render("a.wav", PIECES, "json")
    assert "ü" in text
    assert json.loads(text)["pieces"][1] == {
        "start_s": 29.9996, "stop_s": 3725.5, "text": "zwei ü"
    }  # fmt: skip


def test_subtitles_are_numbered_and_carry_hours():
    assert render("a.wav", PIECES, "srt") == (
        "1\n00:00:00,000 --> 00:00:30,000\none\n\n2\n00:00:30,000 --> 01:02:05,500\nzwei ü\n"
    )
