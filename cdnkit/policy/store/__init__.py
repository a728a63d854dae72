"""What is stored: entries by key, variant and part; what a request finds; and what goes when there is no room."""
