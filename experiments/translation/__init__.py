"""pix2pix, complete and without some of its parts, on images and their edges."""
