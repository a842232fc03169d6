"""The creative adversarial network against AC-GAN and DCGAN."""
