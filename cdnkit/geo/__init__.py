"""Where addresses are: the databases that a user names."""
