import pytest

from aura_core.corpus.voice import SLOW_PIPER, VOICES, require_installed, second_voice
from aura_core.errors import AuraError


@pytest.fixture
def both_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("espeak-ng", "flite"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)


@pytest.mark.parametrize(
    ("train_voices", "second"),
    [
        (("piper",), "espeak-ng"),
        (("piper", "flite:slt"), "espeak-ng"),
        (("piper", "espeak-ng"), "flite"),
        (("espeak-ng", "flite:awb"), SLOW_PIPER),
    ],
)
def test_the_second_voice_is_of_a_synthesiser_not_trained_on(both_installed, train_voices, second):
    assert second_voice(train_voices) == second


def test_every_voice_can_be_there(both_installed):
    require_installed(VOICES)


def test_a_missing_program_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    require_installed(["piper"])
    with pytest.raises(AuraError, match="the voice espeak-ng needs espeak-ng"):
        require_installed(["piper", "espeak-ng"])
