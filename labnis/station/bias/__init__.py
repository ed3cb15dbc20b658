"""The bias of the device: its level, its ramps, and ramping to zero."""
