"""The listener of encoders: who may send, how much, and each request's body from the socket to its stream."""
