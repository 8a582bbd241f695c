"""Which student block learns from which teacher layer."""

from collections.abc import Callable, Sequence

from torch import Tensor

from aura_core.distillation.similarity import most_similar_map
from aura_core.errors import AuraError
from aura_core.train_config import LayerMap


def evenly_spaced(num_blocks: int, teacher_layers: Sequence[int]) -> dict[int, int]:
    """Spread the teacher's layers over the first `num_blocks` blocks, last to last.

    Returns {student block: teacher layer}, both 1-based. With fewer blocks than
    layers, the later layers are kept.
    """
    layers = sorted(teacher_layers)[-num_blocks:]
    count = len(layers)
    return {round((i + 1) * num_blocks / count): layer for i, layer in enumerate(layers)}


def resolve_layer_map(
    layer_map: LayerMap,
    num_blocks: int,
    teacher_layers: Sequence[int],
    similarity: Callable[[], Tensor],
) -> dict[int, int]:
    """Return a checked layer map.

    Args:
        layer_map: explicit, or how to choose one.
        num_blocks: adapted blocks.
        teacher_layers: the cache's.
        similarity: asked only for "most_similar": float [blocks, layers] of the layers from 1 on,
            ascending.

    Raises:
        AuraError: if a block is not adapted, a layer is not cached, or the last
            adapted block is missing (nothing would train the blocks above the last target).
    """
    if layer_map == "one_to_one":
        if max(teacher_layers) != num_blocks:
            raise AuraError(
                f"layer_map: one_to_one, and {num_blocks} adapted blocks for cached layers up to "
                f"{max(teacher_layers)}: set lora.blocks to {max(teacher_layers)}"
            )
        layer_map = {layer: layer for layer in teacher_layers}
    # Layer 0 is the stem's output, which only a map that names it sets against a block.
    layers = sorted(layer for layer in teacher_layers if layer)
    if isinstance(layer_map, str):
        if not layers:
            raise AuraError(
                f"layer_map: {layer_map} chooses among the layers from 1 on, and the cache has none"
            )
        if layer_map == "most_similar":
            return most_similar_map(similarity(), layers)
        return evenly_spaced(num_blocks, layers)
    for block, layer in layer_map.items():
        if not 0 <= block <= num_blocks:
            raise AuraError(
                f"layer_map: block {block} is not among the {num_blocks} adapted blocks"
            )
        if layer not in teacher_layers:
            raise AuraError(
                f"layer_map: teacher layer {layer} is not in the cache (it has "
                f"{', '.join(map(str, sorted(teacher_layers)))})"
            )
    if num_blocks not in layer_map:
        raise AuraError(f"layer_map: the last adapted block, {num_blocks}, must be mapped")
    return dict(sorted(layer_map.items()))
