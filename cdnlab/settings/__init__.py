"""`cdn.toml`: what one may write there, how it is read, and everything that is wrong with it, said at once."""
