import pytest

from scripts.foundation.errors import StudyError
from scripts.hardware import fit
from scripts.hardware.datasheet import devices, find

# As NVML reports them.
NAMES = {
    "NVIDIA B200": "B200",
    "NVIDIA H200": "H200 141GB",
    "NVIDIA H100 80GB HBM3": "H100 SXM 80GB",
    "NVIDIA H100 PCIe": "H100 PCIe 80GB",
    "NVIDIA H100 NVL": "H100 NVL 94GB",
    "NVIDIA A100-SXM4-80GB": "A100 SXM 80GB",
    "NVIDIA A100-SXM4-40GB": "A100 40GB",
    "A100-SXM4-40GB": "A100 40GB",
    "NVIDIA A100-PCIE-40GB": "A100 40GB",
    "NVIDIA A100 80GB PCIe": "A100 PCIe 80GB",
    "NVIDIA L40S": "L40S 48GB",
    "NVIDIA L4": "L4 24GB",
    "NVIDIA A10": "A10 24GB",
    "Tesla T4": "T4 16GB",
    "Tesla V100-SXM2-16GB": "V100 SXM2 16GB",
    "Tesla V100-SXM2-32GB": "V100 SXM2 32GB",
    "Tesla V100-PCIE-16GB": "V100 PCIe 16GB",
    "NVIDIA GeForce RTX 4090": "RTX 4090 24GB",
    "NVIDIA GeForce RTX 3090": "RTX 3090 24GB",
}


@pytest.mark.parametrize(("name", "label"), NAMES.items())
def test_a_gpu_is_found_by_the_name_that_its_driver_gives(name, label):
    assert find(name).label == label


# Another board under a name that begins alike: its figures are other ones.
@pytest.mark.parametrize(
    "name", ["NVIDIA L40", "NVIDIA A10G", "NVIDIA A100X", "NVIDIA GeForce RTX 4090 D", "NVIDIA GeForce RTX 3090 Ti",
             "NVIDIA GeForce RTX 4070 Ti", "NVIDIA GH200 480GB", "cpu process 0", "AMD EPYC", ""]
)  # fmt: skip
def test_what_the_table_lacks_is_not_found(name):
    assert find(name) is None


def test_every_name_belongs_to_one_entry():
    for device in devices():
        assert find(device.label) in (None, device)
        assert device.source
        assert device.memory_bytes > 10 << 30
        assert 2e11 < device.bandwidth_bytes_per_s < 1e13


def test_peaks_are_dense_and_in_the_order_that_number_types_have():
    for device in devices():
        peak = device.peak_flops_per_s
        assert peak["float32"] < peak["float16"]
        for wide, narrow in (("float16", "int8"), ("bfloat16", "fp8")):
            if narrow in peak:
                # With sparsity it would be four times.
                assert 1.9 * peak[wide] < peak[narrow] < 4.1 * peak[wide]
        if "tf32" in peak:
            assert peak["float32"] <= peak["tf32"] <= 0.51 * peak["bfloat16"]
    assert find("NVIDIA H100 80GB HBM3").peak_flops_per_s["bfloat16"] == pytest.approx(989e12, rel=0.01)
    assert find("NVIDIA H100 80GB HBM3").bandwidth_bytes_per_s == pytest.approx(3.35e12)


@pytest.mark.parametrize("text", ["gpus:\n  - label: X\n", "gpus: 3\n", "gpus: [", ""])
def test_a_damaged_table_is_a_sentence(tmp_path, text):
    table = tmp_path / "hardware.yaml"
    table.write_text(text)
    with pytest.raises(StudyError, match=r"hardware\.yaml"):
        devices(table)
    with pytest.raises(StudyError, match="restore"):
        devices(tmp_path / "absent.yaml")


def test_the_smallest_gpu_that_holds_it_is_chosen_with_headroom():
    t4 = find("Tesla T4")
    assert fit.smallest(5e9).memory_bytes == min(device.memory_bytes for device in devices())
    assert fit.smallest(t4.memory_bytes * 0.94).label == "T4 16GB"
    assert fit.smallest(t4.memory_bytes * 0.96).memory_bytes > t4.memory_bytes
    assert fit.smallest(8.15e10).label == "A100 PCIe 80GB"
    assert fit.smallest(1e12) is None


def test_what_is_needed_includes_a_cuda_context():
    assert fit.needed_bytes(60) == 60 + fit.CONTEXT_BYTES
    assert fit.needed_bytes(60, process=70) == 70
