"""Of an H.264 sequence parameter set: what its VUI says of colours and of reordering (ITU-T H.264 7.3.2.1.1, E.1.1)."""

_WITH_CHROMA = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
"""Profiles whose parameter sets say a chroma format."""
_UNSPECIFIED = 2
_LONGEST = 32
"""Zeros before an Exp-Golomb code: no value is longer."""


class Bits:
    """Fixed-length and Exp-Golomb codes, in order; EOFError past the end."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._size = self._left = 8 * len(data)

    @property
    def position(self) -> int:
        """Bits that have been read."""
        return self._size - self._left

    def u(self, count: int) -> int:
        if count > self._left:
            raise EOFError
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def ue(self) -> int:
        zeros = 0
        while not self.u(1):
            if (zeros := zeros + 1) > _LONGEST:
                raise EOFError
        return (1 << zeros) - 1 + self.u(zeros)

    def se(self) -> int:
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def transfer_characteristics(parameter_set: bytes) -> int:
    """A code point of ITU-T H.273; 2, unspecified, where the set says none or cannot be read.

    `parameter_set` is the NAL unit with its header.
    """
    bits = _bits_of(parameter_set)
    try:
        return _transfer(bits) if _enter_vui(bits) else _UNSPECIFIED
    except EOFError:
        return _UNSPECIFIED


def reordered_frames(parameter_set: bytes) -> int | None:
    """max_num_reorder_frames; None where the set does not say, or cannot be read.

    `parameter_set` is the NAL unit with its header.
    """
    bits = _bits_of(parameter_set)
    try:
        return _reordered(bits) if _enter_vui(bits) else None
    except EOFError:
        return None


def _bits_of(parameter_set: bytes) -> Bits:
    return Bits(parameter_set.replace(b"\0\0\3", b"\0\0"))


def _enter_vui(bits: Bits) -> bool:
    """Reads up to the VUI; False: there is none."""
    bits.u(8)
    profile = bits.u(8)
    bits.u(16)
    bits.ue()
    skip_chroma(bits, profile)
    bits.ue()
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.u(1)
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), 255)):
            bits.se()
    bits.ue()
    bits.u(1)
    bits.ue()
    bits.ue()
    if not bits.u(1):  # frame_mbs_only_flag
        bits.u(1)
    bits.u(1)
    if bits.u(1):  # frame_cropping_flag
        for _ in range(4):
            bits.ue()
    return bool(bits.u(1))


def skip_chroma(bits: Bits, profile: int) -> tuple[int, bool]:
    """(chroma_format_idc, separate_colour_plane_flag); reads on to behind the scaling lists."""
    if profile not in _WITH_CHROMA:
        return 1, False
    chroma = bits.ue()
    separate = chroma == 3 and bool(bits.u(1))
    bits.ue()
    bits.ue()
    bits.u(1)
    if bits.u(1):  # seq_scaling_matrix_present_flag
        for number in range(12 if chroma == 3 else 8):
            if bits.u(1):
                _skip_scaling_list(bits, 16 if number < 6 else 64)
    return chroma, separate


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _transfer(bits: Bits) -> int:
    if bits.u(1) and bits.u(8) == 255:  # aspect_ratio_info_present_flag, Extended_SAR
        bits.u(32)
    if bits.u(1):  # overscan_info_present_flag
        bits.u(1)
    if not bits.u(1):  # video_signal_type_present_flag
        return _UNSPECIFIED
    bits.u(4)
    if not bits.u(1):  # colour_description_present_flag
        return _UNSPECIFIED
    bits.u(8)
    transfer = bits.u(8)
    bits.u(8)
    return transfer


def _reordered(bits: Bits) -> int | None:
    _transfer(bits)
    if bits.u(1):  # chroma_loc_info_present_flag
        bits.ue()
        bits.ue()
    if bits.u(1):  # timing_info_present_flag
        bits.u(65)
    hrd = [_skip_hrd(bits) for _ in range(2) if bits.u(1)]  # of NAL units, then of slices
    if hrd:
        bits.u(1)
    bits.u(1)
    if not bits.u(1):  # bitstream_restriction_flag
        return None
    bits.u(1)
    for _ in range(4):
        bits.ue()
    return bits.ue()


def _skip_hrd(bits: Bits) -> bool:
    """hrd_parameters (E.1.2)."""
    count = min(bits.ue(), 31) + 1
    bits.u(8)
    for _ in range(count):
        bits.ue()
        bits.ue()
        bits.u(1)
    bits.u(20)
    return True
