"""A car on a road between rock and cliff, behind a driver who may brake at any moment."""
