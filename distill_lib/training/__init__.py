"""The training wing: corpora, models, losses and sweeps with torch; it writes the runs table."""
