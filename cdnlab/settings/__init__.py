"""`cdn.toml`: its keys, how it is read, and the checks that report everything wrong with it at once."""
