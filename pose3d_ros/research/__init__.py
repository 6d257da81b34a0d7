"""The systems of the surveys and the papers' data sets: trained, compared and reproduced; no node imports any of it."""
