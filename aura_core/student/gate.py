"""LoRA that is on at audio positions only, so that text passes through the LLM unchanged."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from peft.tuners.lora import LoraLayer
from torch import Tensor, nn


class AudioGate:
    """Computes every LoRA of an LLM where audio is, and nowhere else."""

    def __init__(self, llm: nn.Module) -> None:
        self._audio_rows: Tensor | None = None
        self._used = False
        for module in llm.modules():
            if isinstance(module, LoraLayer):
                # PEFT's own forward computes LoRA at every position.
                module.forward = partial(self._forward, module)

    @contextmanager
    def over(self, audio_rows: Tensor | None) -> Iterator[None]:
        """Open the gate at some rows of [batch * length] while the block runs.

        `audio_rows` is int64 [rows]; None: no LoRA is computed at all.
        """
        self._audio_rows, self._used = audio_rows, True
        try:
            yield
        finally:
            self._audio_rows, self._used = None, False

    def _forward(self, module: LoraLayer, states: Tensor) -> Tensor:
        """The linear map of [batch, length, in] states, plus LoRA in the rows that are audio."""
        assert self._used, "a gated LLM runs through Student.run only"
        result: Tensor = module.get_base_layer()(states)
        if self._audio_rows is None:
            return result
        [(name, down)] = module.lora_A.items()
        heard = states.flatten(0, 1).index_select(0, self._audio_rows)
        # Scaled where it is narrow; in LoRA's own precision, as PEFT has it.
        narrow = down(heard.to(down.get_parameter("weight").dtype)) * module.scaling[name]
        update = module.lora_B[name](narrow)
        # In place: the gradient of a linear map needs its input only.
        result.flatten(0, 1).index_add_(0, self._audio_rows, update.to(result.dtype))
        return result
