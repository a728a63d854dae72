"""The verbs of the command line, a file each: their words, options and help. Nothing heavy is imported to show them."""
