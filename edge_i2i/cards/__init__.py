"""What is told of each model: its cost, what was verified, the page."""
