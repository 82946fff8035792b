"""Readers' fonts and sizes of text. The fonts are those that Matplotlib brings, so every machine has the same ones."""

import base64
from pathlib import Path

import matplotlib
from playwright.sync_api import Page

FOLDER = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
# DejaVu Sans is as wide as Verdana, STIX as narrow as Times.
FONTS = {
    "wide": ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"),
    "narrow": ("STIXGeneral.ttf", "STIXGeneralBol.ttf"),
    "monospaced": ("DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf"),
}
_FACE = "@font-face {{ font-family: {name}; font-weight: {weight}; src: url(data:font/ttf;base64,{data}); }}"
# WCAG 2.2, success criterion 1.4.12: nothing may be lost with these.
SPACED = "* { letter-spacing: 0.12em !important; word-spacing: 0.16em !important; line-height: 1.5 !important; }"
_ENLARGE = """
(times) => {
  const all = [...document.querySelectorAll("body *:not(script, style)")];
  const sizes = all.map((element) => parseFloat(getComputedStyle(element).fontSize));
  all.forEach((element, place) => { element.style.fontSize = `${sizes[place] * times}px`; });
}
"""


def use(page: Page, font: str, size: float = 1.0, spaced: bool = False) -> None:
    """Set the whole page in one font, ``size`` times as large; the page's context must bypass its policy."""
    faces = [
        _FACE.format(name=f"Reader-{font}", weight=weight, data=base64.b64encode((FOLDER / file).read_bytes()).decode())
        for weight, file in zip(("100 500", "600 900"), FONTS[font], strict=True)
    ]
    page.add_style_tag(content="\n".join([*faces, f"* {{ font-family: Reader-{font} !important; }}"]))
    loaded = page.evaluate(
        "(name) => Promise.all([400, 700].map((weight) => document.fonts.load(`${weight} 9px ${name}`)))"
        ".then((faces) => faces.flat().length)",
        f"Reader-{font}",
    )
    assert loaded == 2
    if size != 1.0:
        page.evaluate(_ENLARGE, size)
    if spaced:
        page.add_style_tag(content=SPACED)
