"""Pictures, label maps, video files, and the geometry between a source's size and a network's size."""
