"""Pruning method ``structured``: feed-forward channels of small norm are cut out."""
