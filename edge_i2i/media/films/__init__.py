"""Films: reading every frame at its time, writing them with their sound."""
