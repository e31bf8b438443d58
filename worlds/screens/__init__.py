"""A room of screens, which hide what is behind them and hinder nobody."""
