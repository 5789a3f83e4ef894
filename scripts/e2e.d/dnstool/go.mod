module dnstool

go 1.24
