"""pix2pix and what is left of it without its parts, on images and their edges."""
