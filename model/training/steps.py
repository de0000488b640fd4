"""Gradient steps on each backend. The host does not wait for the device between steps.

Keras' `train_on_batch` returns the loss as a Python number, so that the host waits before it prepares the next batch.
Here, losses are summed on the device and read every `CHUNK` steps, or every `SECONDS`. Several steps in one compiled
call would not be faster: dispatch takes a tenth of a millisecond and overlaps with the step before, which takes
milliseconds even in the smallest network.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from model.backend import import_keras, jit_compile

#: Number of steps whose losses are summed on the device in float32. The host adds up these sums in float64.
CHUNK = 100
#: Seconds after which the loss is checked for NaN, if that is sooner.
SECONDS = 1.0
#: Maximum number of steps that the host is ahead of the device: enough to hide the host's work, few enough to bound
#: the memory of their batches.
AHEAD = 3

#: Inputs of the network, targets of the losses, number of pictures, learning rate.
Batch: TypeAlias = tuple[Any, Any, int, float]


def steps_of(network: Any, losses: Any, average: list[Any], decay: float, devices: int = 1) -> Steps:
    """The steps for the backend of Keras.

    Arguments:
        network: a Keras model, compiled with an optimizer that is built.
        losses: a Keras loss, or a dict of losses by output, which are summed.
        average: a variable for each trainable one, for its moving average with `decay`; or an empty list.
        devices: number of devices that share each batch; more than one only with JAX.
    """
    backend = import_keras().backend.backend()
    if backend == "jax":
        return JAXSteps(network, losses, average, decay, devices)
    return (TensorFlowSteps if backend == "tensorflow" else TorchSteps)(network, losses, average, decay)


class Steps:
    """Trains a network batch by batch. Its variables have their new values at the end of an epoch at the latest.

    A subclass has the hooks of a backend. :meth:`epoch` calls `_begin` and `_zero`; for each batch `_take` and `_mark`;
    `_wait` for the oldest step when more than :data:`AHEAD` are under way; `_zero` again after :data:`CHUNK` steps; and
    `_end`.
    """

    def __init__(self, network: Any, losses: Any, average: list[Any], decay: float) -> None:
        self._network, self._losses, self._average, self._decay = network, losses, average, decay
        # If Keras scales the loss for float16, this wraps the optimizer that the network was compiled with.
        self._optimizer = network.optimizer
        # Several processes must stop after the same step, and their clocks differ.
        self._single_process = True

    def epoch(self, batches: Iterator[Batch], done: Callable[[int], None]) -> tuple[float, int]:
        """Take a step per batch, and call `done` with its number of pictures.

        Returns the mean loss and the number of pictures. Soon after a loss is not finite, stops and returns a mean that
        is not finite.
        """
        self._begin()
        loss, pictures, taken, looked = 0.0, 0, 0, time.monotonic()
        total, ahead = self._zero(), deque[Any]()
        for inputs, targets, count, rate in batches:
            total = self._take(inputs, targets, count, rate, total)
            ahead.append((total, self._mark(total)))
            if len(ahead) > AHEAD:
                finished, mark = ahead.popleft()
                self._wait(mark)
                if self._single_process and time.monotonic() - looked > SECONDS:
                    if not math.isfinite(float(finished)):
                        break
                    looked = time.monotonic()
            pictures, taken = pictures + count, taken + 1
            done(count)
            if taken % CHUNK == 0:
                loss, total = loss + float(total), self._zero()
                ahead.clear()
                if not math.isfinite(loss):
                    # The sum stays NaN or infinite.
                    break
        loss += float(total)
        self._end()
        return loss / max(pictures, 1), pictures

    def loss(self, targets: Any, outputs: Any) -> Any:
        """The mean loss of a batch, a scalar on the device."""
        if isinstance(self._losses, dict):
            return sum(loss(targets[name], outputs[name]) for name, loss in self._losses.items())
        return self._losses(targets, outputs)

    def compiled_loss(self, targets: Any, outputs: Any) -> float:
        """The mean loss of a batch of NumPy arrays, as a number."""
        raise NotImplementedError

    def _begin(self) -> None:
        """Read the values of the variables."""

    def _end(self) -> None:
        """Assign the values after the last step to the variables."""

    def _zero(self) -> Any:
        """A sum of losses on the device, 0 at first."""
        raise NotImplementedError

    def _take(self, inputs: Any, targets: Any, count: int, rate: float, total: Any) -> Any:
        """Start a step with a learning rate of `rate`. Returns `total` plus the losses of its `count` pictures."""
        raise NotImplementedError

    def _mark(self, total: Any) -> Any:
        """The argument with which :meth:`_wait` waits for the step that returned `total`."""
        return total

    def _wait(self, mark: Any) -> None:
        """Wait until the step of `mark` has ended."""

    def _moved_average(self, average: Any, variable: Any, steps: Any) -> Any:
        """The new value of `average` after `steps` steps. Early averages decay faster, to forget the random start."""
        from keras import ops

        decay = ops.minimum(self._decay, (1 + steps) / (10 + steps))
        return average * decay + variable * (1 - decay)


class TensorFlowSteps(Steps):
    """A `tf.function`. The host cannot run far ahead: recurrent loops check their condition on the host."""

    def __init__(self, network: Any, losses: Any, average: list[Any], decay: float) -> None:
        super().__init__(network, losses, average, decay)
        import tensorflow as tf

        def compiled(function: Callable[..., Any]) -> Any:
            return tf.function(function, autograph=False, reduce_retracing=True, jit_compile=jit_compile())

        self._step, self._compiled_loss = compiled(self._train_step), compiled(self.loss)

    def compiled_loss(self, targets: Any, outputs: Any) -> float:
        return float(self._compiled_loss(_tensors(targets), _tensors(outputs)))

    def _zero(self) -> Any:
        import tensorflow as tf

        return tf.zeros(())

    def _take(self, inputs: Any, targets: Any, count: int, rate: float, total: Any) -> Any:
        import tensorflow as tf

        numbers = tf.constant(rate), tf.constant(float(count))
        return self._step(_tensors(inputs), _tensors(targets), *numbers, total)

    def _train_step(self, inputs: Any, targets: Any, rate: Any, count: Any, total: Any) -> Any:
        import tensorflow as tf

        variables = self._network.trainable_variables
        self._optimizer.learning_rate.assign(rate)
        with tf.GradientTape() as tape:
            loss = self.loss(targets, self._network(inputs, training=True))
            scaled = self._optimizer.scale_loss(loss)
        self._optimizer.apply(tape.gradient(scaled, variables), variables)
        if self._average:
            steps = tf.cast(self._optimizer.iterations.value, tf.float32)
            for average, variable in zip(self._average, variables, strict=True):
                average.assign(self._moved_average(average.value, variable.value, steps))
        return total + loss * count


def _tensors(arrays: Any) -> Any:
    import tensorflow as tf

    return tf.nest.map_structure(tf.convert_to_tensor, arrays)


class JAXSteps(Steps):
    """A jitted function of the state, which stays on the device and is donated from step to step.

    Until the end of an epoch, the variables keep their values from its beginning, so that an interruption leaves them
    consistent.

    With several devices, each has a copy of the state and a part of every batch. XLA partitions the program for one
    device, so that loss, batch statistics, dropout and gradients are those of the whole batch. If a batch cannot be
    divided evenly, such as the last one of an epoch, every device computes all of it.
    """

    def __init__(self, network: Any, losses: Any, average: list[Any], decay: float, devices: int = 1) -> None:
        super().__init__(network, losses, average, decay)
        import jax
        from jax.sharding import Mesh, NamedSharding, PartitionSpec

        self._devices = devices
        self._process, self._processes = jax.process_index(), jax.process_count()
        self._single_process = self._processes == 1
        mesh = Mesh(np.array(jax.devices()[:devices]), ("batch",))
        self._copied, self._shared = NamedSharding(mesh, PartitionSpec()), NamedSharding(mesh, PartitionSpec("batch"))
        if devices > 1:
            _without_cudnn(network)
        self._variables = (
            network.trainable_variables,
            network.non_trainable_variables,
            self._optimizer.variables,
            average,
        )
        places = [id(variable) for variable in self._optimizer.variables]
        self._rate = places.index(id(self._optimizer.learning_rate))
        self._iterations = places.index(id(self._optimizer.iterations))
        self._step = jax.jit(self._train_step, donate_argnums=0, static_argnums=3, out_shardings=self._copied)
        self._compiled_loss = jax.jit(self.loss)
        self._state: Any = None

    def compiled_loss(self, targets: Any, outputs: Any) -> float:
        return float(self._compiled_loss(targets, outputs))

    def _begin(self) -> None:
        import jax.numpy as jnp

        # Copies, because donated arrays are deleted.
        self._state = [[self._everywhere(jnp.array(variable.value)) for variable in group] for group in self._variables]

    def _end(self) -> None:
        for group, values in zip(self._variables, self._state, strict=True):
            for variable, value in zip(group, values, strict=True):
                # The copy on the first device, where networks are evaluated and saved.
                variable.assign(value.addressable_data(0))
        self._state = None

    def _zero(self) -> Any:
        return 0.0

    def _take(self, inputs: Any, targets: Any, count: int, rate: float, total: Any) -> Any:
        placed = self._placed(inputs, count), self._placed(targets, count)
        self._state, total = self._step(self._state, *placed, count, rate, total)
        return total

    def _placed(self, arrays: Any, count: int) -> Any:
        import jax

        if self._devices == 1:
            return arrays
        uneven = count % self._devices > 0
        if self._processes == 1:
            return jax.device_put(arrays, self._copied if uneven else self._shared)
        place = self._everywhere if uneven else partial(self._part, count)
        return jax.tree.map(place, arrays)

    def _everywhere(self, array: Any) -> Any:
        """Copy an `array`, which all processes have, to every device."""
        import jax

        if self._processes == 1:
            return jax.device_put(array, self._copied)
        return jax.make_array_from_process_local_data(self._copied, np.asarray(array), array.shape)

    def _part(self, count: int, array: Any) -> Any:
        """Divide a batch of `count` rows among all devices. `array` is the batch, or the part of this process."""
        import jax

        if len(array) == count:
            start, end = (count * process // self._processes for process in (self._process, self._process + 1))
            array = array[start:end]
        return jax.make_array_from_process_local_data(self._shared, array, (count, *array.shape[1:]))

    def _wait(self, mark: Any) -> None:
        mark.block_until_ready()

    def _train_step(self, state: Any, inputs: Any, targets: Any, count: int, rate: Any, total: Any) -> Any:
        import jax
        import jax.numpy as jnp
        from keras import StatelessScope

        trainable, others, optimizer, averages = state

        def loss_of(trainable: Any) -> Any:
            outputs, after = self._network.stateless_call(trainable, others, inputs, training=True)
            loss = self.loss(targets, outputs)
            with StatelessScope(zip(self._optimizer.variables, optimizer, strict=True)):
                return self._optimizer.scale_loss(loss), (loss, after)

        gradients, (loss, others) = jax.grad(loss_of, has_aux=True)(trainable)
        optimizer[self._rate] = jnp.asarray(rate, optimizer[self._rate].dtype)
        trainable, optimizer = self._optimizer.stateless_apply(optimizer, gradients, trainable)
        steps = optimizer[self._iterations].astype("float32")
        if averages:
            averages = [self._moved_average(*pair, steps) for pair in zip(averages, trainable, strict=True)]
        return [trainable, others, optimizer, averages], total + loss * count


def _without_cudnn(network: Any) -> None:
    """Compute recurrent layers as loops: XLA can divide these among devices, but no call of cuDNN."""
    for layer in network._flatten_layers():
        if hasattr(layer, "use_cudnn"):
            layer.use_cudnn = False


class TorchSteps(Steps):
    """Uncompiled steps. On a GPU, PyTorch queues operations, so that the host runs ahead."""

    def compiled_loss(self, targets: Any, outputs: Any) -> float:
        return float(self.loss(targets, outputs))

    def _zero(self) -> Any:
        return 0.0

    def _take(self, inputs: Any, targets: Any, count: int, rate: float, total: Any) -> Any:
        import torch

        variables = self._network.trainable_variables
        self._optimizer.learning_rate = rate
        self._network.zero_grad()
        loss = self.loss(_pinned(targets), self._network(_pinned(inputs), training=True))
        self._optimizer.scale_loss(loss).backward()
        with torch.no_grad():
            self._optimizer.apply([variable.value.grad for variable in variables], variables)
            if self._average:
                steps = int(self._optimizer.iterations)
                decay = min(self._decay, (1 + steps) / (10 + steps))
                averages, values = ([each.value for each in group] for group in (self._average, variables))
                torch._foreach_lerp_(averages, values, 1 - decay)
            return total + loss.detach() * count

    def _mark(self, total: Any) -> Any:
        import torch

        if total.is_cuda:
            event = torch.cuda.Event()
            event.record()
            return event
        return None

    def _wait(self, mark: Any) -> None:
        if mark is not None:
            mark.synchronize()


def _pinned(arrays: Any) -> Any:
    """Copy arrays to the GPU, if there is one, from pinned memory: unpinned copies block until the last step ends."""
    import torch
    from keras import tree

    if not torch.cuda.is_available():
        return arrays
    return tree.map_structure(lambda array: torch.from_numpy(array).pin_memory().to("cuda", non_blocking=True), arrays)
