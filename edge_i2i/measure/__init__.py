"""What the figures of a report are made of: picture quality, and pictures to look at."""
