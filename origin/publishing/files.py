"""The files of a track in storage, besides its segments and init sections."""

STATE = "state.json"
"""What a restart has to find of a track."""
