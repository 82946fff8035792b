"""Made-up names. Every pool begins with common names and goes on with rare ones, composed from syllables.

A name is drawn with a probability of about 1/rank (Zipf's law): a few names are common and most are rare, so that a
model must learn to copy a name from the summary and can't know them all by heart.
"""

import functools
from random import Random
from typing import NamedTuple

from scripts.dataset.newswire.template import pick


def _listed(names: str) -> tuple[str, ...]:
    return tuple(names.split())


_FIRST = _listed("""
    Anna David Maria James Elena Peter Laura Omar Nina Paul Sofia Marcus Irene Victor Amara Felix Clara Hugo Leila
    Simon Greta Tomas Priya Daniel Yara Oscar Helen Ivan Noor Walter Mei Jonas Alba Rafael Judith Kofi Edith Luca
    Zara Martin Olga Samir Petra Diego Ingrid Amos Freya Cyrus Wanda Emil Rosa Tariq Bianca Niels Farah Silas Dora
    Kenji Vera Magnus Thea Bruno Salma Edgar Linnea Pablo Hanna Idris Corinne Axel Ramona Jasper Mina Otto Celeste
    Anton Ruth Basil Gwen Levi
""")
_LAST = _listed("""
    Tarkov Bennett Okafor Lindqvist Moreno Hale Ferrante Castell Dunmore Varga Ashby Kessler Nakata Obrien Pellegrin
    Strand Whitlock Zamora Brandt Correa Delacroix Egan Falk Grimaldi Hoang Ibarra Jansen Kowal Larkin Mbeki Norwood
    Ostrov Pryce Quill Renner Sandoval Thorne Ulrich Vance Weller Yilmaz Abbott Barros Crane Drummond Eklund
    Fontaine Gallo Hartley Iyer Jarvis Kaplan Lowell Marsh Novak Ortega Paley Rourke Sato Tremblay Underhill Voss
    Winslow Yates Zeller Amsel Boyle Dorsey Engel Fiske Garrick Holt Ingram Joshi Kemp Lund Mercer Nyberg Osei Pike
    Rask Sharma Tully Urban Vidal Wray Yoder
""")
_TOWN_HEAD = _listed("""
    Ash Bram Cald Dun El Far Glen Har Ing Kel Lang Mar Nor Oak Pen Quar Raven Stam Thorn Up Ver West Wil York Alder
    Birch Cross Drum East Fair Green Hazel Iron King Lime Mill New Old Port Red Sand Tarn Under Vale Whit Win Black
    Bright Cold
""")
_TOWN_TAIL = _listed("ford wick ton bury haven mere field dale brook stead mouth ley worth bridge gate cliff")
_COUNTRY_HEAD = _listed("Vald Kor Tes Mar Bel Sor Lan Zen Ard Nov Cal Ost Per Ruv Tal Gam Hes Ild Jor Quen")
_COUNTRY_TAIL = _listed("oria avia land istan ania ova esia mark una antia")
_COMPANY_HEAD = _listed(
    "Nor Hal Bright Vex Cor Lumen Arc Delt Stel Omni Prax Ter Qual Zen Myr Fen Gal Hex Kin Sol Tri Ver Orb Pin Rad"
)
_COMPANY_TAIL = _listed("vex den well tra via dyne mark tek lio nix cor sen ta gen bury rix")
_COMPANY_KIND = _listed("Group Holdings Works Partners Labs Brothers Industries")
_SYLLABLES = _listed("""
    ba be bo da de do fa fe ga go ka ke ki la le li lo ma me mi mo na ne no pa pe ra re ri ro sa se si ta te ti to
    va ve vi za zo bran cor dal fen gar hol jan kel lor mar nor per quin ros stal tor val wen yar
""")
_ENDINGS = _listed("n s r sen ski rov ez ini berg ic vall man ko di th ard")
_NICKNAMES = _listed("Ravens Lions Comets Rovers Falcons Wolves Sharks Titans Pilots Royals Stags Storm")
_ADJECTIVES = _listed("Silent Golden Broken Hidden Last Crimson Paper Northern Quiet Burning Distant Velvet Hollow")
_NOUNS = _listed("Harbor Garden Letter River Mirror Winter Crown Orchard Signal Island Promise Lantern Shadow Bridge")


class Person(NamedTuple):
    """A made-up person; reads as the full name, ``last`` is what a headline uses."""

    first: str
    last: str

    def __str__(self) -> str:
        return f"{self.first} {self.last}"

    def __format__(self, spec: str) -> str:
        return str(self)


def _joined(heads: tuple[str, ...], tails: tuple[str, ...], stream: str, between: str = "") -> tuple[str, ...]:
    """All heads with all tails, in a fixed shuffled order, so that the common names don't share one part."""
    rng = Random(stream)
    return tuple(sorted((head + between + tail for head in heads for tail in tails), key=lambda _: rng.random()))


def _composed(stream: str, count: int, syllables: int) -> tuple[str, ...]:
    """Names such as ``Taloravall``, in a fixed order."""
    rng = Random(stream)
    names: dict[str, None] = {}
    while len(names) < count:
        stem = "".join(pick(rng, _SYLLABLES) for _ in range(syllables))
        ending = pick(rng, _ENDINGS)
        # One vowel has to stand between the consonants of stem and ending, or none between the vowels.
        if (stem[-1] in "aeio") != (ending[0] in "aeio"):
            names[(stem + ending).capitalize()] = None
    return tuple(names)


def _companies() -> tuple[str, ...]:
    rng = Random("company kinds")
    kinds = ("", *(f" {kind}" for kind in _COMPANY_KIND))
    return tuple(name + pick(rng, kinds) for name in _joined(_COMPANY_HEAD, _COMPANY_TAIL, "company"))


@functools.cache
def pool(kind: str) -> tuple[str, ...]:
    """All names of one kind, most common first.

    Raises:
        KeyError: there is no such kind.
    """
    match kind:
        case "first":
            return _FIRST + _composed("first", 400, 1)
        case "last":
            return _LAST + _composed("last", 4000, 2)
        case "place":
            return _joined(_TOWN_HEAD, _TOWN_TAIL, "place")
        case "country":
            return _joined(_COUNTRY_HEAD, _COUNTRY_TAIL, "country")
        case "company":
            return _companies()
        case "team":
            return _joined(pool("place")[:200], _NICKNAMES, "team", " ")
        case "title":
            return _joined(_ADJECTIVES, _NOUNS, "title", " ")
        case "product":
            return _composed("product", 1500, 2)
    raise KeyError(kind)


def draw(kind: str, rng: Random) -> str:
    """Draw a name with a probability of about 1/rank."""
    names = pool(kind)
    return names[int(len(names) ** rng.random()) - 1]


def draw_person(rng: Random) -> Person:
    """Draw a made-up person."""
    return Person(draw("first", rng), draw("last", rng))
