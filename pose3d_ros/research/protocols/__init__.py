"""What the papers' tables count: which frames, which joints, which alignment; one file a benchmark."""
