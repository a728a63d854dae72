"""Text from outside, fit to be shown: what would steer a terminal, or turn a line around, is seen instead of done."""


def visible(text: str) -> str:
    """The text in one line, with all that cannot be printed written out: an escape character as `\\x1b`.

    That is what the terminal takes as an order (ESC and CSI, backspace, carriage return), line ends by which a text
    could pose as two, and marks of direction by which it could read otherwise than it is.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)
