"""TensorBoard's files, without TensorFlow: Keras' own callback needs it, and JAX and PyTorch users have it not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Board:
    """One run as TensorBoard shows it, in a folder of its own; made by its first :meth:`write`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def write(self, step: int, scalars: Mapping[str, float], pictures: Mapping[str, NDArray[np.uint8]]) -> None:
        """Add scalars, and RGB pictures, uint8 (height, width, 3), at `step`; on disk when this returns."""
        import cv2
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if self._writer is None:
            self._writer = EventFileWriter(str(self._folder))
        values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        for name, picture in pictures.items():
            png = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
            values.append(Summary.Value(tag=name, image=Summary.Image(encoded_image_string=png)))
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))
        self._writer.flush()
