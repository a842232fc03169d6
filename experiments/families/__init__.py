"""The families of networks beside DCGAN, after as many images and in as much time."""
