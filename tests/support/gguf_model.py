"""A Llama checkpoint as one GGUF file, in float32 or quantised.

    python -m tests.support.gguf_model CHECKPOINT FILE

llama.cpp's own convert_hf_to_gguf.py knows tokenizers by a list; this one writes any byte-level BPE, whose tokens
llama.cpp only has to turn into text, since prompts are sent as ids.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}  # fmt: skip
WHOLE = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
         "lm_head.weight": "output.weight"}  # fmt: skip


def write(checkpoint: Path, target: Path, kind: str = "F32") -> Path:
    """Write the file, its matrices quantised to ``kind`` (Q8_0, Q4_0 and others), and return its path."""
    import gguf

    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    rope = config.get("rope_parameters") or {}
    out = gguf.GGUFWriter(str(target), "llama")
    out.add_name("test")
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_block_count(config["num_hidden_layers"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(heads)
    out.add_head_count_kv(kv_heads)
    out.add_layer_norm_rms_eps(config["rms_norm_eps"])
    out.add_rope_freq_base(rope.get("rope_theta") or config.get("rope_theta") or 10000.0)
    out.add_rope_dimension_count(config.get("head_dim") or config["hidden_size"] // heads)
    out.add_vocab_size(config["vocab_size"])
    out.add_file_type(gguf.LlamaFileType.ALL_F32)
    _add_tokenizer(out, checkpoint, config["vocab_size"], gguf)
    for name, tensor in _tensors(checkpoint):
        array = tensor.float().numpy()
        if "q_proj" in name or "k_proj" in name:
            array = _permuted(array, heads if "q_proj" in name else kv_heads)
        if kind == "F32" or array.ndim == 1:
            out.add_tensor(_renamed(name), array)
            continue
        number = gguf.GGMLQuantizationType[kind]
        out.add_tensor(_renamed(name), gguf.quants.quantize(array, number), raw_dtype=number)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return target


def _add_tokenizer(out: Any, checkpoint: Path, size: int, gguf: Any) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(checkpoint), local_files_only=True)
    model = json.loads((checkpoint / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    words = {index: token for token, index in tokenizer.get_vocab().items()}
    special = set(tokenizer.all_special_ids)
    kinds = [gguf.TokenType.CONTROL if index in special else gguf.TokenType.NORMAL for index in range(size)]
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("default")
    out.add_token_list([words.get(index, f"<unused {index}>") for index in range(size)])
    out.add_token_types([int(kind) for kind in kinds])
    out.add_token_merges([each if isinstance(each, str) else " ".join(each) for each in model["merges"]])
    out.add_eos_token_id(tokenizer.eos_token_id)
    if tokenizer.bos_token_id is not None:
        out.add_bos_token_id(tokenizer.bos_token_id)
    out.add_add_bos_token(False)


def _tensors(checkpoint: Path) -> list[tuple[str, Any]]:
    from safetensors.torch import load_file

    found = {
        name: tensor for file in sorted(checkpoint.glob("*.safetensors")) for name, tensor in load_file(file).items()
    }
    found.setdefault("lm_head.weight", found["model.embed_tokens.weight"])
    return sorted(found.items())


def _renamed(name: str) -> str:
    if name in WHOLE:
        return WHOLE[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{NAMES[rest.removesuffix('.weight')]}.weight"


def _permuted(array: Any, heads: int) -> Any:
    """Rows in the order of llama.cpp's rotary embedding, which pairs neighbours and not halves."""
    rows, columns = array.shape
    return array.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    write(given.checkpoint, given.file)
