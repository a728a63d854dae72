"""Where the local CA lies: one folder of the user's for every lab, since its certificate is trusted once."""

from pathlib import Path

from platformdirs import user_data_path


def authority_folder() -> Path:
    """On Linux `$XDG_DATA_HOME/cdnlab/ca`, beneath ~/.local/share if not set."""
    return user_data_path("cdnlab", appauthor=False) / "ca"
