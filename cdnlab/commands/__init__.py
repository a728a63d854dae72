"""The verbs of the command line, by when one uses them. Each module registers its own; nothing heavy is imported."""
