"""From what a model answered to its headline: chat models put more around it than asked for."""
