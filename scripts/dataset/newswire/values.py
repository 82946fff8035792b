"""What a slot can hold: names (which identify a story) and figures."""

from collections.abc import Callable
from random import Random

from scripts.dataset.newswire.names import Person, draw, draw_person

Value = str | Person


def _between(rng: Random, low: int, high: int) -> int:
    return low + int(rng.random() * (high - low + 1))


def _sum(rng: Random, unit: str) -> str:
    whole = _between(rng, 2, 99)
    # Small sums are printed with a decimal, as newspapers do.
    return f"${whole}.{_between(rng, 1, 9)} {unit}" if whole < 10 else f"${whole} {unit}"


def _score(rng: Random) -> str:
    loser = _between(rng, 0, 3)
    return f"{loser + _between(rng, 1, 3)}-{loser}"


#: Kinds of slot that name something; a story's key is made of these.
ENTITIES: dict[str, Callable[[Random], Value]] = {
    "person": draw_person,
    "place": lambda rng: draw("place", rng),
    "country": lambda rng: draw("country", rng),
    "partner": lambda rng: draw("country", rng),
    "company": lambda rng: draw("company", rng),
    "rival": lambda rng: draw("company", rng),
    "team": lambda rng: draw("team", rng),
    "opponent": lambda rng: draw("team", rng),
    "title": lambda rng: draw("title", rng),
    "product": lambda rng: draw("product", rng),
    "university": lambda rng: f"{draw('place', rng)} University",
}
#: Kinds of slot that hold a figure.
FIGURES: dict[str, Callable[[Random], Value]] = {
    "percent": lambda rng: f"{_between(rng, 2, 49)}%",
    "support": lambda rng: f"{_between(rng, 35, 79)}%",
    "money": lambda rng: _sum(rng, "million"),
    "fortune": lambda rng: _sum(rng, "billion"),
    "count": lambda rng: str(_between(rng, 3, 60)),
    "crowd": lambda rng: f"{_between(rng, 11, 989) * 100:,}",
    "years": lambda rng: f"{_between(rng, 3, 30)} years",
    "soon": lambda rng: f"{_between(rng, 2, 6)} years",
    "score": _score,
    "degrees": lambda rng: f"{_between(rng, 34, 49)} degrees",
    "wind": lambda rng: f"{_between(rng, 12, 31) * 5} mph",
}


def value(kind: str, rng: Random) -> Value:
    """Draw a value for a slot of this kind.

    Raises:
        KeyError: there is no such kind.
    """
    return (ENTITIES.get(kind) or FIGURES[kind])(rng)
