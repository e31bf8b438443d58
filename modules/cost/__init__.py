"""Cost: readouts of physical quantities, terms, and the critic."""
