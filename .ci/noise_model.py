"""Write a tiny language model of random weights: real llama.cpp, real grammar, and nothing but noise in what it says.

    .venv-llm/bin/python .ci/noise_model.py FILE.gguf

For `make test-llm`. One layer of the llama architecture over single bytes; the seed is fixed, so that the file is the
same on every machine. Runs in an environment of its own, because `gguf` is no dependency of the program.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np

SEED = 20_260_301
EMBEDDING, FEED_FORWARD, LAYERS, HEADS = 64, 256, 2, 1
CONTEXT = 131_072
SPECIAL = (("<unk>", gguf.TokenType.UNKNOWN), ("<s>", gguf.TokenType.CONTROL), ("</s>", gguf.TokenType.CONTROL))


def main() -> None:
    """The tokenizer has the 256 bytes and three marks; the weights are normal noise."""
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    writer = gguf.GGUFWriter(unfinished, "llama")
    tokens = [name.encode() for name, _ in SPECIAL] + [f"<0x{byte:02X}>".encode() for byte in range(256)]
    writer.add_name("noise")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(EMBEDDING)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(EMBEDDING // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([kind for _, kind in SPECIAL] + [gguf.TokenType.BYTE] * 256)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_space_prefix(False)
    random = np.random.default_rng(SEED)

    def noise(name: str, *shape: int) -> None:
        writer.add_tensor(name, (random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32))

    noise("token_embd.weight", len(tokens), EMBEDDING)
    noise("output.weight", len(tokens), EMBEDDING)
    writer.add_tensor("output_norm.weight", np.ones(EMBEDDING, dtype=np.float32))
    for layer in range(LAYERS):
        for part in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{part}.weight", np.ones(EMBEDDING, dtype=np.float32))
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            noise(f"blk.{layer}.{part}.weight", EMBEDDING, EMBEDDING)
        noise(f"blk.{layer}.ffn_gate.weight", FEED_FORWARD, EMBEDDING)
        noise(f"blk.{layer}.ffn_up.weight", FEED_FORWARD, EMBEDDING)
        noise(f"blk.{layer}.ffn_down.weight", EMBEDDING, FEED_FORWARD)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    unfinished.rename(path)


if __name__ == "__main__":
    main()
