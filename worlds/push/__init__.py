"""Two rooms, a door between them and a box before it: push it away, then go through."""
