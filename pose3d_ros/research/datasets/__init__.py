"""Readers of the papers' data sets in their published formats, one file a data set; docs/datasets.md."""
