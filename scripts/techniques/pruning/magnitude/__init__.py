"""Pruning method ``magnitude``: the weights of smallest absolute value become zero."""
