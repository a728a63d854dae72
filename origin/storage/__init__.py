"""Where an origin keeps its media: a seam (`store`), what stands behind it, and what waits in memory in front of it."""
