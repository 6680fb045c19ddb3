"""Where things are in the brain: template, atlas, alignment, symmetry, and the place of each lesion."""
