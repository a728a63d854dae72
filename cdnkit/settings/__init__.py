"""The settings of the four programs, a file each: typed models that a user's own process may import.

Reading `cdn.toml` needs these and none of the programs; `cdnlab` composes them.
"""
