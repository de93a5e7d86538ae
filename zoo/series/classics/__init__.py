"""The classics of forecasting: a few parameters, and a filter that any history passes through."""
