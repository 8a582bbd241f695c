"""Where a worker computes: as its stage says, and nowhere is that decided twice."""

import re
from pathlib import Path

import pytest
import torch

from aura_core.config.stage import Runtime
from aura_core.device import device_for
from aura_core.errors import AuraError

ROOT = Path(__file__).parents[2]
# Asking what the machine has, naming a device, and libraries that choose one by themselves.
DECIDES = re.compile(
    r"cuda\.is_available|cuda\.device_count|torch\.accelerator|torch\.device\([\"']"
    r"|device(_map)?=[\"'](cuda|auto)|PeftModel\.from_pretrained\((?!.*torch_device)"
)


@pytest.mark.parametrize(
    ("runtime", "without", "with_gpu"),
    [
        (None, "cpu", "cuda"),
        (Runtime(), "cpu", "cpu"),
        (Runtime(gpus_per_worker=0.25), AuraError, "cuda"),
    ],
)
def test_a_stage_gets_what_its_runtime_says_and_the_rest_what_there_is(
    runtime, without, with_gpu, monkeypatch
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert device_for(runtime) == torch.device(with_gpu)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    if without is AuraError:
        with pytest.raises(AuraError, match=r"gpus_per_worker is 0\.25, but torch finds no GPU"):
            device_for(runtime)
    else:
        assert device_for(runtime) == torch.device(without)


def test_no_other_module_decides():
    sources = [
        path for name in ("aura_core", "tasks", "flows") for path in (ROOT / name).rglob("*.py")
    ]
    found = {
        path.relative_to(ROOT).as_posix() for path in sources if DECIDES.search(path.read_text())
    }
    assert found == {"aura_core/device.py"}
