"""MUNIT, UNIT and CycleGAN on grey and coloured digits without pairs, beside outputs that need no training."""
