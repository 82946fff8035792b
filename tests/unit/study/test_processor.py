"""Processors without a name of their own are told apart by their numbers, and never share the architecture's."""

import platform

import pytest

from scripts.inference import processor

X86 = "processor\t: {n}\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) CPU @ 2.20GHz\ncpu MHz\t\t: 2200.2\n"
ARM = (
    "processor\t: {n}\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd\nCPU implementer\t: {implementer}\n"
    "CPU architecture: 8\nCPU variant\t: {variant}\nCPU part\t: {part}\nCPU revision\t: 1\n"
)
POWER = "processor\t: {n}\ncpu\t\t: POWER9, altivec supported\nclock\t\t: 3800.0MHz\n"
RISCV = "processor\t: {n}\nhart\t\t: 1\nisa\t\t: rv64imafdc\nmmu\t\t: sv39\nuarch\t\t: sifive,u74-mc\n"
RISCV_NUMBERS = "processor\t: {n}\nisa\t\t: rv64imafdcv\nmvendorid\t: 0x710\nmarchid\t\t: 0x8000\nmimpid\t\t: 0x1\n"


def cpuinfo(block, cores=2, **numbers):
    return "\n".join(block.format(n=n, **numbers) for n in range(cores))


def arm(implementer="0x41", part="0xd40", variant="0x1"):
    return cpuinfo(ARM, implementer=implementer, part=part, variant=variant)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (cpuinfo(X86), "Intel(R) Xeon(R) CPU @ 2.20GHz"),
        (arm(), "Neoverse V1 (implementer 0x41 part 0xd40 variant 0x1 revision 1)"),
        (arm("0x61", "0x022"), "ARM (implementer 0x61 part 0x022 variant 0x1 revision 1)"),
        (cpuinfo(POWER), "POWER9, altivec supported"),
        (cpuinfo(RISCV), "sifive,u74-mc"),
        (cpuinfo(RISCV_NUMBERS), "RISC-V mvendorid 0x710 marchid 0x8000 mimpid 0x1"),
        ("", None),
    ],
)
def test_a_processor_is_named_from_what_the_kernel_tells(text, name):
    assert processor.of_cpuinfo(text) == name


def test_arm_processors_do_not_share_a_name():
    texts = [arm(), arm(part="0xd0c"), arm(variant="0x0"), arm(implementer="0xc0", part="0xac3")]
    assert len({processor.of_cpuinfo(text) for text in texts}) == len(texts)


def test_fast_and_slow_cores_of_one_chip_are_both_named_once():
    named = processor.of_cpuinfo("\n".join([arm(part="0xd05"), arm(part="0xd0b")]))
    assert [name.partition(" (")[0] for name in named.split(" + ")] == ["Cortex-A55", "Cortex-A76"]


def test_a_core_that_several_makers_build_is_named_with_its_machine(tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text(arm(part="0xd0c"))
    (tmp_path / "model").write_bytes(b"Example Board Rev 1.0\0")
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(processor, "BOARDS", (tmp_path / "model", tmp_path / "absent"))
    assert processor.name().startswith("Neoverse N1 (")
    assert processor.name().endswith("), Example Board Rev 1.0")


def test_without_anything_the_architecture_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "absent")
    monkeypatch.setattr(processor.sys, "platform", "other")
    assert processor.name() == (platform.processor() or platform.machine())
