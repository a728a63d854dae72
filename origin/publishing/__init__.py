"""What becomes of a stream's changes: objects stored, answered and deleted, and requests held until they exist."""
