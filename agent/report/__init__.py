"""What happened, for people: the HTML report and the terminal panel."""
