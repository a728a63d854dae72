"""Text from outside, made safe to show: characters that steer a terminal, or turn a line around, are written out."""


def visible(text: str) -> str:
    """The text in one line, with all unprintable characters written out: an escape character as `\\x1b`.

    These are what a terminal takes as a command (ESC and CSI, backspace, carriage return), line ends, by which one text
    could look like two, and marks of direction, by which it could be read otherwise than it is.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)
