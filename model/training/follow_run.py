"""The models of a run while it trains, for `evaluation.py --follow`."""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from crnn_reader.errors import UserError
from model.model_file import SHIPPED
from model.training.run_folder import RunFolder, best, digest
from model.training.tensorboard_files import TensorBoardFiles

logger = logging.getLogger(__name__)

#: Interval in seconds at which the run folder is checked.
POLL = 1.0


def models(run: str) -> Iterator[tuple[int, Path]]:
    """Yield the epoch and a copy of the model file of the folder `run`, then of each model that replaces it.

    A run keeps only its best model. So not every epoch has one, and if several better epochs end before the next call,
    only the best of them is yielded. The iterator ends with the training, however that ends. It waits for a folder
    that is empty or does not exist yet: a training creates it after it has decoded its pictures.

    Raises UserError if the folder holds something else, and if a run ends without a model.
    """
    folder = RunFolder(Path(run))
    folder.refuse_irregular_files()
    _wait_for_the_beginning(folder)
    seen, warned = None, False
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, folder.model.name)
        while True:
            # Checked before the model, so that the last model of a training is not missed.
            training = folder.is_training()
            epoch = _copied(folder, copy, training)
            if epoch not in (None, seen):
                seen = epoch
                yield epoch, copy
            elif training:
                if seen is None and not warned:
                    logger.info(f"waiting for the first epoch of {run}")
                    warned = True
                time.sleep(POLL)
            elif seen is None:
                raise UserError(f"{run} has no model, and no training runs there; {folder.how_to_resume()}")
            else:
                return


def _wait_for_the_beginning(folder: RunFolder) -> None:
    warned = False
    while not folder.has_begun():
        shipped = (SHIPPED / f"{folder.path}.keras").is_file()
        if shipped or (folder.path.exists() and not folder.is_free()):
            raise UserError(
                f"only a run can be followed, and {folder.path} is not a run folder: give the folder of a training",
                "model",
            )
        if not warned:
            logger.info(f"waiting for a training to begin in {folder.path}")
            warned = True
        time.sleep(POLL)


def board(run: str, path: str) -> TensorBoardFiles:
    """TensorBoard's files for the scores on the pictures of `path`, beside the curves of the folder `run`."""
    name = re.sub(r"[^\w.-]+", "_", Path(path).resolve().stem)
    return TensorBoardFiles(RunFolder(Path(run)).tensorboard / f"evaluation-{name}")


def _copied(folder: RunFolder, copy: Path, training: bool) -> int | None:
    """Copy the model file. Returns its epoch; None if there is no file yet, or if its epoch is not known yet."""
    try:
        history, model = folder.progress()
        shutil.copyfile(folder.model, copy)
    except FileNotFoundError:
        return None
    # The model is written first, then the state with its epoch. File times do not help: clocks are set back.
    if model in ("", digest(copy)):
        return int(best(history)["epoch"])
    # A training that was killed in between left the model of the next epoch.
    return None if training else len(history) + 1
