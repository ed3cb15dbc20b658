"""Fits of the direct current through the junctions: I–V curve, conductance, thermometry, heat balance."""
