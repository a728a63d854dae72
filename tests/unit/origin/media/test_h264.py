"""Sequence parameter sets, written bit by bit: the transfer characteristics come back whatever stands before them."""

from hypothesis import given
from hypothesis import strategies as st

from origin.media.h264 import reordered_frames, transfer_characteristics


def ue(value: int) -> str:
    code = f"{value + 1:b}"
    return "0" * (len(code) - 1) + code


def se(value: int) -> str:
    return ue(2 * value - 1 if value > 0 else -2 * value)


def parameter_set(
    transfer: int | None,
    *,
    profile: int = 100,
    chroma: int = 1,
    order: int = 0,
    lists: bool = False,
    interlaced: bool = False,
    cropped: bool = True,
    sar: int | None = 1,
    overscan: bool = False,
    hrd: int = 0,
    reordered: int | None = None,
) -> bytes:
    """The NAL unit, emulation prevention in it; `transfer` None: no colour description."""
    bits = f"{0x67:08b}{profile:08b}{0:08b}{31:08b}" + ue(0)
    if profile == 100:
        bits += ue(chroma) + ("0" if chroma == 3 else "") + ue(0) + ue(0) + "0"
        if lists:
            small, large = "1" + se(1) * 16, "1" + se(2) + se(-10)  # the last ends its list: "use the default"
            bits += "1" + small * 6 + large * (6 if chroma == 3 else 2)
        else:
            bits += "0"
    bits += ue(4) + ue(order)
    bits += ue(2) if order == 0 else "0" + se(-1) + se(0) + ue(2) + se(1) + se(-7) if order == 1 else ""
    bits += ue(4) + "0" + ue(79) + ue(44) + ("00" if interlaced else "1") + "1"
    bits += "1" + ue(0) + ue(0) + ue(0) + ue(2) if cropped else "0"
    bits += "1"  # vui_parameters_present_flag
    bits += "0" if sar is None else f"1{sar:08b}" + (f"{4:016b}{3:016b}" if sar == 255 else "")
    bits += "11" if overscan else "0"
    bits += "0" if transfer is None else f"1{5:03b}01{9:08b}{transfer:08b}{9:08b}"
    if reordered is None:
        bits += "0" * 8 + "1"
    else:
        bits += "1" + ue(0) + ue(5) + "1" + f"{1001:032b}{60_000:032b}1"  # chroma location, timing
        for place in (1, 2):
            bits += "1" + ue(1) + "0" * 8 + (ue(4) + ue(700) + "1") * 2 + "10111" * 4 if hrd & place else "0"
        bits += ("0" if hrd else "") + "1" + "11" + ue(2) + ue(1) + ue(11) + ue(11) + ue(reordered) + ue(4) + "1"
    data = int(bits.ljust((len(bits) + 7) // 8 * 8, "0"), 2).to_bytes((len(bits) + 7) // 8, "big")
    for last in (0, 1, 2, 3):
        data = data.replace(bytes((0, 0, last)), bytes((0, 0, 3, last)))
    return data


@given(
    transfer=st.sampled_from([1, 13, 16, 18]),
    profile=st.sampled_from([66, 77, 100]),
    chroma=st.sampled_from([0, 1, 3]),
    order=st.sampled_from([0, 1, 2]),
    lists=st.booleans(),
    interlaced=st.booleans(),
    cropped=st.booleans(),
    sar=st.sampled_from([None, 1, 255]),
    overscan=st.booleans(),
)
def test_the_transfer_characteristics_come_back(transfer: int, **options: object) -> None:
    assert transfer_characteristics(parameter_set(transfer, **options)) == transfer  # type: ignore[arg-type]


def test_none_is_unspecified() -> None:
    assert transfer_characteristics(parameter_set(None)) == 2


@given(st.binary(max_size=60))
def test_any_bytes_are_read_to_an_end(data: bytes) -> None:
    assert 0 <= transfer_characteristics(data) <= 255


@given(
    reordered=st.integers(0, 16),
    transfer=st.sampled_from([None, 1, 16]),
    hrd=st.integers(0, 3),
    sar=st.sampled_from([None, 1, 255]),
)
def test_how_many_frames_are_reordered(reordered: int, transfer: int | None, hrd: int, sar: int | None) -> None:
    said = parameter_set(transfer, hrd=hrd, sar=sar, reordered=reordered)
    assert reordered_frames(said) == reordered
    assert transfer_characteristics(said) == (2 if transfer is None else transfer)
    assert reordered_frames(said[:12]) is None
    assert reordered_frames(parameter_set(transfer)) is None
