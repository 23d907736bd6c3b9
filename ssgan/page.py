"""Shared parts of the self-contained HTML pages."""

import base64
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

FOLDER = Path(__file__).with_name("pages")


def style_of(*names: str) -> str:
    """The style sheets of these names, one after the other; "colors", by day and by night, are those of every page."""
    return "".join((FOLDER / f"{name}.css").read_text(encoding="utf-8") for name in names)


def fill(template: str, content: dict[str, Any]) -> str:
    """``template`` with what pages look like, and ``content`` as JSON, at their marks; no ``<`` is left that could end the script around it."""
    style = style_of("colors", "style")
    return template.replace("{{style}}", style).replace("{{content}}", json.dumps(content).replace("<", "\\u003c"))


def png(image: Tensor, compressed: bool = True) -> str:
    """A uint8 (C, H, W) image as a data URI."""
    return data_uri(to_pil_image(image), "png", compress_level=6 if compressed else 0)


def data_uri(picture: Image.Image, kind: str, **settings: Any) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **settings)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
