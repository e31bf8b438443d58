"""A car behind a lead car that turns left or right at a fork, as its hidden driver decides."""
