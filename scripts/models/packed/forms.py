"""What a checkpoint's ``quantization_config`` says of its weights. Imports no heavy library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scripts.foundation.errors import StudyError
from scripts.hardware.widths import INT4_GROUP

REMEDY = "choose the checkpoint that is not quantised, and quantise it with a technique"
# Formats whose layout is not read here, with what is special about each.
_KNOWN_OTHERS = {
    "torchao": "whose tensors only torchao itself unpacks",
    "mxfp4": "whose experts are stacked matrices in blocks of 32",
    "hqq": "whose zero points are numbers with fractions",
    "auto-round": "whose layers may each have a layout of their own",
}

KEYS = ("quantization_config", "compression_config")  # where a config.json says it
_SCALES = ("scales", "weight_scale", "weight_scale_inv", "SCB", "weight.absmax")
_WEIGHTS = ("qweight", "weight_packed")  # where words hold several weights
# What is stored beside a weight, and is no parameter.
_BESIDE = {
    "awq": ("qzeros", "scales"),
    "gptq": ("qzeros", "scales", "g_idx"),
    "compressed-tensors": (
        "weight_scale", "weight_zero_point", "weight_g_idx", "weight_shape", "input_scale", "input_zero_point",
        "output_scale", "output_zero_point", "q_scale", "k_scale", "v_scale",
    ),
    "fp8": ("weight_scale_inv", "activation_scale", "input_scale"),
    "fbgemm_fp8": ("weight_scale", "input_scale_ub"),
    "bitsandbytes": ("SCB", "weight_format"),
}  # fmt: skip


@dataclass(frozen=True)
class Form:
    """How a checkpoint stores the weights of its linear layers.

    Attributes:
        method: ``awq``, ``gptq``, ``compressed-tensors``, ``fp8``, ``fbgemm_fp8`` or ``bitsandbytes``.
        layout: how the words are laid out, of formats that have several.
        bits: of a weight.
        group: columns that share a scale; None where a whole row does, or what ``layout`` says.
        zero_points: whether groups have zero points of their own.
        act_order: whether the columns of a group are scattered over the row.
        inputs: what the format rounds the layers' inputs to, which is not done here; None where it rounds none.
        zeros_less_one: whether zero points are stored less one, as GPTQ's first version does.
        blocks: rows and columns that share a scale.
    """

    method: str
    bits: int
    layout: str = ""
    group: int | None = None
    zero_points: bool = False
    act_order: bool = False
    inputs: str | None = None
    zeros_less_one: bool = False
    blocks: tuple[int, int] | None = None

    @property
    def label(self) -> str:
        """In words, for readers."""
        name = {"awq": "AWQ", "gptq": "GPTQ", "fp8": "FP8", "fbgemm_fp8": "FP8"}.get(self.method, self.method)
        layout = f" ({self.layout})" if self.layout and self.method in ("compressed-tensors", "bitsandbytes") else ""
        scales = f"a scale for {self.group} columns" if self.group else "a scale a row"
        if self.method == "fp8":
            scales = "a scale for {} x {} weights".format(*self.blocks) if self.blocks else "a scale a matrix"
        if self.method == "bitsandbytes":
            scales = "scales as bitsandbytes stores them"
        zero = ", zero points" if self.zero_points else ""
        order = ", columns in order of activation" if self.act_order else ""
        return f"{name}{layout}, {self.bits} bits, {scales}{zero}{order}"

    @property
    def has_steps(self) -> bool:
        """Whether weights are 4-bit steps of equal size, as the project's own 4-bit layers multiply them."""
        return self.bits == 4 and self.method in ("awq", "gptq", "compressed-tensors")

    @property
    def weights_per_element(self) -> int:
        """Weights in an element of the tensor that holds them."""
        if self.method == "bitsandbytes":
            return 8 // self.bits
        return 32 // self.bits if self.layout in ("gemm", "gptq", "pack-quantized") else 1

    def holds(self, name: str) -> str | None:
        """The parameter that a stored tensor holds: its own name, that of a packed weight, or None for a scale."""
        layer, _, part = name.rpartition(".")
        if self.method == "bitsandbytes" and ".weight." in name:
            return None
        return f"{layer}.weight" if part in _WEIGHTS else None if part in _BESIDE[self.method] else name

    def scales_of(self, name: str) -> tuple[str, ...]:
        """Names by which the scales of a layer's weight may be stored; where none is there, the weight is dense."""
        layer = name.removesuffix(".weight")
        return tuple(f"{layer}.{part}" for part in _SCALES)

    def int4_problem(self) -> str | None:
        """Why the project's own 4-bit layers can't hold these steps; None where they can."""
        if self.act_order:
            return "its columns lie in order of activation, so that those of a group are scattered"
        if self.group is not None and self.group % INT4_GROUP:
            return f"its groups have {self.group} columns, and those of the project's layers {INT4_GROUP}"
        return None


def of_config(config: Any, where: str = "config.json") -> Form | None:
    """The form that a model's configuration (a mapping, or transformers' own) names; None of dense weights.

    Raises:
        StudyError: weights in a form that is not read; one sentence that begins with ``where``.
    """
    get = config.get if isinstance(config, dict) else lambda key: getattr(config, key, None)
    stored = next((found for found in map(get, KEYS) if found is not None), None)
    return None if stored is None else of_stored(stored, where)


def of_stored(stored: Any, where: str) -> Form:
    """The form that a ``quantization_config`` names.

    Raises:
        StudyError: it is not read.
    """
    stored = stored if isinstance(stored, dict) else getattr(stored, "to_dict", dict)()
    method = str(stored.get("quant_method") or _unnamed(stored))[:40]
    if method not in _READERS:
        why = _KNOWN_OTHERS.get(method, "a form that is not read here")
        raise StudyError(f"{where}: the weights are quantised by {method!r}, {why}; {REMEDY}.")
    try:
        return _READERS[method](stored)
    except _NotRead as error:
        raise StudyError(f"{where}: the weights are quantised by {method!r} with {error}; {REMEDY}.") from None
    except (TypeError, ValueError, KeyError, AttributeError):
        raise StudyError(f"{where}: quantization_config is damaged; fetch the checkpoint again.") from None


class _NotRead(Exception):
    """What of a form is not read."""


def _unnamed(stored: dict[str, Any]) -> str:
    """Early checkpoints of bitsandbytes name no method."""
    return "bitsandbytes" if stored.get("load_in_4bit") or stored.get("load_in_8bit") else "an unnamed method"


def _group(value: Any) -> int | None:
    """-1 means the whole row."""
    if value in (None, -1):
        return None
    group = int(value)
    if group < 1:
        raise ValueError(group)
    return group


def _awq(stored: dict[str, Any]) -> Form:
    bits = int(stored.get("bits", stored.get("w_bit", 4)))
    layout = str(stored.get("version") or stored.get("format") or "gemm").lower()
    if bits != 4 or layout != "gemm":
        raise _NotRead(f"{bits} bits in the layout {layout[:20]!r}, and 4 bits in that of 'gemm' are read")
    group = _group(stored.get("group_size", stored.get("q_group_size", 128)))
    return Form("awq", 4, "gemm", group, zero_points=bool(stored.get("zero_point", True)))


def _gptq(stored: dict[str, Any]) -> Form:
    bits, layout = int(stored["bits"]), str(stored.get("checkpoint_format") or stored.get("format") or "gptq")
    if bits not in (2, 4, 8) or layout not in ("gptq", "gptq_v2"):
        raise _NotRead(f"{bits} bits in the layout {layout[:20]!r}, and 2, 4 and 8 bits in that of 'gptq' are read")
    return Form(
        "gptq", bits, "gptq", _group(stored.get("group_size", -1)), zero_points=not stored.get("sym", True),
        act_order=bool(stored.get("desc_act")), zeros_less_one=layout == "gptq",
    )  # fmt: skip


def _compressed_tensors(stored: dict[str, Any]) -> Form:
    groups = list((stored.get("config_groups") or {}).values())
    if not groups:
        raise _NotRead("no group of layers that it names")
    found = {_compressed_group(stored, group) for group in groups}
    if len(found) > 1:
        raise _NotRead("several schemes in one model, and one is read")
    if stored.get("sparsity_config") and stored["sparsity_config"].get("format", "dense") != "dense":
        raise _NotRead("sparse weights")
    return found.pop()


def _compressed_group(stored: dict[str, Any], group: dict[str, Any]) -> Form:
    layout = str(group.get("format") or stored.get("format"))
    weights, inputs = group["weights"], group.get("input_activations")
    bits, kind, strategy = (
        int(weights["num_bits"]),
        weights.get("type", "int"),
        str(weights.get("strategy") or "tensor"),
    )
    read = {"pack-quantized": ("int", (4, 8)), "int-quantized": ("int", (8,)), "float-quantized": ("float", (8,))}
    read["naive-quantized"] = (kind if kind in ("int", "float") else "int", (8,))
    if layout not in read or kind != read[layout][0] or bits not in read[layout][1]:
        raise _NotRead(f"{bits}-bit {str(kind)[:10]} weights in the layout {layout[:30]!r}, which is not read")
    if strategy not in ("group", "channel", "tensor"):
        raise _NotRead(f"the strategy {strategy[:20]!r}, and 'group', 'channel' and 'tensor' are read")
    # Only with 'group' are the columns' groups stored beside; with 'weight' the weights lie in groups already.
    act_order = str(weights.get("actorder") or "").lower() in ("group", "true", "dynamic")
    rounded = f"{inputs.get('num_bits')} bits" if isinstance(inputs, dict) else None
    return Form(
        "compressed-tensors", bits, layout, _group(weights.get("group_size")) if strategy == "group" else None,
        zero_points=not weights.get("symmetric", True), act_order=act_order, inputs=rounded,
    )  # fmt: skip


def _fp8(stored: dict[str, Any]) -> Form:
    blocks = stored.get("weight_block_size")
    if blocks is not None and not (len(blocks) == 2 and all(type(each) is int and each > 0 for each in blocks)):
        raise ValueError(blocks)
    return Form("fp8", 8, inputs="8 bits", blocks=tuple(blocks) if blocks else None)


def _fbgemm(stored: dict[str, Any]) -> Form:
    return Form("fbgemm_fp8", 8, inputs="8 bits")


def _bitsandbytes(stored: dict[str, Any]) -> Form:
    if not stored.get("load_in_4bit") and not stored.get("_load_in_4bit"):
        return Form("bitsandbytes", 8, "int8")
    kind = str(stored.get("bnb_4bit_quant_type", "fp4"))
    if str(stored.get("bnb_4bit_quant_storage", "uint8")) != "uint8":
        raise _NotRead("weights stored in another type than uint8")
    return Form("bitsandbytes", 4, kind[:10])


_READERS = {
    "awq": _awq, "gptq": _gptq, "compressed-tensors": _compressed_tensors, "fp8": _fp8, "fbgemm_fp8": _fbgemm,
    "bitsandbytes": _bitsandbytes,
}  # fmt: skip
