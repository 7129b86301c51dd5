"""History of the registry: of stages, models and versions, past states, and the code behind them."""
