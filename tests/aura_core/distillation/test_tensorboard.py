import struct
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event

from aura_core.distillation.tensorboard import TensorBoard


def read_scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Every scalar of a folder's event files: length, checksum, event, checksum, ..."""
    found: dict[str, list[tuple[int, float]]] = {}
    for path in folder.glob("events.*"):
        data = path.read_bytes()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + size])
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, round(value.simple_value, 4)))
            data = data[16 + size :]
    return found


def test_every_number_of_a_record_is_a_scalar_at_its_step(tmp_path):
    board = TensorBoard(str(tmp_path), "distil-1")
    for step in (1, 2):
        blocks = {"4": 0.5 / step}
        board.write({"step": step, "phase": "align", "loss": 1.0 / step, "distil_blocks": blocks})
    board.close()
    assert read_scalars(tmp_path / "distil-1") == {
        "loss": [(1, 1.0), (2, 0.5)],
        "distil_blocks/4": [(1, 0.5), (2, 0.25)],
    }
