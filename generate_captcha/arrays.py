"""Types of arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: A picture: uint8 (height, width, 3), RGB.
Image = NDArray[np.uint8]
#: Opacity, such as that of ink: uint8 (height, width), 0 is none and 255 full.
Mask = NDArray[np.uint8]
