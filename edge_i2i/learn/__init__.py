"""Training: recipes, pairs, losses, the trainer, and what a run leaves behind."""
