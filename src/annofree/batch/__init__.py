"""Many scans: resume, failures, progress, tables; and the doctor."""
