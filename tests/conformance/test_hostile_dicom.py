"""Damaged and hostile files end in a reason: no crash, no hang, no memory blow-up.

Some hundreds of mutants are tried each time; the ten thousand by `pytest -m slow` (15 minutes).
"""

from __future__ import annotations

import gzip
import json
import random
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from made_ct import NATIVE, as_bytes, ct_series, enhanced_ct, thorax
from made_images import DESCRIPTION, LENGTH, metaimage, nifti_bytes, tiff

_READER = Path(__file__).with_name("hostile_reader.py")
_MEGABYTES = 600  # address space on top of the loaded libraries
_PEAK = 96 << 20  # bytes Python may hold at once: three times the longest header
_TIMEOUT_S = 120  # only a hang reaches it


def read_all(folder: Path) -> dict[str, str]:
    """How reading each file of a folder ended, in a bounded process."""
    done = subprocess.run(
        [sys.executable, str(_READER), str(folder), str(_MEGABYTES)],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    endings: dict[str, str] = {}
    for line in done.stdout.splitlines():
        name, ending, peak = json.loads(line)
        assert peak < _PEAK, (name, peak)
        endings[name] = ending
    assert sorted(endings) == sorted(path.name for path in folder.iterdir())
    return endings


def elements(content: bytes) -> list[tuple[int, int]]:
    """(start, end) of each top-level element of an explicit little endian file."""
    found, position = [], 132
    while position + 8 <= len(content):
        vr = content[position + 4 : position + 6]
        if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
            length, head = struct.unpack_from("<I", content, position + 8)[0], 12
        else:
            length, head = struct.unpack_from("<H", content, position + 6)[0], 8
        end = min(position + head + length, len(content))
        found.append((position, end))
        position = end
    return found


def seeded(index: int) -> random.Random:
    return random.Random(index)  # noqa: S311  (mutations, not secrets)


def flip_bytes(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    header = elements(content)[-1][0] + 12
    for _ in range(rng.choice((1, 3, 30, 300))):
        where = rng.randrange(132, header if rng.random() < 0.8 else len(content))
        changed[where] = rng.randrange(256)
    return bytes(changed)


def drop_elements(content: bytes, rng: random.Random) -> bytes:
    parts = elements(content)
    gone = set(rng.sample(range(len(parts)), rng.choice((1, 2, 5))))
    kept = [content[a:b] for index, (a, b) in enumerate(parts) if index not in gone]
    return content[:132] + b"".join(kept)


def absurd_sizes(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    start, end = rng.choice(elements(content))
    kind = rng.choice(("length", "value"))
    if kind == "length":
        changed[start + 6 : start + 8] = rng.choice((b"\xff\xff", b"\x00\x80", b"\x01\x00"))
        if changed[start + 4 : start + 6] in (b"OB", b"OW", b"SQ", b"UN"):
            changed[start + 8 : start + 12] = rng.choice((b"\xff" * 4, b"\xfe\xff\xff\x7f"))
    else:
        filler = rng.choice((b"\xff", b"9", b"\0", b"-"))
        changed[start + 8 : min(end, start + 72)] = filler * (min(end, start + 72) - start - 8)
    return bytes(changed)


def cut_off(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


MUTATIONS = (flip_bytes, drop_elements, absurd_sizes, cut_off)


def real_file(shared_data: Path) -> bytes:
    folder = shared_data / "studies" / "lung-dx-A0002" / "series-2"
    return sorted(folder.iterdir())[0].read_bytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    (made / "warm-up").write_bytes(as_bytes(ct_series(thorax(1))[0], JPEGLosslessSV1))
    return made


def test_a_hundred_mutants_of_a_real_file(shared_data: Path, folder: Path) -> None:
    content = real_file(shared_data)
    for index in range(100):
        mutate = MUTATIONS[index % len(MUTATIONS)]
        mutant = mutate(content, seeded(index))
        (folder / f"{index:03d}-{mutate.__name__}").write_bytes(mutant)
    endings = read_all(folder)
    # One slice alone is no volume: every mutant ends in a reason.
    assert len(endings) == 101
    assert all("Error: Found" in ending for ending in endings.values())


_SYNTAXES = (RLELossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless,
             DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian)  # fmt: skip


def test_mutants_of_every_syntax(folder: Path) -> None:
    """An enhanced object is a whole volume in one file; compressed, one slice is decoded."""
    for syntax in _SYNTAXES:
        data = enhanced_ct(thorax(12)) if syntax in NATIVE else ct_series(thorax(3))[0]
        content = as_bytes(data, syntax)
        for index in range(12):
            rng = seeded(index)
            changed = bytearray(content)
            for _ in range(rng.choice((1, 10, 100))):
                changed[rng.randrange(132, len(content))] = rng.randrange(256)
            (folder / f"{syntax.replace('.', '-')}-{index:03d}").write_bytes(changed)
    assert len(read_all(folder)) == 1 + 12 * len(_SYNTAXES)


def _hu() -> NDArray[np.int16]:
    return thorax(12, 32)


def _zip(how: int, contents: list[bytes]) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", how) as archive:
        for index, content in enumerate(contents):
            archive.writestr(f"IM{index}", content)
    return packed.getvalue()


def _imagej() -> bytes:
    """Planes one after the other behind one directory."""
    stack = _hu().reshape(-1, 32)
    return tiff(stack, {LENGTH: 32, DESCRIPTION: "ImageJ=1.54\nimages=12\nslices=12\n"})


#: Every format and container, as small as it can be.
WHOLE: dict[str, Callable[[], bytes]] = {
    "dcm": lambda: as_bytes(ct_series(_hu())[0]),
    **{
        f"{UID(syntax).keyword}.dcm": lambda syntax=syntax: as_bytes(
            enhanced_ct(_hu()) if syntax in NATIVE else ct_series(_hu())[0], syntax
        )
        for syntax in _SYNTAXES
    },
    "nii": lambda: bytes(nifti_bytes(_hu())),
    "nii.gz": lambda: gzip.compress(bytes(nifti_bytes(_hu()))),
    "mha": lambda: metaimage(_hu()),
    "packed.mha": lambda: metaimage(_hu(), zlib.compress(_hu().tobytes())),
    "png": lambda: imagecodecs.png_encode((_hu()[3] + 1024).astype(np.uint16)),
    "jpg": lambda: imagecodecs.jpeg8_encode((_hu()[3] >> 4).astype(np.uint8)),
    "tif": lambda: imagecodecs.tiff_encode(_hu()[3]),
    "motorola.tif": lambda: tiff(_hu()[3], order=">"),
    "big.tif": lambda: tiff(_hu()[3], big=True),
    "imagej.tif": _imagej,
    "stored.zip": lambda: _zip(zipfile.ZIP_STORED, [as_bytes(d) for d in ct_series(_hu())]),
    "deflated.zip": lambda: _zip(zipfile.ZIP_DEFLATED, [as_bytes(d) for d in ct_series(_hu())]),
    "bzip2.zip": lambda: _zip(zipfile.ZIP_BZIP2, [as_bytes(d) for d in ct_series(_hu())]),
}


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Bytes changed anywhere or in headers, bits turned, parts cut off, lost or doubled."""
    changed = bytearray(content)
    end = rng.choice((len(content), min(len(content), 512)))
    way = rng.choice(("bytes", "bytes", "bit", "cut", "gone", "twice", "tail"))
    if way == "bytes":
        for _ in range(rng.choice((1, 5, 30))):
            changed[rng.randrange(end)] = rng.choice((0, 0xFF, rng.randrange(256)))
        return bytes(changed)
    if way == "bit":
        changed[rng.randrange(end)] ^= 1 << rng.randrange(8)
        return bytes(changed)
    if way == "tail":  # where zip, gzip and some TIFF keep what matters
        changed[-rng.randrange(1, min(512, len(content)))] = rng.randrange(256)
        return bytes(changed)
    start, stop = sorted(rng.randrange(len(content)) for _ in range(2))
    if way == "cut":
        return content[:stop]
    return content[:start] + (content[start:stop] * 2 if way == "twice" else b"") + content[stop:]


def write_mutants(folder: Path, name: str, numbers: range) -> None:
    content = WHOLE[name]()
    for index in numbers:
        (folder / f"{index:05d}.{name}").write_bytes(mutated(content, seeded(index)))


def test_mutants_of_every_container(folder: Path) -> None:
    for name in WHOLE:
        write_mutants(folder, name, range(12))
    assert len(read_all(folder)) == 1 + 12 * len(WHOLE)


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
def test_ten_thousand_mutants(folder: Path, name: str) -> None:
    """GroupCommit with the others of its kind: 10 000 and more."""
    each = -(-10_000 // len(WHOLE))
    for start in range(1_000, 1_000 + each, 50):
        for path in folder.glob("?????.*"):
            path.unlink()
        numbers = range(start, min(start + 50, 1_000 + each))
        write_mutants(folder, name, numbers)
        assert len(read_all(folder)) == 1 + len(numbers)


def claiming(data: Dataset, **absurd: int) -> bytes:
    for keyword, value in absurd.items():
        setattr(data, keyword, value)
    return as_bytes(data)


def test_claims_beyond_the_payload(folder: Path) -> None:
    one = lambda: ct_series(thorax(1))[0]  # noqa: E731  (a fresh one each time)
    (folder / "rows").write_bytes(claiming(one(), Rows=65535, Columns=65535))
    (folder / "frames").write_bytes(claiming(one(), NumberOfFrames=2_147_483_647))
    (folder / "few-frames").write_bytes(claiming(one(), NumberOfFrames=9_999))
    (folder / "bits").write_bytes(claiming(one(), BitsAllocated=65535))
    (folder / "zero").write_bytes(claiming(one(), Rows=0))
    (folder / "enhanced").write_bytes(claiming(enhanced_ct(), NumberOfFrames=100_000))
    # A tiny JPEG 2000 stream that says 60000 × 60000, in a header that agrees as far as allowed.
    coded = bytearray(as_bytes(ct_series(thorax(1))[0], JPEG2000Lossless))
    size = coded.index(b"\xff\x4f\xff\x51") + 8
    coded[size : size + 8] = struct.pack(">II", 60_000, 60_000)
    (folder / "codestream").write_bytes(coded)
    endings = read_all(folder)
    assert all(ending != "read" for ending in endings.values())


def test_deep_nesting(folder: Path) -> None:
    start = as_bytes(ct_series(thorax(1))[0])
    pixels = elements(start)[-1][0]
    sequence = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    (folder / "nested").write_bytes(start[:pixels] + (sequence + item) * 3000 + start[pixels:])
    closed = b"".join(
        [sequence + item] * 3000
        + [struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)] * 3000
    )
    (folder / "closed").write_bytes(start[:pixels] + closed + start[pixels:])
    assert all(ending != "read" for ending in read_all(folder).values())


def test_bombs(folder: Path) -> None:
    deflated = as_bytes(ct_series(thorax(1))[0], DeflatedExplicitVRLittleEndian)
    start = deflated.index(DeflatedExplicitVRLittleEndian.encode()) + 22
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = squeeze.compress(b"\x08\0\x01\0UN\0\0" + (2**31 - 2).to_bytes(4, "little"))
    body += squeeze.flush(zlib.Z_FULL_FLUSH)
    megabyte = squeeze.compress(bytes(1 << 20)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    (folder / "deflate").write_bytes(deflated[:start] + body + megabyte * 4000)  # 4 GB
    plain = as_bytes(ct_series(thorax(1))[0], ExplicitVRLittleEndian)
    # A sound header and frame, whose Pixel Data claims 2 GB and goes on for them.
    sound = plain[144 + int.from_bytes(plain[140:144], "little") :]
    pixels = sound.rindex(b"\xe0\x7f\x10\0OW")
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = squeeze.compress(sound[: pixels + 8] + (2**31 - 2).to_bytes(4, "little"))
    body += squeeze.compress(sound[pixels + 12 :]) + squeeze.flush(zlib.Z_FULL_FLUSH)
    megabyte = squeeze.compress(bytes(1 << 20)) + squeeze.flush(zlib.Z_FULL_FLUSH)
    (folder / "deflated-pixels").write_bytes(deflated[:start] + body + megabyte * 2048)
    with zipfile.ZipFile(folder / "zip", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("bomb.dcm", "w", force_zip64=True) as member:
            member.write(plain[:-8192])
            for _ in range(200):
                member.write(bytes(1 << 20))
        archive.writestr("../../up.dcm", plain)
    endings = read_all(folder)
    assert all(ending != "read" for ending in endings.values())
