"""Methods x thresholds x refiners x data: one honest table from one plan."""
