"""The manifest of a stream: which periods and segments an MPD lists, and how it is written (pure)."""
