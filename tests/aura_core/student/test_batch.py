import torch

from aura_core.student.attention import PADDING
from aura_core.student.batch import IGNORE, Continuation, Layout, collate


def layout(**changes) -> Layout:
    parts = {
        "prefix": [1, 2],
        "num_audio_tokens": 3,
        "text": [],
        "continuations": [Continuation([10, 11], [20, 21])],
    }
    return Layout(**{**parts, **changes})


def test_the_last_suffix_token_predicts_the_first_response_token():
    batch = collate([layout()])
    assert batch.input_ids[0].tolist() == [1, 2, 0, 0, 0, 10, 11, 20]
    assert batch.labels[0].tolist() == [IGNORE] * 6 + [20, 21]
    assert batch.is_audio[0].tolist() == [False, False, True, True, True, False, False, False]


def test_two_instructions_share_one_clip():
    both = [Continuation([10], [20]), Continuation([11], [21, 22])]
    batch = collate([layout(continuations=both)])
    assert batch.branch[0].tolist() == [0, 0, 0, 0, 0, 1, 2, 2]
    assert batch.labels[0, 5:].tolist() == [20, 21, 22]


def test_a_prompt_without_a_response_has_no_labels():
    batch = collate([layout(continuations=[Continuation([10, 11], [])])])
    assert batch.input_ids[0].tolist() == [1, 2, 0, 0, 0, 10, 11]
    assert (batch.labels == IGNORE).all()


def test_padding_is_marked():
    batch = collate([layout(), layout(num_audio_tokens=1)], [torch.ones(24, 8), torch.ones(8, 8)])
    assert batch.branch[1, -2:].tolist() == [PADDING, PADDING]
    assert batch.num_feature_frames.tolist() == [24, 8]
    assert float(batch.input_features[1, 8:].abs().sum()) == 0


def test_text_stands_where_the_audio_would():
    batch = collate([layout(num_audio_tokens=0, text=[5, 6])])
    assert batch.input_ids[0].tolist() == [1, 2, 5, 6, 10, 11, 20]
    assert not batch.is_audio.any()
