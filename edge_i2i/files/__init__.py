"""Files and folders: where they may lie, what kind they are, and writing them whole or not at all."""
