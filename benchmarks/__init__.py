"""How fast the node is, against the limit that the same run measures: the figures of docs/benchmarks.md.

A limit is what cannot be done faster: the same Jobs applied without a node, the same server calls replayed without
one, a call without the proxy. Rounds with and without the node alternate, so that a machine that slows down slows both.
"""
