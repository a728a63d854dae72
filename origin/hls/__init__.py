"""Playlists of a stream: the media playlist, the multivariant playlist, and what low latency adds to them (pure)."""
