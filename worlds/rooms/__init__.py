"""Four rooms in a row, walls and doors between them, another layout in every episode."""
