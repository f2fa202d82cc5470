"""The answer itself: a model's output without thinking, chat markers and an echo of the prompt."""
