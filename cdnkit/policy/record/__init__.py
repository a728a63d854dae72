"""One line for each thing that happened at a node, and what no line may show."""
