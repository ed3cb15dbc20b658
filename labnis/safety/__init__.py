"""Safety of device and fridge: interlocks, stop requests, invalid readings, guardian, make-safe."""
