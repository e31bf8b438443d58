"""Two toys in a room seen from the side: they fall, roll, collide, and pass behind a screen."""
