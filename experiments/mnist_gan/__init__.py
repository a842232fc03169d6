"""The fully connected GAN on MNIST, and how it collapses."""
