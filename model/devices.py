"""The devices of the backend, the precision that suits them, and the reason why an NVIDIA GPU is not used.

Only the backend of Keras is imported.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from crnn_reader.errors import UserError
from model.backend import import_keras

logger = logging.getLogger(__name__)

#: Files that NVIDIA's driver creates, and the folder in which the kernel lists the devices of the PCI bus.
DRIVER_FILES = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidia0"))
PCI_DEVICES = Path("/sys/bus/pci/devices")
#: NVIDIA's vendor number, and the prefix of the class of display controllers.
NVIDIA, DISPLAY = "0x10de", "0x03"

#: Names of the backends for messages, and how to install their support for NVIDIA GPUs.
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
WHEELS = {
    "tensorflow": "pip install 'tensorflow[and-cuda]'",
    "jax": "pip install 'jax[cuda12]'",
    "torch": "install the build of torch that has CUDA, not the one for processors",
}

#: The first compute capability with bfloat16 in tensor cores: NVIDIA's Ampere.
BFLOAT16_CAPABILITY = 8.0

#: Parts of error messages that report memory exhaustion: XLA and TensorFlow, PyTorch (GPU and CPU), cuDNN.
OUT_OF_MEMORY = ("RESOURCE_EXHAUSTED", "OOM when allocating", "out of memory", "not enough memory", "ALLOC_FAILED")


def backend() -> str:
    """The backend of Keras: tensorflow, jax or torch."""
    name: str = import_keras().backend.backend()
    return name


def accelerators() -> list[Any]:
    """The GPUs or TPUs that the backend can use on this machine."""
    if backend() == "jax":
        import jax

        return [device for device in jax.local_devices() if device.platform != "cpu"]
    if backend() == "tensorflow":
        import tensorflow as tf

        return list(tf.config.list_physical_devices("GPU"))
    import torch

    return [torch.device("cuda", number) for number in range(torch.cuda.device_count())]


def device_count(asked: int | None, batch_size: int) -> int:
    """The number of devices that share each batch: those `asked` for, or a default.

    By default it is the largest number of GPUs that divides the batch size. Raises UserError if there are fewer
    devices than asked for, if their number does not divide the batch size, and if the backend is not JAX.
    """
    if backend() != "jax":
        if (asked or len(accelerators())) < 2:
            return 1
        name = NAMES[backend()]
        if asked:
            raise UserError(f"{name} trains on one device, not on {asked}: set KERAS_BACKEND=jax", "devices", "1")
        logger.warning(
            f"{name} trains on one of the {len(accelerators())} GPUs: KERAS_BACKEND=jax trains on all of them"
        )
        return 1
    import jax

    found, of = jax.device_count(), f"{asked}, the number of devices"
    if jax.process_count() > 1:
        # The others would wait for a process that has no part of the batch.
        if asked not in (None, found):
            raise UserError(
                f"the processes have {found} devices, and all of these train, not {asked}: give no number", "devices"
            )
        asked, of = found, f"{found}, the number of devices of all processes"
    if asked is None:
        most = len(accelerators()) or 1
        return max(number for number in range(1, most + 1) if batch_size % number == 0)
    if asked > found:
        kind = "processor" if jax.default_backend() == "cpu" else jax.default_backend().upper()
        raise UserError(f"JAX finds {found} devices ({kind}), not {asked}: use {found}", "devices", str(found))
    if batch_size % asked:
        below = batch_size // asked * asked
        sizes = f"{below} or {below + asked}" if below else f"{asked}"
        raise UserError(f"batches of {batch_size} are not a multiple of {of}: use {sizes} pictures", "batch_size")
    return asked


def batch_divisor() -> int:
    """The number of devices that must share each batch: those of all processes if there are several, else 1."""
    if backend() != "jax":
        return 1
    import jax

    return jax.device_count() if jax.process_count() > 1 else 1


def fastest_policy() -> str:
    """The Keras dtype policy that trains fastest on this machine and reads as well.

    On an H200, JAX trained `small` in mixed_bfloat16 1.3 times as fast as in float32, PyTorch slower. TensorFlow was
    not measured on a GPU.
    """
    if backend() == "jax" and (found := accelerators()):
        # Such as "9.0" on NVIDIA GPUs; AMD GPUs and TPUs have no such number.
        capability = str(getattr(found[0], "compute_capability", ""))
        if capability.replace(".", "").isdigit() and float(capability) >= BFLOAT16_CAPABILITY:
            return "mixed_bfloat16"
    return "float32"


def unused_gpu() -> str:
    """Why the NVIDIA GPU of this machine is not used, and what to install, in a sentence; "" if there is none."""
    if _hidden() or accelerators():
        return ""
    if any(file.exists() for file in DRIVER_FILES):
        return (
            f"{NAMES[backend()]} does not find the NVIDIA GPU of this machine and trains on the processor: "
            f"{WHEELS[backend()]}; if it is installed already, compare the driver's version (nvidia-smi) with the one "
            "that it needs"
        )
    if _has_card():
        return (
            "this machine has an NVIDIA GPU without a driver, so training runs on the processor: install NVIDIA's "
            "driver (nvidia-smi then lists the GPU)"
        )
    return ""


def _hidden() -> bool:
    """Whether environment variables hide GPUs."""
    platforms = os.environ.get("JAX_PLATFORMS", "")
    return os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") or (backend() == "jax" and platforms == "cpu")


def _has_card() -> bool:
    try:
        return any(
            (device / "vendor").read_text().strip() == NVIDIA and (device / "class").read_text().startswith(DISPLAY)
            for device in PCI_DEVICES.iterdir()
        )
    except OSError:
        return False


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether `error`, of any backend, says that the device or the machine has no memory left."""
    return isinstance(error, MemoryError) or any(text in str(error) for text in OUT_OF_MEMORY)
