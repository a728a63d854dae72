"""HLS with MPEG-TS segments, made of the same samples as the fMP4 segments (ISO/IEC 13818-1, RFC 8216 3.2)."""
