"""The DCGAN recipe on CIFAR-10, evaluated during the complete training."""
