"""The federated average: the smallest algorithm that has both a partial and a central function."""

from average.federated import central_average, partial_average

__all__ = ["central_average", "partial_average"]
