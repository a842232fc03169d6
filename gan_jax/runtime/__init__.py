"""The runtime of a run: devices, processes, compiler options, checkpoints, signals, the pace of stretches."""
