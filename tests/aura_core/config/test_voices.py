import pytest

from aura_core.config import voices
from aura_core.config.voices import (
    ESPEAK_VOICES,
    VOICES,
    espeak_digest,
    require_installed,
    second_voice,
)
from aura_core.errors import AuraError


@pytest.fixture
def flite(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "flite").write_text("#!/bin/sh\n")
    (tmp_path / "flite").chmod(0o755)


@pytest.fixture
def no_flite(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.parametrize(
    ("train_voices", "second"),
    [
        (("piper",), "espeak-ng"),
        (("piper", "flite:slt"), "espeak-ng"),
        (("piper", "espeak-ng"), "flite"),
        (("piper", "espeak-ng:f2"), "flite"),
    ],
)
def test_the_second_voice_is_of_a_synthesiser_not_trained_on(flite, train_voices, second):
    assert second_voice(train_voices) == second


def test_it_needs_nothing_installed(no_flite):
    assert second_voice() == "espeak-ng"


def test_where_all_synthesisers_are_trained_on_it_is_a_voice_that_is_not(no_flite):
    heard = ("piper", "espeak-ng", "espeak-ng:f2")
    assert second_voice(heard) in set(ESPEAK_VOICES) - set(heard)
    with pytest.raises(AuraError, match="leave no voice"):
        second_voice(VOICES)


def test_every_voice_can_be_there(flite):
    require_installed(VOICES)


def test_a_missing_program_is_named(no_flite):
    require_installed(["piper", *ESPEAK_VOICES])
    with pytest.raises(AuraError, match="the voice flite:slt needs flite"):
        require_installed(["piper", "flite:slt"])


def test_a_changed_dictionary_changes_the_digest(tmp_path, monkeypatch):
    before = espeak_digest()
    assert espeak_digest() == before
    for name in ("en_dict", "intonations", "phondata", "phonindex", "phontab"):
        (tmp_path / name).write_bytes((voices.espeak_data() / name).read_bytes())
    monkeypatch.setattr(voices, "espeak_data", lambda: tmp_path)
    assert espeak_digest() == before
    (tmp_path / "en_dict").write_bytes(b"other")
    assert espeak_digest() != before
