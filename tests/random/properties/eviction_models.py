"""Each eviction policy as a textbook has it: lists and loops, no index, no linked list, no care for speed."""

from dataclasses import dataclass, field

Name = int
Sized = tuple[Name, str, int]
"""(id, cache key, bytes it takes)"""


@dataclass
class Model:
    """A queue of (id, key, bytes), oldest first; `victim` says whose turn it is."""

    maxsize: int
    queue: list[Sized] = field(default_factory=list)
    out: list[Name] = field(default_factory=list)

    def has(self, name: Name) -> bool:
        return any(held[0] == name for held in self.queue)

    def bytes(self) -> int:
        return sum(held[2] for held in self.queue)

    def admit(self, new: Sized) -> bool:
        self.remove(new[0])
        if new[2] > self.maxsize:
            return False
        while self.bytes() + new[2] > self.maxsize:
            self.evict()
        self.insert(new)
        return True

    def insert(self, new: Sized) -> None:
        self.queue.append(new)

    def remove(self, name: Name) -> None:
        self.queue = [held for held in self.queue if held[0] != name]

    def evict(self) -> None:
        name = self.victim()
        self.remove(name)
        self.out.append(name)

    def victim(self) -> Name:
        return self.queue[0][0]

    def touch(self, name: Name) -> None:
        """FIFO: nothing."""


class Fifo(Model):
    pass


class Lru(Model):
    def touch(self, name: Name) -> None:
        used = [held for held in self.queue if held[0] == name]
        self.queue = [held for held in self.queue if held[0] != name] + used


@dataclass
class Lfu(Model):
    uses: dict[Name, int] = field(default_factory=dict)
    since: dict[Name, int] = field(default_factory=dict)
    """When it came to its present number of uses."""
    clock: int = 0

    def insert(self, new: Sized) -> None:
        super().insert(new)
        self._used(new[0], 1)

    def touch(self, name: Name) -> None:
        if self.has(name):
            self._used(name, self.uses[name] + 1)

    def _used(self, name: Name, uses: int) -> None:
        self.clock += 1
        self.uses[name], self.since[name] = uses, self.clock

    def victim(self) -> Name:
        return min((self.uses[held[0]], self.since[held[0]], held[0]) for held in self.queue)[2]


@dataclass
class Sieve(Model):
    """NSDI 2024, algorithm 1. The hand is a name, so that taking out others does not move it."""

    used: set[Name] = field(default_factory=set)
    hand: Name | None = None

    def insert(self, new: Sized) -> None:
        super().insert(new)
        self.used.discard(new[0])

    def touch(self, name: Name) -> None:
        if self.has(name):
            self.used.add(name)

    def remove(self, name: Name) -> None:
        if self.hand == name:
            names = [held[0] for held in self.queue]
            behind = names[names.index(name) + 1 :]
            self.hand = behind[0] if behind else None
        super().remove(name)

    def victim(self) -> Name:
        names = [held[0] for held in self.queue]
        at = 0 if self.hand is None else names.index(self.hand)
        while names[at] in self.used:
            self.used.remove(names[at])
            at = (at + 1) % len(names)
        self.hand = names[at]
        return names[at]


@dataclass
class S3Fifo(Model):
    """SOSP 2023, algorithm 1; `queue` is S then M, told apart by `main`."""

    main: list[Name] = field(default_factory=list)
    small: list[Name] = field(default_factory=list)
    ghost: list[tuple[str, int]] = field(default_factory=list)
    uses: dict[Name, int] = field(default_factory=dict)

    def held(self, name: Name) -> Sized:
        return next(held for held in self.queue if held[0] == name)

    def insert(self, new: Sized) -> None:
        super().insert(new)
        self.uses[new[0]] = 0
        known = any(key == new[1] for key, _ in self.ghost)
        self.ghost = [old for old in self.ghost if old[0] != new[1]]
        (self.main if known else self.small).append(new[0])

    def touch(self, name: Name) -> None:
        if self.has(name):
            self.uses[name] = min(self.uses[name] + 1, 3)

    def remove(self, name: Name) -> None:
        super().remove(name)
        self.main = [held for held in self.main if held != name]
        self.small = [held for held in self.small if held != name]

    def victim(self) -> Name:
        while True:
            small_bytes = sum(self.held(name)[2] for name in self.small)
            if self.small and (small_bytes >= 0.1 * self.maxsize or not self.main):
                while self.small:
                    name = self.small.pop(0)
                    if self.uses[name] <= 1:
                        self._remember(name)
                        return name
                    self.uses[name] = 0
                    self.main.append(name)
                continue
            name = self.main.pop(0)
            if self.uses[name] == 0:
                return name
            self.uses[name] -= 1
            self.main.append(name)

    def _remember(self, name: Name) -> None:
        _, key, size = self.held(name)
        self.ghost = [old for old in self.ghost if old[0] != key] + [(key, size)]
        while sum(size for _, size in self.ghost) > 0.9 * self.maxsize:
            self.ghost.pop(0)


MODELS: dict[str, type[Model]] = {"lru": Lru, "lfu": Lfu, "fifo": Fifo, "sieve": Sieve, "s3-fifo": S3Fifo}
