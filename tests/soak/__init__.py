"""The demo's cluster under viewers and faults for as long as one likes: `python -m tests.soak --seconds 600`."""
