"""Write TensorBoard's files without TensorFlow, which Keras' callback needs and users of JAX and PyTorch lack."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cli.files import file_name_in_errors

logger = logging.getLogger(__name__)


class TensorBoardFiles:
    """One run of TensorBoard, in a folder that the first :meth:`write` creates."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: Path | None = None
        self._warned = False

    def write(self, step: int, scalars: Mapping[str, float], pictures: Mapping[str, NDArray[np.uint8]]) -> None:
        """Write scalars and RGB pictures, uint8 (height, width, 3), at `step`.

        If they cannot be written, logs a warning once and goes on: other files of the run have the same values.
        """
        try:
            self._write(step, scalars, pictures)
        except OSError as error:
            # After half an event, TensorBoard would not read the rest of the file: begin another one.
            self._file = None
            if not self._warned:
                place = error.filename or self._folder
                logger.warning(f"TensorBoard will lack some values: {place} cannot be written ({error.strerror})")
                self._warned = True

    def _write(self, step: int, scalars: Mapping[str, float], pictures: Mapping[str, NDArray[np.uint8]]) -> None:
        import cv2
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        for name, picture in pictures.items():
            png = cv2.imencode(".png", picture[..., ::-1])[1].tobytes()
            values.append(Summary.Value(tag=name, image=Summary.Image(encoded_image_string=png)))
        events = [Event(wall_time=time.time(), step=step, summary=Summary(value=values))]
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = self._folder / f"events.out.tfevents.{self._after_others():.6f}.{os.getpid()}"
            events.insert(0, Event(wall_time=time.time(), file_version="brain.Event:2"))
        # TensorBoard's own EventFileWriter writes in a thread, whose errors print tracebacks.
        with file_name_in_errors(self._file), self._file.open("ab") as file:
            writer = RecordWriter(file)
            for event in events:
                writer.write(event.SerializeToString())

    def _after_others(self) -> float:
        """The time of day, or later if the folder has a later file because the clock was set back.

        TensorBoard reads files in the order of their names.
        """
        names = [
            re.fullmatch(r"events\.out\.tfevents\.(\d{10}\.\d{6})\.\d+", path.name) for path in self._folder.iterdir()
        ]
        return max([time.time(), *(float(name[1]) + 1e-3 for name in names if name)])
