"""A toy in a room seen from the side: it falls, rolls, collides, and passes behind a screen."""
