"""How far to trust an answer: whether a scan belongs, and whether there is a tumour at all, with its risk."""
