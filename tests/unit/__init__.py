"""A module a source file, and it stands where that stands: rows in, values out."""
