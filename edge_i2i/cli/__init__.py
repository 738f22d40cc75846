"""The ``edge-i2i`` command, one file a verb. The programs of the stage folders call the same functions."""
