"""Encryption of what is published: keys and when they change, whole segments (AES-128) and samples (cbcs). Pure."""
