import pytest
import torch

from aura_core.errors import AuraError
from aura_core.models.llm import load_llm
from aura_core.models.llm_shape import llm_shape


def test_the_shape_is_that_of_the_weights():
    reference = "pinned:smollm2-135m-instruct"
    llm, _ = load_llm(reference, torch.float32)
    shape = llm_shape(reference)
    norms = sum(p.numel() for name, p in llm.named_parameters() if "norm" in name)
    assert shape.num_parameters + norms == sum(p.numel() for p in llm.parameters())
    for name, (inputs, outputs) in shape.linear_shapes().items():
        found = {n: p for n, p in llm.named_parameters() if n.startswith("model.layers.0.")}
        (weight,) = (p for n, p in found.items() if n.endswith(f"{name}.weight"))
        assert tuple(weight.shape) == (outputs, inputs)


def test_what_is_no_llm_is_named(tmp_path):
    with pytest.raises(AuraError, match="config cannot be read"):
        llm_shape(str(tmp_path))
