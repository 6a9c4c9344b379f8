"""What the processor can, without any library: peers ask it too."""

from __future__ import annotations

from pathlib import Path

_BF16 = frozenset({"amx_bf16", "avx512_bf16"})


def multiplies_bf16() -> bool:
    """Whether bf16 is multiplied in hardware."""
    info = Path("/proc/cpuinfo")
    return info.is_file() and bool(_BF16 & set(info.read_text("utf-8").split()))
