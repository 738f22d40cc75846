"""Which layers stay in float: sensitivity, and the search."""
