import sys
from types import SimpleNamespace

import pytest

from scripts.inference.power import EnergyMeter


class Nvml(SimpleNamespace):
    class NVMLError(Exception):
        pass

    def nvmlInit(self):
        if not self.driver:
            raise self.NVMLError("no driver")

    def nvmlShutdown(self):
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        if self.millijoules is None:
            raise self.NVMLError("not supported")
        return self.millijoules[handle]


@pytest.fixture
def nvml(monkeypatch):
    def install(millijoules=None, driver=True):
        fake = Nvml(millijoules=millijoules, driver=driver)
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        return fake

    return install


def package(root, number, joules, name=None, limit=1000.0):
    folder = root / f"intel-rapl:{number}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "name").write_text(f"{name or f'package-{number}'}\n")
    (folder / "max_energy_range_uj").write_text(f"{int(limit * 1e6)}\n")
    (folder / "energy_uj").write_text(f"{int(joules * 1e6)}\n")


def test_the_energy_of_the_leased_gpus_alone_is_summed(nvml):
    counters = {"GPU-a": 5_000_000, "GPU-b": 100, "GPU-other": 7}
    nvml(counters)
    meter = EnergyMeter(["GPU-a", "GPU-b"])
    assert (meter.method, meter.reason, meter.domains) == ("nvml", None, ["GPU 0", "GPU 1"])
    assert meter.read() == 0
    counters.update({"GPU-a": 5_002_500, "GPU-b": 600, "GPU-other": 10**9})
    assert meter.read() == pytest.approx(3.0)


@pytest.mark.parametrize(("options", "why"), [({}, "no energy counter"), ({"driver": False}, "no driver")])
def test_a_gpu_without_a_counter_has_no_energy_and_says_why(nvml, options, why, tmp_path):
    package(tmp_path, 0, 1)
    nvml(**options)
    meter = EnergyMeter(["GPU-a"], tmp_path)
    # The processor's counter would leave out what draws most.
    assert (meter.method, meter.read(), meter.domains) == (None, None, [])
    assert why in meter.reason
    assert meter.reason.endswith(".")


def test_a_gpu_that_stops_answering_leaves_no_figure(nvml):
    fake = nvml({"GPU-a": 1})
    meter = EnergyMeter(["GPU-a"])
    fake.millijoules = None
    assert meter.read() is None


def test_packages_are_summed_and_neither_their_parts_nor_the_platform_is(tmp_path):
    for joules in (10, 25):
        package(tmp_path, 0, joules)
        package(tmp_path, 1, joules * 2)
        package(tmp_path, "0:0", joules * 100, name="core")
        package(tmp_path, 2, joules * 100, name="psys")
        (tmp_path / "intel-rapl:0:0" / "energy_uj").unlink()  # what is not counted need not be readable
        if joules == 10:
            meter = EnergyMeter([], tmp_path)
    assert (meter.method, meter.domains) == ("rapl", ["package-0", "package-1"])
    assert meter.read() == pytest.approx(15 + 30)


def test_a_counter_that_starts_anew_goes_on_counting(tmp_path):
    package(tmp_path, 0, 990)
    meter = EnergyMeter([], tmp_path)
    package(tmp_path, 0, 20)
    assert meter.read() == pytest.approx(30)
    package(tmp_path, 0, 15)
    assert meter.read() == pytest.approx(30 + 995)
    package(tmp_path, 0, 16)
    assert meter.read() == pytest.approx(30 + 996)


def test_a_machine_without_counters_has_no_energy_and_says_why(tmp_path):
    meter = EnergyMeter([], tmp_path / "absent")
    assert (meter.method, meter.read()) == (None, None)
    assert "RAPL" in meter.reason


def test_counters_for_the_superuser_only_are_named_as_such(tmp_path, monkeypatch):
    from scripts.inference import power

    package(tmp_path, 0, 1)

    def refused(path):
        raise PermissionError(path)

    monkeypatch.setattr(power, "_number", refused)
    meter = EnergyMeter([], tmp_path)
    assert (meter.method, meter.read()) == (None, None)
    assert "superuser" in meter.reason
