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
    pool: list[tuple[int, Row]] = []
    train: list[tuple[int, Row]] = []
    for index, row in enumerate(rows):
        if row.side is None:
            fraction, order = draw(seed, row.id)
            (pool if fraction < share else train).append((order, row))
        else:
            (pool if row.side == "pool" else train).append((index, row))
    return _in_order(pool), _in_order(train)


def _in_order(rows: list[tuple[int, Row]]) -> list[Row]:
    rows.sort(key=lambda each: (each[0], each[1].id))
    return [row for _, row in rows]


def leaking(pool: Iterable[Row], train: Iterable[Row]) -> set[str]:
    """Return the ids of training rows whose headline or summary stands in the pool, whatever its case."""
    headlines, summaries = set(), set()
    for row in pool:
        headlines.add(row.headline.casefold())
        summaries.add(row.summary.casefold())
    return {row.id for row in train if row.headline.casefold() in headlines or row.summary.casefold() in summaries}
