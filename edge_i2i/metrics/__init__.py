"""How much two pictures, two films or two runs differ."""
