"""Whether a cluster is one that a node can live in: asked, and tried, before anything is installed."""
