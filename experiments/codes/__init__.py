"""InfoGAN and BiGAN on MNIST at the published size: what their codes say of the digits."""
