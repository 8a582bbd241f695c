"""Whether training still helps: clips kept out of it, and how alike blocks and layers are."""

import random
from collections.abc import Sequence
from typing import TypedDict

import torch
from torch import Tensor

from aura_core.config.instructions import TRANSCRIBE
from aura_core.config.train import Phase
from aura_core.distil.batches import Workers, loss_weights, pieces
from aura_core.distil.losses import linear_cka
from aura_core.distil.objective import Objective
from aura_core.distil.training_set import TrainingSet
from aura_core.frames import group_frames, valid_positions
from aura_core.student.prompts import Prompt
from aura_core.student.student import Student

# The longest transcript.
_MAX_NEW_TOKENS = 128
_BATCH_CLIPS = 16


def split_off(count: int, held_out: int, seed: int) -> tuple[list[int], list[int]]:
    """Draw `held_out` of the indices below `count`; return the rest and them, ascending."""
    drawn = set(random.Random(f"validation/{seed}").sample(range(count), held_out))
    return [i for i in range(count) if i not in drawn], sorted(drawn)


def has_stalled(losses: Sequence[float], patience: int | None) -> bool:
    """Whether none of the last `patience` losses was lower than every one before; None: never."""
    if patience is None or len(losses) <= patience:
        return False
    return min(losses[-patience:]) >= min(losses[:-patience])


@torch.no_grad()
def validate(
    objective: Objective, data: TrainingSet, indices: Sequence[int], phase: Phase, step: int
) -> dict[str, float]:
    """Return the losses of utterances, by `Losses.scalars`, as a step of the phase has them."""
    ordered = sorted(indices, key=lambda i: data.lengths[i])
    batches = [
        data.assemble(data.fetch(piece), with_text=phase.uses_text_loss, step=0)
        for piece in pieces(ordered, phase.batch_utterances)
    ]
    weights = [objective.weights(batch) for batch in batches]
    total = torch.stack(weights).sum(dim=0)
    device = next(objective.parameters()).device
    found: dict[str, float] = {}
    for batch, weight in zip(batches, weights, strict=True):
        shares = loss_weights(weight, total, Workers()).tolist()
        with objective.student.autocast():
            losses = objective(batch.to(device), phase, step, shares)
        for name, loss in losses.scalars().items():
            found[name] = found.get(name, 0.0) + loss.item()
    return found


@torch.no_grad()
def word_error_rate(student: Student, data: TrainingSet, indices: Sequence[int]) -> float:
    """Have the student write down utterances, greedily, and count the errors of the corpus."""
    # Both import Whisper, which training needs nothing else of.
    from aura_core.evaluation.scorers.transcript import count_errors
    from aura_core.student.inference import Responder

    responder = Responder(student, data.chat, feature_extractor=None)
    texts: list[str] = []
    answers: list[str] = []
    for piece in pieces(sorted(indices, key=lambda i: data.lengths[i]), _BATCH_CLIPS):
        features, said = zip(*data.extract_features(data.fetch(piece)), strict=True)
        with student.autocast():
            prompts = [Prompt(TRANSCRIBE, each) for each in features]
            answers += responder.generate(prompts, _MAX_NEW_TOKENS)
        texts += said
    errors, words = count_errors(texts, answers)
    return float(errors.sum() / max(1.0, words.sum()))


# How alike a student's blocks and the teacher's layers are, on a few clips of the cache.

_CLIPS = 32


class Similarity(TypedDict):
    """A matrix with its labels, as `similarity.json` holds it before and after training."""

    layers: list[int]
    values: list[list[float]]  # [blocks, layers]


@torch.no_grad()
def state_similarity(
    student: Student, data: TrainingSet, num_blocks: int, states_per_position: int
) -> Tensor:
    """Return the linear CKA of every block with every layer: float32 [blocks, layers].

    Clips are spread over the cache; the teacher's states are averaged to audio positions.

    Args:
        student: as it is now.
        data: with the layers to compare.
        num_blocks: from the first.
        states_per_position: of the cache.
    """
    count = len(data.lengths)
    chosen = range(0, count, max(1, count // _CLIPS))[:_CLIPS]
    device = next(student.parameters()).device
    batch = data.assemble(data.fetch(chosen), with_text=False, step=0).to(device)
    blocks = tuple(range(1, num_blocks + 1))
    hidden = student(batch.batch, blocks=blocks, stop_after=num_blocks).audio
    counts = batch.batch.is_audio.sum(dim=1)
    valid = valid_positions(counts, int(counts.max()))
    heard = [hidden[block][valid] for block in blocks]
    rows = []
    for layer in data.layers:
        target, _ = group_frames(
            batch.teacher[layer], batch.num_states, states_per_position, "mean"
        )
        rows.append(torch.stack([linear_cka(each, target[valid]) for each in heard]))
    return torch.stack(rows, dim=1).cpu()
