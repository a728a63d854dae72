"""Shares and offsets as people write them."""

import pytest

from cdnkit.units import Offset, Settings, Share


class Loss(Settings):
    loss: Share


@pytest.mark.parametrize(
    ("written", "held", "printed"),
    [("0.1%", 0.001, "0.1%"), (" 40 % ", 0.4, "40%"), (0.25, 0.25, "25%"), (0, 0.0, "0%"), ("100%", 1.0, "100%")],
)
def test_read_and_written(written: object, held: float, printed: str) -> None:
    loss = Loss.model_validate({"loss": written})
    assert loss.loss == pytest.approx(held)
    assert loss.model_dump(mode="json") == {"loss": printed}
    assert Loss.model_validate(loss.model_dump(mode="json")) == loss


@pytest.mark.parametrize("written", ["1", "0.1 percent", "101%", 1.5, -0.1, "-1%", "%", True, None])
def test_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"wanted a share such as"):
        Loss.model_validate({"loss": written})


class Place(Settings):
    at: Offset


@pytest.mark.parametrize(
    ("written", "held", "printed"),
    [("12s", 12.0, "12s"), ("-30s", -30.0, "-30s"), (" -1.5m ", -90.0, "-90s"), (-2, -2.0, "-2s"), (0, 0.0, "0s")],
)
def test_an_offset_may_be_negative(written: object, held: float, printed: str) -> None:
    place = Place.model_validate({"at": written})
    assert place.at == held
    assert place.model_dump(mode="json") == {"at": printed}
    assert Place.model_validate(place.model_dump(mode="json")) == place


@pytest.mark.parametrize("written", ["--1s", "-", "soon", "1 fortnight", True, None])
def test_an_offset_that_is_none(written: object) -> None:
    with pytest.raises(ValueError, match=r"wanted an offset such as"):
        Place.model_validate({"at": written})
