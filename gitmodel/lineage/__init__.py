"""What became of what: the history of stages, models and versions, past states, and the code behind them."""
