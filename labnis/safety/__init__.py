"""What keeps device and fridge safe: interlocks, stop requests, invalid readings, the guardian, ramping to zero."""
