"""What a run runs on: devices, processes, XLA's options, checkpoints, signals, the pace of stretches."""
