"""The records of a node, one line each, and the secrets that no record may show."""
