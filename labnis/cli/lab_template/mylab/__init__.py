"""Instruments, measurements and fits of this lab."""
