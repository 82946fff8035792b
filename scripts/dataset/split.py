"""The split into training rows and evaluation pool.

A row's side and its place in the order come from a hash of the seed and the row's id alone. So a row keeps its side and
its place among the others when the source grows, and a growing evaluation share only ever moves rows into the pool.
"""

import hashlib
from collections.abc import Iterable

from scripts.dataset.rows import Row


def draw(seed: int, identity: str) -> tuple[float, int]:
    """Return a row's two draws: a number in [0, 1) that decides the side, and one that decides the order."""
    digest = hashlib.blake2b(f"{seed}\n{identity}".encode("ascii"), digest_size=16).digest()
    # 53 bits are what a float holds exactly; with 64 the share could round up to 1.
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53, int.from_bytes(digest[8:], "big")


def split(rows: Iterable[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Return (pool, train). Rows whose source decided their side keep the source's order, which is drawn at random."""
    given: tuple[list[Row], list[Row]] = [], []
    drawn: tuple[list[Row], list[Row]] = [], []
    for row in rows:
        if row.side is None:
            drawn[draw(seed, row.id)[0] >= share].append(row)
        else:
            given[row.side != "pool"].append(row)
    for side in drawn:  # one after the other, since a key of both would take more memory than the rows
        side.sort(key=lambda row: row.number)
        side.sort(key=lambda row: draw(seed, row.id)[1])
    return given[0] + drawn[0], given[1] + drawn[1]


def leaking(pool: Iterable[Row], train: Iterable[Row]) -> set[str]:
    """Return the ids of training rows whose headline or summary stands in the pool, whatever its case."""
    headlines, summaries = set(), set()
    for row in pool:
        headlines.add(row.headline.casefold())
        summaries.add(row.summary.casefold())
    return {row.id for row in train if row.headline.casefold() in headlines or row.summary.casefold() in summaries}
