"""Case studies of seed 004 with the live code, one file each; `headroom study list` names them."""
