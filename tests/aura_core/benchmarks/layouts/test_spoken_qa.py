import pytest

from aura_core.errors import AuraError

WEB = "eval_datas/web_questions"


@pytest.fixture
def questions(write, audio):
    for name in ("web_0.mp3", "web_1.mp3"):
        write(f"{WEB}/audios/{name}", audio(file_format="MP3"))
    return write(
        f"{WEB}/web_questions.csv",
        "url,question,answers,audio_filename\n"
        'u,"what, then, is it?",Jamaica;Jamaican English; ,web_0.mp3\n'
        "u,who was it,Ada,web_1.mp3\n",
    )


def test_any_of_several_answers_counts(questions, read, audio):
    items, rejected = read("web_questions", questions)
    assert rejected == {}
    assert items["web_0"].text == "what, then, is it?"
    assert items["web_0"].references == ("Jamaica", "Jamaican English")
    assert items["web_0"].audio == audio(file_format="MP3")
    assert items["web_1"].references == ("Ada",)


@pytest.mark.parametrize("inside", ["eval_datas", WEB])
def test_a_folder_further_in_is_the_same_set(questions, read, inside):
    assert len(read("web_questions", questions / inside)[0]) == 2


def test_trivia_qa_counts_aliases_after_the_answer(write, read, audio):
    write("trivia_qa.csv", "question,answer_normalized_value,answer_normalized_aliases,"
          "audio_filename\nwho,park grove,\"park grove 1895,park grove\",t_0.wav\n")  # fmt: skip
    folder = write("audios/t_0.wav", audio())
    assert read("trivia_qa", folder)[0]["t_0"].references == ("park grove", "park grove 1895")


def test_an_answer_of_llama_questions_is_not_divided(write, read, audio):
    write("llama_questions.csv", 'Questions,Answer,audio_filename\nwhere,"Paris, France",0.wav\n')
    folder = write("audios/0.wav", audio())
    assert read("llama_questions", folder)[0]["0"].references == ("Paris, France",)


def test_missing_audio_and_a_row_without_a_file_are_named(questions, read, write):
    (questions / WEB / "audios/web_1.mp3").unlink()
    table = (questions / WEB / "web_questions.csv").read_text() + "u,what,x,\nu\n"
    write(f"{WEB}/web_questions.csv", table)
    items, rejected = read("web_questions", questions)
    assert list(items) == ["web_0"]
    assert rejected == {"web_1": "missing", "row 4": "bad row", "row 5": "bad row"}


def test_a_missing_column_is_named_with_those_that_are_there(write, read):
    folder = write("web_questions.csv", "question,audio_filename\nx,y.mp3\n")
    with pytest.raises(AuraError, match=r"no column answers: .*found question, audio_filename"):
        read("web_questions", folder)


def test_another_set_is_refused(questions, read):
    with pytest.raises(AuraError, match=r"expected eval_datas/trivia_qa/trivia_qa\.csv"):
        read("trivia_qa", questions)


def test_a_table_that_is_not_utf8_is_refused(write, read):
    folder = write("web_questions.csv", b"question,answers,audio_filename\ncaf\xe9,x,y\n")
    with pytest.raises(AuraError, match="not UTF-8"):
        read("web_questions", folder)


def test_its_scorer_understands_it(questions, read, score):
    items, _ = read("web_questions", questions)
    answers = {"web_0": "They speak Jamaican English there.", "web_1": "It was Grace."}
    assert score("web_questions", items, answers) == 0.5
