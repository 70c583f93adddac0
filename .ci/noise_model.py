"""Write a tiny language model of random weights: real llama.cpp, real grammar, and nothing but noise in what it says.

    .venv-llm/bin/python .ci/noise_model.py FILE.gguf

For `make test-llm`. The llama architecture at its smallest, over bytes, pairs of letters and frequent words, so that
long prompts are read fast; the seed is fixed, so that the file is the same on every machine. Runs in an environment of
its own, because `gguf` is no dependency of the program.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np

SEED = 20_260_301
EMBEDDING, FEED_FORWARD, LAYERS, HEADS = 64, 128, 1, 1
CONTEXT = 131_072
SPECIAL = (("<unk>", gguf.TokenType.UNKNOWN), ("<s>", gguf.TokenType.CONTROL), ("</s>", gguf.TokenType.CONTROL))
WORDS = """
the and that of to in for is are with as on at by from not it be or was this which an its one than more only where what
model train test data loss rate learning weight decay layer width depth batch size seed score metric result paper
table figure method accuracy improve change value values setting settings configuration file files production
hypothesis experiment candidate baseline gain evidence quote page version board leader number text stranger untrusted
import return self def class float int str true false none null string object array properties required type title
"""


def pieces() -> list[str]:
    """What the tokenizer knows besides bytes: letters, pairs of small ones, and words with all their beginnings."""
    letters = [chr(code) for code in range(33, 127)] + ["\u2581", "\n"]  # a space is written as U+2581
    small = "abcdefghijklmnopqrstuvwxyz"
    pairs = [one + other for one in "\u2581" + small for other in small] + ["\u2581\u2581", "\u2581\u2581\u2581\u2581"]
    words = [
        form[:end] for word in WORDS.split() for form in (word, "\u2581" + word) for end in range(2, len(form) + 1)
    ]
    return list(dict.fromkeys([*letters, *pairs, *words]))


def main() -> None:
    """The weights are normal noise; longer pieces are merged first."""
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    writer = gguf.GGUFWriter(unfinished, "llama")
    known = pieces()
    tokens = [name.encode() for name, _ in SPECIAL] + [f"<0x{byte:02X}>".encode() for byte in range(256)]
    tokens += [piece.encode() for piece in known]
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
    writer.add_token_scores([0.0] * (len(tokens) - len(known)) + [float(len(piece)) for piece in known])
    kinds = [kind for _, kind in SPECIAL] + [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL] * len(known)
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_space_prefix(False)
    random = np.random.default_rng(SEED)

    def noise(name: str, *shape: int) -> None:
        writer.add_tensor(name, (random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float16))

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
