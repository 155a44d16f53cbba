"""Items in turn, all equally often, any place of the endless sequence at once.

Item i is place i % n of round i // n, and the order of a round follows from the seed and the number of the round.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """Endless shuffled epochs of the items, with random access."""

    def __init__(self, items: Sequence[Item], *key: int) -> None:
        self.items, self._key = items, key
        self._round, self._order = -1, np.empty(0, np.intp)

    def __getitem__(self, i: int) -> Item:
        round, place = divmod(i, len(self.items))
        if round != self._round:
            self._round, self._order = round, np.random.default_rng([*self._key, round]).permutation(len(self.items))
        return self.items[int(self._order[place])]

    def first(self, i: int, wanted: Callable[[Item], bool]) -> Item:
        """The first wanted item from place i on, within its round, which has one."""
        start = i - i % len(self.items)
        places = (start + (i + step) % len(self.items) for step in range(len(self.items)))
        return next(item for place in places if wanted(item := self[place]))
