"""Makes an SVG drawing fit to stand inside the report: inert, with ids of its own, in the colours of the page."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from scripts.foundation.errors import StudyError
from scripts.report import plots

SVG = "http://www.w3.org/2000/svg"
XLINK = "{http://www.w3.org/1999/xlink}href"
ALLOWED = {"svg", "title", "desc", "g", "defs", "path", "use", "text", "tspan", "rect", "line", "circle", "clipPath"}
VARIABLES = {
    plots.INK: "--ink",
    plots.MUTED: "--muted",
    plots.GRID: "--grid",
    plots.FRONT: "--accent",
    plots.DOMINATED: "--mark",
    plots.BASELINE: "--reference",
    "#ffffff": "--paper",
}


def inline_svg(path: str | Path, prefix: str) -> str:
    """Read an SVG file and return it as :func:`inert_svg` does.

    Raises:
        StudyError: the file is missing or is no SVG.
    """
    try:
        return inert_svg(Path(path).read_bytes(), prefix, path)
    except FileNotFoundError:
        raise StudyError(f"{path} does not exist; draw the plots first.") from None


def inert_svg(drawing: str | bytes, prefix: str, path: str | Path = "the drawing") -> str:
    """Return an SVG drawing as markup for an HTML page.

    Only shapes and text are kept: no scripts, handlers, styles or references out of the drawing.

    Args:
        drawing: the SVG document.
        prefix: put before every id, since ids must be unique in a page.
        path: where it comes from, for the message.

    Raises:
        StudyError: it is no SVG.
    """
    try:
        root = ElementTree.fromstring(drawing)  # noqa: S314
    except ElementTree.ParseError as error:
        raise StudyError(f"{path} is not an SVG drawing ({error}); draw the plots again.") from None
    if root.tag != f"{{{SVG}}}svg":
        raise StudyError(f"{path} is not an SVG drawing; draw the plots again.")
    _clean(root, prefix)
    # The page sets the width; the view box keeps the shape.
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    markup = ElementTree.tostring(root, encoding="unicode")
    return re.sub(r"(</?)\w+:(?=\w)", r"\1", markup.replace(f' xmlns:ns0="{SVG}"', ""))


def _clean(element: ElementTree.Element, prefix: str) -> None:
    """Drop what is not a shape or text, and rewrite ids, references and colours, from this element down."""
    for child in list(element):
        name = child.tag.removeprefix(f"{{{SVG}}}") if isinstance(child.tag, str) else ""
        if name in ALLOWED:
            _clean(child, prefix)
        else:
            element.remove(child)
    for key, value in list(element.attrib.items()):
        del element.attrib[key]
        if key in (XLINK, "href"):
            if value.startswith("#"):
                element.set("href", f"#{prefix}{value[1:]}")
        elif key == "id":
            element.set(key, prefix + value)
        elif not key.startswith(("on", "{")) and not re.search(r"url\((?!#)", value):
            element.set(key, _recoloured(value.replace("url(#", f"url(#{prefix}")))


def _recoloured(value: str) -> str:
    """Turn the plot's colours into the page's, so that they follow its light or dark scheme."""
    for color, variable in VARIABLES.items():
        value = value.replace(color, f"var({variable})")
    return value
