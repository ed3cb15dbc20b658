"""Instruments and measurements of a lab."""
