module search

go 1.25
