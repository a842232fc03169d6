"""SRGAN and ESRGAN, with and without their adversaries, beside interpolation."""
