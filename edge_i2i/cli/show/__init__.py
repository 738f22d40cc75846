"""What the command prints: the console, tables, texts."""
