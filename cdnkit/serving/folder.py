"""Where the local CA lies: a folder of the user's, the same for every lab, since trust is given once."""

from pathlib import Path

from platformdirs import user_data_path


def authority_folder() -> Path:
    """On Linux `$XDG_DATA_HOME/cdnlab/ca`, beneath ~/.local/share if not set."""
    return user_data_path("cdnlab", appauthor=False) / "ca"
