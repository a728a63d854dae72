"""Encoders of bad manners at the ingest endpoint: damaged bodies, in any pieces, several at once. No sockets."""
