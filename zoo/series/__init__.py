"""Forecasters of time series."""
