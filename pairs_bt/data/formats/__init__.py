"""Files and tables in memory to columns of dates and prices: what is seen, refused or mended."""
