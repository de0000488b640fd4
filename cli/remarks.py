"""Remarks on pictures that are readable but unusual."""

from __future__ import annotations

from crnn_reader.image import DEFAULT_OPTIONS, ImageOptions

#: Number of unusual pictures that a remark names.
NAMED = 3


class ImageRemarks:
    """Collects remarks on unusual but readable pictures: those of a single colour, and those with several frames."""

    def __init__(self, options: ImageOptions = DEFAULT_OPTIONS) -> None:
        self._frame = options.frame
        self._single_colour: list[str] = []
        self._animated: list[str] = []
        self._counts = [0, 0]

    def add(self, name: str, single_colour: bool, frames: int) -> None:
        """Record a picture: its name, whether it has a single colour, and its number of frames."""
        for place, names, odd, text in (
            (0, self._single_colour, single_colour, name),
            (1, self._animated, frames > 1, f"{name} has {frames:,}"),
        ):
            if odd:
                self._counts[place] += 1
                if len(names) < NAMED:
                    names.append(text)

    def sentences(self) -> list[str]:
        """A sentence for each kind of unusual pictures, with their number and the first names."""
        found = []
        blank, animated = self._counts
        if blank:
            found.append(
                f"{blank:,} picture{'s have' if blank > 1 else ' has'} a single colour, so there is nothing to read "
                f"({_first_names(self._single_colour, blank)})"
            )
        if animated:
            which = f"the {self._frame}" if self._frame in ("first", "last") else f"number {self._frame}"
            # A user who has chosen a frame needs no advice.
            hint = ": choose another with --frame last or --frame N" if self._frame == "first" else ""
            found.append(
                f"{animated:,} picture{'s have' if animated > 1 else ' has'} several frames or pages, of which "
                f"{which} is read ({_first_names(self._animated, animated)}){hint}"
            )
        return found


def _first_names(names: list[str], count: int) -> str:
    return ", ".join(names) + (", …" if count > len(names) else "")
