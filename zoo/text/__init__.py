"""Models of text: language models and sentiment."""
