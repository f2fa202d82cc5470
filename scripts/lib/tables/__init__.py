"""Tables from reviews: setups, ranking, tidy CSV files, the predecessor's summary."""
