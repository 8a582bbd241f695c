"""Save a random Llama of five blocks with the pinned LLM's tokenizer: `tiny_llm.py FOLDER`.

A process of its own: what runs the matrix never imports torch.
"""

import sys

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from aura_core.models.llm import source_of

torch.manual_seed(0)
source, _ = source_of("pinned:smollm2-135m-instruct")
tokenizer = AutoTokenizer.from_pretrained(source)
config = LlamaConfig(
    vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=5,
    num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
    initializer_range=0.3,
)  # fmt: skip
LlamaForCausalLM(config).save_pretrained(sys.argv[1])
tokenizer.save_pretrained(sys.argv[1])
