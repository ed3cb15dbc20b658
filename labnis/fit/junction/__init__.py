"""Fits of what flows through the junctions: I–V curve, conductance, thermometry, heat balance."""
