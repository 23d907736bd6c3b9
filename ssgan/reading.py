"""How picture files become pixels: what a classifier file says of it, so that pictures to predict are read like those it learned from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class PictureReading:
    """What a picture file alone does not say."""

    background: int = 255
    """Gray level, 0..255, behind transparent pictures: 255 is white."""
    levels: tuple[float, float] | None = None
    """The gray values of 16 or 32 bits that become 0 and 255; None: of 16 bits, the upper 8."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "PictureReading":
        """The inverse of `to_json`; raises KeyError, TypeError or ValueError for anything else."""
        levels = content["levels"]
        return cls(int(content["background"]), None if levels is None else (float(levels[0]), float(levels[1])))


AS_IS = PictureReading()
"""White behind what is transparent, and of 16 bits the upper 8."""
