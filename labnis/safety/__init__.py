"""What keeps device and fridge safe: interlocks, stop requests, invalid readings, the guardian, the way to zero."""
