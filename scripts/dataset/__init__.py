"""The data set stage: sources, cleaning, filters, and the split into training rows and evaluation pool."""
