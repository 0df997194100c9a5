"""An installer goes through a live site: what meters show while links, power and clocks fail, judged and kept."""
