"""Classification of MNIST with 100 labels: the semi-supervised GAN against the labels alone; see README.md."""
