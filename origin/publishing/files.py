"""The files of a track in storage, besides its segments and init sections; and the words in them."""

STATE = "state.json"
"""What a restart has to find of a track."""

EVENT, VOD = "EVENT", "VOD"
"""EXT-X-PLAYLIST-TYPE of a stream that is recorded, and of what was cut out of one."""
