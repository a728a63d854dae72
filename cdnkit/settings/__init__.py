"""The settings of the four programs, one file each: typed models that a user's own process may import.

`cdnlab` composes them. Reading `cdn.toml` imports these models and none of the programs.
"""
