"""nnU-Net v2 itself on the same data, in an environment of its own."""
