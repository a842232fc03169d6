"""A class-conditional DCGAN against an unconditional one."""
