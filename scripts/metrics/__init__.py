"""One module per metric family. They read what a run recorded and give figures with intervals; no formatting here."""
