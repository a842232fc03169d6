"""What a private generator is worth, and what it reveals, at several epsilons."""
