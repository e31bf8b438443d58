"""Search where choices are discrete: one notion of a problem, and the problems."""
