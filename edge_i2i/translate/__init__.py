"""Pictures and films through a bundle: one call, a folder, what is set once."""
