import pytest
import torch
from torch import nn

from scripts.inference import observe, resident
from scripts.inference.loading import load
from scripts.inference.memory import MemoryMeter
from scripts.runtime.models import Process
from scripts.runtime.tensors import module_bytes
from tests.support.tiny_checkpoint import make_checkpoint
from tests.support.worker_runs import run_worker, settings

MB = 1 << 20
CPU = torch.device("cpu")


def fill(megabytes):
    """A tensor whose pages are in use."""
    return torch.ones(megabytes * MB, dtype=torch.uint8)


@pytest.fixture
def meter():
    made = MemoryMeter(CPU)
    made.reset_peak()
    if not made.peak_is_exact:
        pytest.skip("this kernel does not let a process reset its peak")
    return made


def test_what_was_freed_before_a_reset_is_not_in_the_later_peak(meter):
    before = meter.current()
    tensor = fill(300)
    assert meter.peak() > before + 250 * MB
    del tensor
    # Freed, but still the peak: what would be carried over from one technique to the next.
    assert meter.peak() > before + 250 * MB
    meter.reset_peak()
    assert meter.peak() < before + 100 * MB


def test_the_peak_keeps_what_was_freed_after_the_reset(meter):
    before = meter.current()
    del (tensor := [fill(200)])[:]
    assert tensor == []
    assert meter.current() < before + 100 * MB
    assert meter.peak() > before + 150 * MB


def test_a_kernel_that_does_not_reset_the_peak_is_owned_up_to(monkeypatch, tmp_path):
    monkeypatch.setattr(resident, "RESET", tmp_path / "absent" / "clear_refs")
    meter = MemoryMeter(CPU)
    meter.reset_peak()
    assert meter.peak_is_exact is False
    assert meter.peak() > 0


def test_without_proc_the_systems_own_peak_is_used(monkeypatch, tmp_path):
    monkeypatch.setattr(resident, "STATUS", tmp_path / "absent")
    meter = MemoryMeter(CPU)
    assert meter.peak() > 10 * MB
    meter.start()
    meter.loaded()
    meter.read_peak()
    facts = meter.facts()
    assert facts["process_peak_bytes"] > 10 * MB
    assert facts["held_bytes"] is None


def measured(meter, load, use=lambda: None):
    """Facts of a meter over something that is loaded and kept, and used."""
    meter.start()
    module = load()
    meter.loaded()
    meter.read_whole_process()
    meter.reset_peak()
    use()
    meter.read_peak(module)
    return meter.facts()


def holding(tensor):
    module = nn.Module()
    module.register_buffer("weight", tensor)
    return module


def test_what_is_held_and_what_is_used_for_a_moment_are_both_added(meter):
    facts = measured(meter, lambda: holding(fill(200)), lambda: fill(100))
    assert facts["peak_bytes"] == pytest.approx(300 * MB, abs=10 * MB)
    assert facts["held_bytes"] == pytest.approx(200 * MB, abs=10 * MB)
    added = sum(facts[key] for key in ("before_load_bytes", "peak_bytes", "library_bytes", "stale_file_bytes"))
    assert facts["process_peak_bytes"] == pytest.approx(added - facts["unread_weight_bytes"], abs=MB)


def on_disk(path, megabytes):
    path.write_bytes(b"1" * megabytes * MB)
    return torch.from_file(str(path), shared=False, size=megabytes * MB, dtype=torch.uint8)


def test_weights_on_file_count_in_full_and_pages_that_nothing_needs_do_not(meter, tmp_path):
    def load():
        whole = on_disk(tmp_path / "weights", 200)
        whole.sum()  # reads every page
        return holding(_part(whole, 50))

    facts = measured(meter, load)
    assert facts["peak_bytes"] == pytest.approx(50 * MB, abs=10 * MB)
    assert facts["stale_file_bytes"] == pytest.approx(150 * MB, abs=10 * MB)


def test_weights_that_were_never_read_count_all_the_same(meter, tmp_path):
    facts = measured(meter, lambda: holding(on_disk(tmp_path / "weights", 200)))
    assert facts["peak_bytes"] == pytest.approx(200 * MB, abs=10 * MB)
    assert facts["unread_weight_bytes"] == pytest.approx(200 * MB, abs=10 * MB)


def test_weights_on_file_that_were_written_to_count_once(meter, tmp_path):
    def load():
        tensor = on_disk(tmp_path / "weights", 200)
        tensor[: 100 * MB] = 2
        tensor.sum()
        return holding(tensor)

    assert measured(meter, load)["peak_bytes"] == pytest.approx(200 * MB, abs=10 * MB)


def _part(whole, megabytes):
    """A tensor over the first bytes of another's memory, with a storage of its own size; it keeps the other."""
    return torch.from_numpy(whole.numpy()[: megabytes * MB])


def test_the_observed_sample_is_no_part_of_the_measured_peak(checkpoint, evaluation_set, monkeypatch):
    original = observe.observe

    def hungry(*arguments):
        fill(400)
        return original(*arguments)

    monkeypatch.setattr(observe, "observe", hungry)
    facts = run_worker(checkpoint, evaluation_set, {}).outcome["memory"]
    assert facts["peak_bytes"] < 200 * MB


def test_the_peak_of_loading_is_kept_apart(checkpoint, evaluation_set, monkeypatch):
    from scripts.inference import preparation

    original = preparation.load

    def hungry(*arguments):
        fill(400)
        return original(*arguments)

    monkeypatch.setattr(preparation, "load", hungry)
    facts = run_worker(checkpoint, evaluation_set, {}).outcome["memory"]
    assert facts["load_peak_bytes"] > 350 * MB
    assert facts["peak_bytes"] < facts["load_peak_bytes"] - 200 * MB
    assert facts["method"] == "resident_set"


def model_bytes(checkpoint, **facets):
    return module_bytes(load(checkpoint, settings(**facets), Process(CPU, torch.float32), None).model)


def test_every_weight_counts_once(tmp_path):
    embedding = 320 * 128 * 4
    apart = model_bytes(make_checkpoint(tmp_path / "apart"))
    tied = model_bytes(make_checkpoint(tmp_path / "tied", tied=True))
    assert apart - tied == embedding
    # Two embeddings, 2 layers of linear weights and 2 norms, the last norm, 16 rotary frequencies (held twice).
    assert apart == pytest.approx(4 * (2 * 320 * 128 + 2 * (98304 + 2 * 128) + 128 + 32), abs=4 * 64)


def test_views_of_one_storage_count_once():
    module = nn.Linear(64, 64, bias=False)
    module.register_buffer("view", module.weight.data[:8])
    assert module_bytes(module) == 64 * 64 * 4


def test_scales_and_code_books_count(checkpoint):
    import bitsandbytes as bnb

    layer = bnb.nn.Linear4bit(128, 64, bias=False, quant_type="nf4", compress_statistics=False).to(CPU)
    packed, scales, code = 128 * 64 // 2, 128 * 64 // 64 * 4, 16 * 4
    assert module_bytes(layer) == packed + scales + code
    layer = bnb.nn.Linear8bitLt(128, 64, bias=False, has_fp16_weights=False).to(CPU)
    assert module_bytes(layer) == 128 * 64 + 64 * 4


def test_a_quantised_layer_counts_the_same_after_its_first_use(checkpoint):
    for method, slack in (("int8", 0), ("nf4", 0.1)):
        loaded = load(checkpoint, settings(quantization=method), Process(CPU, torch.float32), None)
        fresh = module_bytes(loaded.model)
        loaded.model(torch.tensor([[5, 6, 7]]))
        # On a CPU bitsandbytes may repack 4-bit weights with smaller scales.
        assert fresh * (1 - slack) <= module_bytes(loaded.model) <= fresh
