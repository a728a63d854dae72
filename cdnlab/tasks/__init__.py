"""What the verbs of the command line do, a file a verb; `cdnlab/commands/` holds their help and options."""
