import struct

import numpy as np
import pytest

from aura_core.errors import AuraError
from aura_core.models.ctranslate2 import read_variables
from aura_core.models.pinned import locate


def string(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def variable(name: str, array: np.ndarray, dtype: int) -> bytes:
    shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
    return string(name) + shape + struct.pack("<BI", dtype, array.nbytes) + array.tobytes()


ARRAYS = {
    "a": (np.arange(6, dtype="<f4").reshape(2, 3), 0),
    "b": (np.array([-3, 4], dtype="<i1"), 1),
    "c": (np.array(7, dtype="<i2"), 2),
    "d": (np.array([[1], [2]], dtype="<i4"), 3),
    "e": (np.array([0.5, -0.25], dtype="<f2"), 4),
}
HEADER = struct.pack("<I", 6) + string("Spec") + struct.pack("<I", 3)
FILE = (
    HEADER
    + struct.pack("<I", len(ARRAYS))
    + b"".join(variable(name, array, dtype) for name, (array, dtype) in ARRAYS.items())
    + struct.pack("<I", 1)
    + string("alias")
    + string("a")
)


def test_reads_every_dtype_and_shape(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(FILE)
    variables = read_variables(path)
    assert list(variables) == list(ARRAYS)
    for name, (array, _) in ARRAYS.items():
        assert variables[name].dtype == array.dtype
        np.testing.assert_array_equal(variables[name], array)


def test_every_truncation_and_a_left_over_byte_are_refused(tmp_path):
    path = tmp_path / "model.bin"
    for data in [*(FILE[:size] for size in range(len(FILE))), FILE + b"\0"]:
        path.write_bytes(data)
        with pytest.raises(AuraError, match=r"model\.bin"):
            read_variables(path)


def test_another_version_is_refused(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(struct.pack("<I", 5) + FILE[4:])
    with pytest.raises(AuraError, match="version 5, expected 6"):
        read_variables(path)


def test_reads_the_pinned_model():
    variables = read_variables(locate("whisper-tiny.en"))
    assert variables["encoder/conv1/weight"].shape == (384, 80, 3)
    assert variables["encoder/num_heads"] == 6
