"""``python -m edge_i2i`` is ``edge-i2i``."""

from edge_i2i.cli.main import main

if __name__ == "__main__":
    main()
