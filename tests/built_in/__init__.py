"""The handlers that every project has, against real servers that behave well and badly."""
