"""What of one track has come and is in no segment yet: what a restart would lose.

An encoder that sends a segment a request is told 200 before the key frame that ends its last segment has come, and
players get parts before their segment is complete. Both are promises. So the fragments in hand are stored as they are
before such a promise is made, in files of their own; they go when their segment is stored.

Pure: no I/O.
"""

from collections import deque
from dataclasses import dataclass, field

from origin.media.fragments import Fragment


@dataclass(slots=True)
class Hand:
    """One track's, of one generation. Times in ticks."""

    parts: list[int] = field(default_factory=list)
    """Where the parts end that are listed of the segment in hand."""
    over: list[str] = field(default_factory=list)
    """Files that nothing needs once the track's state is stored."""
    _new: deque[tuple[int, bytes]] = field(default_factory=deque)
    """(end, bytes) of fragments that no file has."""
    _files: deque[tuple[int, str]] = field(default_factory=deque)
    """(end of what it has, name)."""
    _count: int = 0

    def add(self, fragment: Fragment) -> None:
        """A fragment that some segment will have, as it came."""
        self._new.append((fragment.end, fragment.data))

    def cut(self, end: int) -> None:
        """What ends at `end` or before is in a segment now."""
        self.parts.clear()
        while self._new and self._new[0][0] <= end:
            self._new.popleft()
        while self._files and self._files[0][0] <= end:
            self.over.append(self._files.popleft()[1])

    @property
    def fresh(self) -> bytes:
        """What is in no file; the caller stores it, and then calls `stored`."""
        return b"".join(data for _, data in self._new)

    def next_file(self, generation: int) -> str:
        """A name that no file of this track has had."""
        self._count += 1
        return f"hand-{generation}-{self._count:06}.bin"

    def stored(self, name: str, count: int) -> None:
        """The first `count` fragments of what is fresh are in this file."""
        end = 0
        for _ in range(min(count, len(self._new))):
            end = max(end, self._new.popleft()[0])
        if end:
            self._files.append((end, name))
        else:  # they are in a segment by now
            self.over.append(name)

    @property
    def count(self) -> int:
        """Fragments that are in no file."""
        return len(self._new)

    def close(self) -> list[str]:
        """Nothing more comes: the files that go once the track's state is stored."""
        return [*self.over, *(name for _, name in self._files)]
