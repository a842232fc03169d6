"""Network families compared with DCGAN, after the same number of images and in the same time."""
