"""What cells of tables say: numbers and times, however they are written."""
