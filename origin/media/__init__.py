"""ISO BMFF as it comes in: boxes, tracks with their codecs, fragments of samples, and when each sample is presented."""
