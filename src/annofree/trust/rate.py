"""The rate of false alarms that is asked for unless a user says another; lists of methods and options load it."""

#: Share of tumour-free scans that may be called by default; four real ones promise no less than 0.2.
DEFAULT_RATE = 0.2
