"""What happened, on disk: the log of record, its playback, and checkpoints."""
