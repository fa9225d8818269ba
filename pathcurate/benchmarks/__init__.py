"""What a model's predictions are worth: reading them, metrics by task, intervals, and what may be told of few patients."""
