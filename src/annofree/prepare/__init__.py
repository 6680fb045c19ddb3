"""From a scan as it was stored to a scan as a method wants it, and back."""
