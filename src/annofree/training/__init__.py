"""One loop for every network that is trained: samples on the fly, losses, checkpoints, a local log."""
