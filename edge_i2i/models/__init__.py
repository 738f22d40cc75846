"""The networks: one file a published model, and the declarations that the rest of the house reads."""
