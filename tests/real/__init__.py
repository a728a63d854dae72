"""Real sockets, processes, redis-server, ffmpeg, whole clusters."""
