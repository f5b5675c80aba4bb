"""Which GPUs there are, from what the environment and the vendors' tools say."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsice.launch.devices import Devices, nvidia_devices, visible_devices

SMI = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa0000-1)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb0000-2)
  MIG 3g.20gb     Device  0: (UUID: MIG-c1)
  MIG 3g.20gb     Device  1: (UUID: MIG-c2)
"""


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("0,1,2,3", ("0", "1", "2", "3")),
        (" 2 , 5", ("2", "5")),
        ("GPU-5e,MIG-9f", ("GPU-5e", "MIG-9f")),
        ("", ()),
        ("-1", ()),
        ("0,-1,1", ("0",)),
        ("NoDevFiles", ()),
    ],
)
def test_a_variable_says_it_all(text: str, names: tuple[str, ...]) -> None:
    for variable in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        found = visible_devices({variable: text})
        assert found.names == names
        assert found.environment(names[:1]) == {variable: ",".join(names[:1])}


def test_what_nvidia_smi_lists() -> None:
    found = nvidia_devices(SMI, {})
    assert found.names == ("0", "MIG-c1", "MIG-c2")  # a GPU that is split is none
    assert found.environment(("0",)) == {
        "CUDA_VISIBLE_DEVICES": "0",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    }
    assert found.named("GPU-aaaa0000-1") == "0"
    assert found.named("GPU-aaaa") == "0"
    assert found.named("MIG-c2") == "MIG-c2"
    assert found.named("MIG-c") is None  # two begin so
    assert found.named("1") is None
    own_order = nvidia_devices(SMI, {"CUDA_DEVICE_ORDER": "FASTEST_FIRST"})
    assert own_order.environment(("0",)) == {"CUDA_VISIBLE_DEVICES": "0"}


def test_nvidia_smi_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        monkeypatch.delenv(variable, raising=False)
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\nPATH=/bin:/usr/bin\ncat <<'END'\n{SMI}END\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_devices({}).names == ("0", "MIG-c1", "MIG-c2")
    program.write_text("#!/bin/sh\nexit 9\n")  # no driver in the kernel
    assert visible_devices({}) == Devices(()) or visible_devices({}).variable != (
        "CUDA_VISIBLE_DEVICES"
    )
