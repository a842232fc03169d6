"""Classification of MNIST with 100 labels: the semi-supervised GAN, other terms and the labels alone; see README.md."""
