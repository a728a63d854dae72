"""What the verbs of the command line do, a file each; `cdnlab/commands/` holds their words and options."""
