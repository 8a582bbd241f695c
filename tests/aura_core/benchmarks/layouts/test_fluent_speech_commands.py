import pytest

from aura_core.errors import AuraError

HEADER = ",path,speakerId,transcription,action,object,location\n"
TABLE = "data/test_data.csv"


@pytest.fixture
def commands(write, audio):
    for name in ("a-1", "b-2"):
        write(f"wavs/speakers/s1/{name}.wav", audio())
    return write(
        TABLE,
        HEADER
        + "0,wavs/speakers/s1/a-1.wav,s1,Turn on the lights,activate,lights,kitchen\n"
        + "1,wavs/speakers/s1/b-2.wav,s1,Use Chinese,change language,Chinese,none\n",
    )


def test_the_three_slots_are_the_intent(commands, read, audio):
    items, rejected = read("fluent_speech_commands", commands)
    assert rejected == {}
    assert items["a-1"].references == ("activate_lights_kitchen",)
    assert items["b-2"].references == ("change_language_Chinese_none",)
    assert items["a-1"].text == "Turn on the lights"
    assert items["a-1"].audio == audio()
    assert items["a-1"].extra["action"] == "activate"
    assert "activate_lights_kitchen, change_language_Chinese_none." in items["a-1"].prompt_text


def test_broken_rows_are_named(commands, read, write):
    table = (commands / TABLE).read_text()
    table += "2,wavs/no.wav,s1,x,activate,lights,none\n3,wavs/c.wav,s1,x,activate,,none\n4,,,,,,\n"
    write(TABLE, table)
    items, rejected = read("fluent_speech_commands", commands)
    assert len(items) == 2
    assert rejected == {"no": "missing", "c": "no reference", "row 6": "bad row"}


def test_a_missing_column_is_named(commands, read, write):
    write(TABLE, "path,speakerId,transcription,action,object\n")
    with pytest.raises(AuraError, match="no column location"):
        read("fluent_speech_commands", commands)


def test_another_folder_is_refused(write, read):
    folder = write("data/train_data.csv", HEADER)
    with pytest.raises(AuraError, match=r"expected data/test_data\.csv .*found data/"):
        read("fluent_speech_commands", folder)


def test_its_scorer_understands_it(commands, read, score):
    items, _ = read("fluent_speech_commands", commands)
    answers = {"a-1": "activate lights kitchen", "b-2": "activate_lights_kitchen"}
    assert score("fluent_speech_commands", items, answers) == 0.5
