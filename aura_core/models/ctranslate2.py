"""Reader of CTranslate2's `model.bin`, version 6: named arrays, nothing executed.

Layout, little endian: u32 version, string spec, u32 revision, u32 count; per
variable string name, u8 rank, u32 x rank dimensions, u8 dtype, u32 size_bytes,
data; then u32 count of aliases, each string alias, string variable. A string is
u16 length with the closing NUL counted, then its bytes.
"""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aura_core.errors import AuraError

_VERSION = 6
_DTYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}

Array = NDArray[np.generic]


def read_variables(path: Path) -> dict[str, Array]:
    """Return every variable of the file, read-only, in its stored dtype; aliases are left out.

    Raises:
        AuraError: if the file is not of this format, is cut short or has bytes left over.
    """
    reader = _Reader(path.read_bytes())
    try:
        version, _spec, _revision = reader.number("I"), reader.string(), reader.number("I")
        if version != _VERSION:
            raise AuraError(f"{path}: CTranslate2 format version {version}, expected {_VERSION}")
        variables = dict(reader.variable() for _ in range(reader.number("I")))
        for _ in range(reader.number("I")):
            reader.string(), reader.string()
        if reader.offset != len(reader.data):
            raise ValueError(f"{len(reader.data) - reader.offset} bytes left over")
    except (struct.error, ValueError, KeyError, UnicodeDecodeError) as error:
        raise AuraError(f"{path}: not a readable CTranslate2 model ({error})") from error
    return variables


class _Reader:
    """A cursor over the file's bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def number(self, code: str) -> int:
        (value,) = struct.unpack_from("<" + code, self.data, self.offset)
        self.offset += struct.calcsize("<" + code)
        return int(value)

    def string(self) -> str:
        raw = bytes(self._take(self.number("H")))
        if not raw.endswith(b"\0"):
            raise ValueError("a string does not end in NUL")
        return raw[:-1].decode()

    def variable(self) -> tuple[str, Array]:
        name = self.string()
        shape = [self.number("I") for _ in range(self.number("B"))]
        dtype = np.dtype(_DTYPES[self.number("B")])
        data = self._take(self.number("I"))
        return name, np.frombuffer(data, dtype).reshape(shape)

    def _take(self, size_bytes: int) -> memoryview:
        end = self.offset + size_bytes
        if end > len(self.data):
            raise ValueError("the file is cut short")
        taken = memoryview(self.data)[self.offset : end]
        self.offset = end
        return taken
