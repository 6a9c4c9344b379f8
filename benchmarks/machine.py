"""On what and with what the figures were taken."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import groundglass
from groundglass.core.cores import usable_cores
from groundglass.infer import CpuEngine, Precision, load_bundle

#: Instruction sets that decide how fast matrices are multiplied, in Linux's names.
_TELLING = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16",
            "amx_int8", "amx_fp16")  # fmt: skip
_PACKAGES = ("numpy", "opencv-python-headless", "imagecodecs", "pydicom", "highdicom")


def machine(bundle: str) -> dict[str, Any]:
    """CPU, memory, versions; what the document's head says."""
    engine = CpuEngine(Precision.AUTO)
    loaded = load_bundle(bundle)
    info = _read("/proc/cpuinfo")
    return {
        "cpu": _first(r"model name\s*:\s*(.+)", info) or platform.processor() or "unknown",
        "cores": cores(),
        "threads a core": threads_a_core(info) or "unknown",
        "instruction sets": telling_flags(_first(r"flags\s*:\s*(.+)", info)),
        "memory": _memory(),
        "system": platform.platform(),
        "groundglass": f"{groundglass.__version__}, bundle {loaded.name} {loaded.version}",
        "precision": engine.precision.value,
        "versions": {
            "Python": platform.python_version(),
            **engine.versions,
            **{name: found for name in _PACKAGES if (found := _version(name))},
        },
    }


def cores() -> int:
    """Cores this process may use."""
    return len(usable_cores())


def load() -> str:
    """How busy the machine is otherwise: processes that want to run, mean of the last minute."""
    return f"{os.getloadavg()[0]:.1f} processes running"


def telling_flags(flags: str) -> list[str]:
    """The instruction sets that matter, of a line of /proc/cpuinfo."""
    return [name for name in _TELLING if name in flags.split()]


def threads_a_core(info: str) -> float | None:
    """Siblings per core as the processor, or the hypervisor, tells them."""
    siblings, count = (_first(rf"{key}\s*:\s*(\d+)", info) for key in ("siblings", "cpu cores"))
    return int(siblings) / int(count) if siblings and count else None


def _memory() -> str:
    kilobytes = _first(r"MemTotal:\s*(\d+)", _read("/proc/meminfo"))
    return f"{int(kilobytes) / 1e6:.0f} GB" if kilobytes else "unknown"


def _read(path: str) -> str:
    return Path(path).read_text("utf-8") if Path(path).is_file() else ""


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found.group(1).strip() if found else ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
