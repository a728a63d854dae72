"""HLS with subtitles as WebVTT text, of the same samples as those in fragmented MP4."""
