"""Shares as people write them."""

import pytest

from cdnkit.units import Settings, Share


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
