"""How long the header of an H.264 slice is: cbcs leaves it clear (ITU-T H.264 7.3.3; ISO/IEC 23001-7 10.4.2).

Its length depends on fields of the sequence and picture parameter sets, which stand in the init section or among the
samples. What no encoder of video for the web makes, slice groups and data partitions, is refused.
"""

from dataclasses import dataclass, field

from origin.errors import BadMedia
from origin.media.h264 import Bits, skip_chroma

WINDOWS = (96, 4096)
"""Bytes of a slice that are looked at: nearly all headers have less than 20, and the longest that the syntax allows,
weights for 32 references in both lists, about 2,000."""
_MOST_REFERENCES = 32
_MOST_OPERATIONS = 66
"""In a list of modifications, or of marking operations (7.4.3.1, 7.4.3.3)."""


@dataclass(frozen=True, slots=True)
class _Sequence:
    chroma: int
    """ChromaArrayType."""
    separate_planes: bool
    frame_num_bits: int
    order_type: int
    order_bits: int
    delta_always_zero: bool
    frames_only: bool


@dataclass(frozen=True, slots=True)
class _Picture:
    sequence: int
    cabac: bool
    bottom_order: bool
    references: tuple[int, int]
    weighted: bool
    weighted_both: bool
    """With explicit weights for B slices."""
    deblocking: bool
    redundant: bool


@dataclass(slots=True)
class ParameterSets:
    """Those of one track so far. Mutable: sets among the samples replace those before."""

    sequences: dict[int, _Sequence] = field(default_factory=dict)
    pictures: dict[int, _Picture] = field(default_factory=dict)

    def take(self, unit: bytes) -> None:
        """Reads a NAL unit that is a parameter set; passes over any other. `BadMedia`: it cannot be read."""
        kind = unit[0] & 0x1F if unit else 0
        if kind not in (7, 8):
            return
        bits = Bits(unit[1:].replace(b"\0\0\3", b"\0\0"))
        try:
            if kind == 7:
                id, sequence = _read_sequence(bits)
                self.sequences[id] = sequence
            else:
                id, picture = _read_picture(bits)
                self.pictures[id] = picture
        except EOFError:
            raise BadMedia("a parameter set", f"its end after {len(unit)} bytes", "a whole one") from None

    def header_length(self, unit: bytes | memoryview) -> int:
        """Bytes of a slice (NAL unit of type 1 or 5) that are NAL unit header and slice header, the last one whole.

        `BadMedia`: it cannot be read.
        """
        for window in WINDOWS:
            head = bytes(unit[:window])
            plain = head.replace(b"\0\0\3", b"\0\0")
            bits = Bits(plain[1:])
            try:
                self._read_slice(bits, head[0])
            except EOFError:
                continue
            return _with_prevention(head, 1 + (bits.position + 7) // 8)
        raise BadMedia("a slice", f"its end inside its header, after {len(unit)} bytes", "the whole header")

    def _read_slice(self, bits: Bits, first: int) -> None:
        idr, reference = first & 0x1F == 5, first >> 5 & 3
        bits.ue()
        kind = bits.ue() % 5  # P, B, I, SP, SI
        id = bits.ue()
        picture = self.pictures.get(id)
        sequence = self.sequences.get(picture.sequence) if picture is not None else None
        if picture is None or sequence is None:
            raise BadMedia("a slice", f"picture parameter set {id}", "one that came before it")
        if sequence.separate_planes:
            bits.u(2)
        bits.u(sequence.frame_num_bits)
        is_field = not sequence.frames_only and bool(bits.u(1))
        if is_field:
            bits.u(1)
        if idr:
            bits.ue()
        self._read_order(bits, sequence, bottom=picture.bottom_order and not is_field)
        if picture.redundant:
            bits.ue()
        if kind == 1:
            bits.u(1)
        references = list(picture.references)
        if kind in (0, 1, 3) and bits.u(1):  # num_ref_idx_active_override_flag
            references[0] = bits.ue() + 1
            if kind == 1:
                references[1] = bits.ue() + 1
        lists = {0: 1, 3: 1, 1: 2}.get(kind, 0)
        if max(references[:lists], default=0) > _MOST_REFERENCES:
            raise BadMedia("a slice", f"{max(references)} references", f"at most {_MOST_REFERENCES}")
        for _ in range(lists):
            if bits.u(1):
                _skip_operations(bits, end=3, values=(1, 1, 1))
        if (picture.weighted and kind in (0, 3)) or (picture.weighted_both and kind == 1):
            _skip_weights(bits, references[:lists], chroma=sequence.chroma != 0)
        if reference:
            if idr:
                bits.u(2)
            elif bits.u(1):
                _skip_operations(bits, end=0, values=(0, 1, 1, 2, 1, 0, 1))
        if picture.cabac and kind in (0, 1, 3):
            bits.ue()
        bits.se()
        if kind == 3:
            bits.u(1)
        if kind in (3, 4):
            bits.se()
        if picture.deblocking and bits.ue() != 1:
            bits.se()
            bits.se()

    def _read_order(self, bits: Bits, sequence: _Sequence, *, bottom: bool) -> None:
        if sequence.order_type == 0:
            bits.u(sequence.order_bits)
            if bottom:
                bits.se()
        elif sequence.order_type == 1 and not sequence.delta_always_zero:
            bits.se()
            if bottom:
                bits.se()


def _read_sequence(bits: Bits) -> tuple[int, _Sequence]:
    profile = bits.u(8)
    bits.u(16)
    id = bits.ue()
    chroma, separate = skip_chroma(bits, profile)
    frame_num_bits = _width(bits.ue() + 4)
    order_type = bits.ue()
    order_bits, always_zero = 0, False
    if order_type == 0:
        order_bits = _width(bits.ue() + 4)
    elif order_type == 1:
        always_zero = bool(bits.u(1))
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), 255)):
            bits.se()
    bits.ue()
    bits.u(1)
    bits.ue()
    bits.ue()
    frames_only = bool(bits.u(1))
    return id, _Sequence(
        0 if separate else chroma, separate, frame_num_bits, order_type, order_bits, always_zero, frames_only
    )


def _width(bits: int) -> int:
    if bits > 16:
        raise BadMedia("a sequence parameter set", f"a number of {bits} bits", "at most 16")
    return bits


def _read_picture(bits: Bits) -> tuple[int, _Picture]:
    id, sequence = bits.ue(), bits.ue()
    cabac, bottom_order = bool(bits.u(1)), bool(bits.u(1))
    if groups := bits.ue():
        raise BadMedia("a picture parameter set", f"{groups + 1} slice groups", "one: others cannot be encrypted")
    references = bits.ue() + 1, bits.ue() + 1
    weighted, weighted_both = bool(bits.u(1)), bits.u(2) == 1
    bits.se()
    bits.se()
    bits.se()
    deblocking, _, redundant = bool(bits.u(1)), bits.u(1), bool(bits.u(1))
    return id, _Picture(sequence, cabac, bottom_order, references, weighted, weighted_both, deblocking, redundant)


def _skip_operations(bits: Bits, *, end: int, values: tuple[int, ...]) -> None:
    """Operations up to the one `end`; `values`: how many numbers follow each one."""
    for _ in range(_MOST_OPERATIONS):
        if (operation := bits.ue()) == end:
            return
        if operation >= len(values):
            raise BadMedia("a slice", f"operation {operation}", f"at most {len(values) - 1}")
        for _ in range(values[operation]):
            bits.ue()
    raise BadMedia("a slice", f"more than {_MOST_OPERATIONS} operations", "fewer")


def _skip_weights(bits: Bits, references: list[int], *, chroma: bool) -> None:
    """pred_weight_table (7.3.3.2)."""
    bits.ue()
    if chroma:
        bits.ue()
    for count in references:
        for _ in range(count):
            if bits.u(1):
                bits.se()
                bits.se()
            if chroma and bits.u(1):
                for _ in range(4):
                    bits.se()


def _with_prevention(unit: bytes, length: int) -> int:
    """The length in the NAL unit of what is `length` bytes long without emulation prevention (7.3.1)."""
    at = zeros = 0
    while length:
        byte = unit[at]
        if zeros >= 2 and byte == 3:
            zeros = 0
        else:
            length -= 1
            zeros = zeros + 1 if byte == 0 else 0
        at += 1
    return at
