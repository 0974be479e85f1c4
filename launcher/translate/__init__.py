"""A vantage6 4.x node configuration file as values of the chart: `v6-node translate`."""
