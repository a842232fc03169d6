"""The DCGAN recipe on CIFAR-10, watched to its end."""
