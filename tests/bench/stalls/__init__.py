"""`make bench-stalls`: the longest stall of a client while a node fills up, evicts, and purges what very many share."""
