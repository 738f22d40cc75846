"""CycleGAN and pix2pix, of one repository."""
